//! The promises: the same bytes for any number of threads and after any kill; saved weights evaluate to the same rows.

mod births;
mod networks;

use crate::libraries;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Result files that hold no clock.
const EXACT: [&str; 4] = ["train.csv", "eval.csv", "summary.csv", "weights.safetensors"];

pub fn mamlx(args: &[&str]) -> Command {
    for plugin in ["sinusoid", "point", "cheetah"] {
        libraries::library(plugin);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_mamlx"));
    command.args(args).env("MAMLX_PLUGIN_PATH", libraries::folder()).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

pub fn run(spec: &str, out: &Path, more: &[&str]) -> Output {
    let out = out.to_str().unwrap();
    let output = mamlx(&[&["run", spec, "--out", out], more].concat()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

pub fn assert_same(a: &Path, b: &Path, what: &str) {
    for file in EXACT {
        let (left, right) = (std::fs::read(a.join(file)).unwrap(), std::fs::read(b.join(file)).unwrap());
        assert!(!left.is_empty() && left == right, "{file} differs: {what}");
    }
}

/// Small but complete: every method, several evaluations, unequal work for the threads.
pub const SINUSOID: [&str; 18] = [
    "--set",
    "outer.iterations=30",
    "--set",
    "outer.tasks=7",
    "--set",
    "eval.tasks=11",
    "--set",
    "eval.every=10",
    "--set",
    "eval.steps=2",
    "--set",
    "methods=[maml, fomaml, pretrained, random, oracle, averaged, averaged_l2, averaged_to_mean, context]",
    "--set",
    "inner.steps=2",
    "--set",
    "averaged.regressors=10",
    "--set",
    "averaged.max_steps=20",
];
pub const POINT: [&str; 18] = [
    "--set",
    "outer.iterations=3",
    "--set",
    "outer.tasks=5",
    "--set",
    "eval.tasks=3",
    "--set",
    "eval.every=1",
    "--set",
    "task.support=3",
    "--set",
    "task.query=4",
    "--set",
    "eval.support=2",
    "--set",
    "model.hidden=[7]",
    "--set",
    "methods=[random, maml, fomaml, pretrained, oracle, context]",
];
const CHEETAH: [&str; 16] = [
    "--set",
    "outer.iterations=2",
    "--set",
    "outer.tasks=3",
    "--set",
    "eval.tasks=2",
    "--set",
    "task.support=2",
    "--set",
    "task.query=2",
    "--set",
    "eval.support=2",
    "--set",
    "model.hidden=[9]",
    "--set",
    "task.horizon=40",
];

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let dice = [&CHEETAH[..], &["--set", "outer.estimator=dice"]].concat();
    let emaml = [&CHEETAH[..], &["--set", "outer.estimator=emaml", "--set", "outer.optimizer=adam"]].concat();
    let cases = [
        ("experiments/sinusoid.yaml", &SINUSOID[..]),
        ("experiments/point_nav.yaml", &POINT[..]),
        ("experiments/cheetah_vel.yaml", &CHEETAH[..]),
        ("experiments/cheetah_vel.yaml", &dice[..]),
        ("experiments/cheetah_vel.yaml", &emaml[..]),
    ];
    for (spec, small) in cases {
        let folder = tempfile::tempdir().unwrap();
        for threads in ["1", "2", "3", "7"] {
            run(spec, &folder.path().join(threads), &[small, &["--threads", threads]].concat());
        }
        for threads in ["2", "3", "7"] {
            let what = format!("{spec} with 1 and {threads} threads");
            assert_same(&folder.path().join("1"), &folder.path().join(threads), &what);
        }
    }
}

/// Kills a run three times, at different moments, and lets it finish.
fn killed_three_times(spec: &str, small: &[&str], first_pause: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let (whole, torn) = (folder.path().join("whole"), folder.path().join("torn"));
    run(spec, &whole, small);
    let out = torn.to_str().unwrap().to_string();
    let args = [&["run", spec, "--out", &out, "--checkpoint-every", "0"], small].concat();
    for kill in 1..=3u32 {
        let mut child = mamlx(&args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(first_pause * kill);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    run(spec, &torn, small);
    assert_same(&whole, &torn, "killed three times and resumed");
    assert!(std::fs::read_to_string(torn.join("run.json")).unwrap().contains("\"done\""));
}

#[test]
fn a_killed_supervised_run_resumes_to_the_same_bytes() {
    // What was best on validation has to be remembered across the kills.
    let more = ["--set", "outer.iterations=600", "--set", "eval.every=200", "--set", "eval.select=best"];
    let longer = [&SINUSOID[..], &more].concat();
    killed_three_times("experiments/sinusoid.yaml", &longer, Duration::from_millis(60));
}

#[test]
fn a_killed_reinforcement_run_resumes_to_the_same_bytes() {
    let longer = [&POINT[..], &["--set", "outer.iterations=40", "--set", "eval.every=10"]].concat();
    killed_three_times("experiments/point_nav.yaml", &longer, Duration::from_millis(60));
}

#[test]
fn saved_weights_evaluate_to_the_same_rows() {
    let selecting = [&POINT[..], &["--set", "eval.select=best"]].concat();
    for (spec, small) in [
        ("experiments/sinusoid.yaml", &SINUSOID[..]),
        ("experiments/point_nav.yaml", &POINT[..]),
        ("experiments/point_nav.yaml", &selecting[..]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (run_folder, again) = (folder.path().join("run"), folder.path().join("again"));
        run(spec, &run_folder, small);
        let output = mamlx(&["eval", run_folder.to_str().unwrap(), "--out", again.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for file in ["eval.csv", "summary.csv"] {
            let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
            assert!(read(&run_folder) == read(&again), "{spec}: {file} differs");
        }
    }
}

#[test]
fn a_finished_run_is_not_repeated_and_another_spec_is_refused_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    run("experiments/sinusoid.yaml", &out, &SINUSOID);
    let before = std::fs::read(out.join("train.csv")).unwrap();
    let again = run("experiments/sinusoid.yaml", &out, &SINUSOID);
    assert!(String::from_utf8_lossy(&again.stderr).contains("finished before"));
    let args = [
        &["run", "experiments/sinusoid.yaml", "--out", out.to_str().unwrap()],
        &SINUSOID[..],
        &["--set", "seed=5"],
    ];
    let refused = mamlx(&args.concat()).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).to_string();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("--fresh") && text.contains("\n  seed: saved with 0, now 5\n"), "{text}");
    assert_eq!(std::fs::read(out.join("train.csv")).unwrap(), before, "nothing saved is touched");
}

/// What `--from` says on stderr, after a run that must be the same as one from the beginning.
fn longer(spec: &str, small: &[&str], shorter: &Path, what: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (whole, on) = (folder.path().join("whole"), folder.path().join("on"));
    run(spec, &whole, small);
    let said = run(spec, &on, &[small, &["--from", shorter.to_str().unwrap()]].concat());
    assert_same(&whole, &on, what);
    String::from_utf8_lossy(&said.stderr).to_string()
}

#[test]
fn a_longer_run_takes_what_a_shorter_one_has_learnt_and_writes_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    // Its last evaluation and its last row are none of the longer run's, nor is what it found best.
    let sets = ["outer.iterations=30", "eval.every=5", "eval.select=best"].map(|set| ["--set", set]);
    let finished = folder.path().join("finished");
    run("experiments/sinusoid.yaml", &finished, &[&SINUSOID[..], sets.as_flattened()].concat());
    let sets = ["outer.iterations=45", "eval.select=best", "methods=[context, maml, random, averaged]"];
    let small = [&SINUSOID[..], sets.map(|set| ["--set", set]).as_flattened()].concat();
    let said = longer("experiments/sinusoid.yaml", &small, &finished, "from a finished run");
    for taken in ["maml: the first 30 ", "random: the first 0 ", "averaged: the first 10 "] {
        assert!(said.contains(&format!("{taken}meta-iterations are those of s0-")), "{said}");
    }

    // A run that was killed, in the middle of a method.
    let killed = folder.path().join("killed");
    let sets = ["outer.iterations=1000000", "outer.log_every=1"].map(|set| ["--set", set]);
    let args =
        ["run", "experiments/sinusoid.yaml", "--out", killed.to_str().unwrap(), "--checkpoint-every", "0"];
    let endless = [&args[..], &SINUSOID, sets.as_flattened()].concat();
    let mut child = mamlx(&endless).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    while std::fs::metadata(killed.join("train.csv")).map_or(0, |m| m.len()) < 2000 {
        assert!(child.try_wait().unwrap().is_none(), "the run ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let rows = std::fs::read_to_string(killed.join("train.csv")).unwrap().lines().count();
    let (total, every) = (format!("outer.iterations={}", rows + 20), ["--set", "outer.log_every=1"]);
    let small = [&SINUSOID[..], &["--set", &total, "--set", "methods=[maml]"], &every].concat();
    let said = longer("experiments/sinusoid.yaml", &small, &killed, "from a killed run");
    let (_, rest) = said.split_once("maml: the first ").expect("it says how many");
    let taken: String = rest.chars().take_while(char::is_ascii_digit).collect();

    // And a run that ends where that one stood, without the evaluation that is then due.
    let total = format!("outer.iterations={taken}");
    let small = [&SINUSOID[..], &["--set", &total, "--set", "methods=[maml]"], &every].concat();
    let said = longer("experiments/sinusoid.yaml", &small, &killed, "from a run that stood at the end");
    assert!(said.contains(&format!("maml: the first {taken} ")), "{said}");

    // A trust region needs no checkpoint: the weights are all that it has.
    let weights = folder.path().join("weights");
    run("experiments/point_nav.yaml", &weights, &POINT);
    for number in mamlx::record::generations::numbers(&weights).unwrap() {
        std::fs::remove_file(mamlx::record::generations::file_of(&weights, number)).unwrap();
    }
    // Nor a key that came after it was run.
    let file = weights.join("spec.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let older = text.replacen("  estimator: maml\n", "", 1);
    assert!(older.len() < text.len(), "{text}");
    std::fs::write(&file, older).unwrap();
    let small = [&POINT[..], &["--set", "outer.iterations=5"]].concat();
    let said = longer("experiments/point_nav.yaml", &small, &weights, "from weights alone");
    assert!(said.contains("maml: the first 3 "), "{said}");
}

#[test]
fn another_experiment_is_nothing_to_go_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let (shorter, on) = (folder.path().join("shorter"), folder.path().join("on"));
    run("experiments/sinusoid.yaml", &shorter, &SINUSOID);
    let refused = |more: &[&str], why: &str| {
        let args = ["run", "experiments/sinusoid.yaml", "--out", on.to_str().unwrap(), "--from"];
        let args = [&args[..], &[shorter.to_str().unwrap()], &SINUSOID, more].concat();
        let output = mamlx(&args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).to_string();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(why), "{text}");
    };
    refused(&["--set", "inner.rate=0.5"], "\n  inner.rate: there 0.001, here 0.5");
    refused(
        &["--set", "outer.iterations=20", "--set", "methods=[maml]"],
        "learnt nothing that this run could use (methods maml, at most 20 meta-iterations)",
    );
    let own = shorter.to_str().unwrap();
    let args = ["run", "experiments/sinusoid.yaml", "--out", own, "--from", own, "--fresh"];
    let output = mamlx(&[&args[..], &SINUSOID].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the run's own folder"));
    assert!(std::fs::metadata(shorter.join("train.csv")).unwrap().len() > 200, "nothing saved is touched");
}

#[cfg(unix)]
#[test]
fn signals_stop_a_run_cleanly_and_it_goes_on() {
    for (signal, code) in [("INT", 130), ("TERM", 75), ("USR1", 75)] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let out_text = out.to_str().unwrap();
        // No evaluation before the end: their notes would fill the pipe that nobody reads while the run goes on.
        let long = [
            &SINUSOID[..],
            &["--set", "outer.iterations=1000000", "--set", "eval.every=0", "--set", "outer.log_every=1"],
        ]
        .concat();
        let args = [&["run", "experiments/sinusoid.yaml", "--out", out_text], &long[..]].concat();
        let mut child = mamlx(&args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        while std::fs::metadata(out.join("train.csv")).map_or(0, |m| m.len()) < 2000 {
            assert!(child.try_wait().unwrap().is_none(), "the run ended by itself");
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).to_string();
        assert_eq!(output.status.code(), Some(code), "{signal}: {text}");
        assert!(
            text.contains("stopping after this meta-iteration") && text.contains("same command goes on"),
            "{text}"
        );
        assert!(std::fs::read_to_string(out.join("run.json")).unwrap().contains("\"stopped\""));
    }
}

/// ± 1 MiB after the first thousand: what grows by 100 bytes an iteration would be seen.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "ten seconds and more where others compute too"]
fn memory_stays_flat_over_ten_thousand_meta_iterations() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let sets = ["outer.iterations=11000", "methods=[maml]", "eval.tasks=5", "outer.log_every=100"];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let args: Vec<&str> = ["run", "experiments/sinusoid.yaml", "--out", out.to_str().unwrap()]
        .into_iter()
        .chain(sets)
        .collect();
    let mut child = mamlx(&args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let (mut sizes, mut last) = (vec![], 0);
    while child.try_wait().unwrap().is_none() {
        let rows = std::fs::read_to_string(out.join("train.csv")).unwrap_or_default();
        let row = rows.lines().last().and_then(|row| row.split(',').nth(4)?.parse::<u64>().ok());
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let size = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .map(|size| size.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap());
        if let (Some(iteration @ 1000..11_000), Some(size)) = (row, size) {
            sizes.push(size);
            last = iteration;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
    assert!(last > 9000 && sizes.len() > 20, "{} looks, the last at {last}", sizes.len());
    assert!(most - least <= 1024, "from {least} to {most} KiB");
}

#[test]
fn bad_input_exits_with_2_and_a_missing_file_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.yaml");
    std::fs::write(&bad, "name: x\ntask: {plugin: sinusoid, support: 5}\nouter: {iterations: 5, taks: 3}\ninner: {rate: fast}\n").unwrap();
    let output = mamlx(&["check", bad.to_str().unwrap()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("bad.yaml:3:") && text.contains("tasks") && text.contains("bad.yaml:4:"), "{text}");
    let output = mamlx(&["run", folder.path().join("none.yaml").to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let output =
        mamlx(&["run", "experiments/sinusoid.yaml", "--set", "task.plugin=sinusoit"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("sinusoid"), "names the nearest plugin: {text}");
}

/// The kept runs, each with its folder.
fn references() -> Vec<std::path::PathBuf> {
    let inside = |folder: &Path| -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/reference");
    inside(&top).iter().flat_map(|experiment| inside(experiment)).collect()
}

#[test]
fn every_reference_run_is_whole() {
    let runs = references();
    assert!(runs.len() >= 9, "{runs:?}");
    for run in runs {
        for file in ["spec.yaml", "run.json", "train.csv", "eval.csv", "summary.csv", "weights.safetensors"] {
            let size = std::fs::metadata(run.join(file)).map_or(0, |about| about.len());
            assert!(size > 0, "{} has no {file}", run.display());
        }
    }
}

#[test]
#[ignore = "minutes, and exact only on the kind of machine that made the runs"]
fn every_reference_run_evaluates_to_its_own_rows() {
    for run in references() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("again");
        let args = ["eval", run.to_str().unwrap(), "--out", out.to_str().unwrap()];
        let output = mamlx(&args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let rows = |folder: &Path| std::fs::read(folder.join("eval.csv")).unwrap();
        assert!(rows(&run) == rows(&out), "{} evaluates to other rows", run.display());
    }
}
