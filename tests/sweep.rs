//! The promise: a sweep is every combination of its grid with every seed, each an ordinary run; killed anywhere and
//! started again, no run is lost or made twice.

use crate::run::{assert_same, mamlx};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

const SPEC: &str = "name: swept
methods: [maml]
task: {plugin: sinusoid, support: 5}
outer: {iterations: 700, tasks: 4, log_every: 50}
eval: {tasks: 5, steps: 1, every: 300}
sweep:
  seeds: [3, 4]
  grid:
    inner.rate: [0.01, 0.02]
    model.hidden: [[8], [6, 6]]
";

fn spec(folder: &Path) -> PathBuf {
    let path = folder.join("swept.yaml");
    std::fs::write(&path, SPEC).unwrap();
    path
}

fn sweep(spec: &Path, out: &Path, more: &[&str]) -> std::process::Command {
    mamlx(&[&["sweep", spec.to_str().unwrap(), "--out", out.to_str().unwrap()], more].concat())
}

fn said(mut command: std::process::Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).to_string()
}

/// Names of the run folders, and of those that are finished.
fn runs(folder: &Path) -> (Vec<String>, Vec<String>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    let mut all: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    all.sort();
    let done = |name: &&String| {
        let text = std::fs::read_to_string(folder.join(name.as_str()).join("run.json"));
        text.is_ok_and(|text| text.contains("\"done\""))
    };
    let done = all.iter().filter(done).cloned().collect();
    (all, done)
}

#[test]
fn killed_twice_in_the_middle_nothing_is_lost_or_made_twice() {
    let temp = tempfile::tempdir().unwrap();
    let spec = spec(temp.path());
    let (whole, torn) = (temp.path().join("whole"), temp.path().join("torn"));
    assert!(
        said(sweep(&spec, &whole, &["--jobs", "2"])).contains("8 runs made, 0 finished before, 0 failed")
    );
    let mut kept: Vec<(String, Vec<u8>)> = vec![];
    for enough in [2, 5] {
        let mut child =
            sweep(&spec, &torn, &["--checkpoint-every", "0"]).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while runs(&torn).1.len() < enough && child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(120));
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // The one file with a clock in it shows whether a finished run is ever made again.
        let timing = |name: &String| std::fs::read(torn.join(name).join("timing.csv")).unwrap();
        kept.extend(runs(&torn).1.iter().map(|name| (name.clone(), timing(name))));
    }
    assert!(kept.len() >= 7, "{} seen finished", kept.len());
    let text = said(sweep(&spec, &torn, &[]));
    assert!(!text.contains("8 runs made"), "{text}");
    let (all, done) = runs(&torn);
    assert_eq!((all.len(), &all), (8, &done));
    for name in &all {
        assert_same(&whole.join(name), &torn.join(name), name);
    }
    for (name, timing) in kept {
        assert!(
            std::fs::read(torn.join(&name).join("timing.csv")).unwrap() == timing,
            "{name} was made twice"
        );
    }
    let table = |folder: &Path| std::fs::read_to_string(folder.join("sweep.csv")).unwrap();
    assert_eq!(table(&whole), table(&torn));
    let lines: Vec<String> = table(&torn).lines().map(String::from).collect();
    assert!(
        lines[0].starts_with("experiment,run,seed,inner_rate,model_hidden,iteration,method,"),
        "{}",
        lines[0]
    );
    // 8 runs, each with 0 and 1 gradient steps.
    assert_eq!(lines.len(), 1 + 16);
    assert!(lines[1].contains(",3,0.01,[8],700,maml,") && lines[16].contains(",4,0.02,\"[6, 6]\",700,maml,"));
    assert!(said(sweep(&spec, &torn, &[])).contains("0 runs made, 8 finished before"));
}

#[test]
fn shards_share_the_runs_and_the_table() {
    let temp = tempfile::tempdir().unwrap();
    let path = spec(temp.path());
    let small = ["--set", "outer.iterations=5"];
    let whole = temp.path().join("whole");
    said(sweep(&path, &whole, &small));
    let shared = temp.path().join("shared");
    for shard in ["2/3", "0/3", "1/3"] {
        said(sweep(&path, &shared, &[&small[..], &["--shard", shard]].concat()));
    }
    let (all, done) = runs(&shared);
    assert_eq!((all.len(), &all), (8, &done));
    let table = |folder: &Path| std::fs::read(folder.join("sweep.csv")).unwrap();
    assert!(table(&whole) == table(&shared));
    // A run of a sweep is the run that the same settings give by hand, under the same name.
    let by_hand = temp.path().join("by_hand");
    let set =
        ["--set", "sweep=null", "--set", "seed=4", "--set", "inner.rate=0.02", "--set", "model.hidden=[8]"];
    let (path, out) = (path.to_str().unwrap(), by_hand.to_str().unwrap());
    said(mamlx(&[&["run", path, "--out", out], &set[..], &small[..]].concat()));
    let text = std::fs::read_to_string(by_hand.join("run.json")).unwrap();
    let name = all.iter().find(|name| text.contains(name.as_str())).expect("a run of the sweep");
    assert_same(&by_hand, &shared.join(name), "by hand and in a sweep");
}

#[test]
fn run_says_what_to_do_with_a_sweep_and_check_looks_at_every_run() {
    let temp = tempfile::tempdir().unwrap();
    let path = spec(temp.path());
    let path = path.to_str().unwrap();
    let refused = mamlx(&["run", path]).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).to_string();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text.contains("swept.yaml:6:1") && text.contains("8 runs") && text.contains("`mamlx sweep`"),
        "{text}"
    );
    let checked = mamlx(&["check", path]).output().unwrap();
    assert!(String::from_utf8_lossy(&checked.stdout).contains("the first of 8 runs"));
    let listed = mamlx(&["sweep", path, "--list"]).output().unwrap();
    let lines = String::from_utf8_lossy(&listed.stdout).to_string();
    assert_eq!(lines.lines().count(), 8);
    assert!(lines.starts_with("s3-") && lines.contains("inner.rate=0.02  model.hidden=[6, 6]"), "{lines}");
}
