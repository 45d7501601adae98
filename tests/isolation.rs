//! The promise: with `isolation: process` an environment may crash, hang, exit or be killed, and the run's bytes are those of
//! an environment that never did; what breaks every time is named and ends the run.

use crate::libraries;
use crate::run::{POINT, assert_same, mamlx, run};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

fn spec(folder: &Path, fault: &str, marker: &Path) -> PathBuf {
    libraries::library("faulty");
    let path = folder.join(format!("{fault}.yaml"));
    let text = format!(
        "name: faulty\nmethods: [random, maml]\n\
         task:\n  plugin: faulty\n  params: {{fault: {fault}, after: 3, marker: {}}}\n  support: 3\n  query: 2\n  horizon: 6\n\
         model: {{hidden: [4]}}\nouter: {{iterations: 3, tasks: 2}}\neval: {{tasks: 2, steps: 1, every: 1}}\n",
        marker.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

const ISOLATED: [&str; 2] = ["--set", "isolation={kind: process, time_limit_secs: 0.5}"];

#[test]
fn a_process_that_breaks_changes_no_byte() {
    let temp = tempfile::tempdir().unwrap();
    for (fault, says) in [
        ("segfault", "crashed with signal 11"),
        ("abort", "crashed with signal 6"),
        ("exit", "ended with exit code 0"),
        ("hang", "gave no answer within 0.5 s"),
    ] {
        let (marker, out) = (temp.path().join(format!("{fault}.mark")), |name: &str| temp.path().join(name));
        let spec = spec(temp.path(), fault, &marker);
        // As long as the marker is there the plugin behaves.
        std::fs::write(&marker, "").unwrap();
        let whole = out(&format!("{fault}_whole"));
        run(spec.to_str().unwrap(), &whole, &[]);
        std::fs::remove_file(&marker).unwrap();
        let broken = out(&format!("{fault}_broken"));
        let output = run(spec.to_str().unwrap(), &broken, &ISOLATED);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains(says) && stderr.contains("a new one repeats what it was at"),
            "{fault}: {stderr}"
        );
        assert!(marker.exists());
        assert_same(&whole, &broken, fault);
        assert!(
            std::fs::read_to_string(broken.join("run.json")).unwrap().contains("\"isolation\": \"process\"")
        );
    }
}

#[test]
fn what_breaks_every_time_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let spec = spec(temp.path(), "segfault", Path::new("''"));
    let out = temp.path().join("out");
    let args = [&["run", spec.to_str().unwrap(), "--out", out.to_str().unwrap()], &ISOLATED[..]].concat();
    let output = mamlx(&args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for part in
        ["plugin `faulty`, slot 0, in the episode with seed", "`step` failed", "signal 11", "tried 3 times"]
    {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(std::fs::read_to_string(out.join("run.json")).unwrap().contains("\"failed\""));
    // Errors that a plugin reports are told as in one process, and repeated by nobody.
    let mut said = vec![];
    for isolation in [&ISOLATED[..], &[]] {
        let set = ["--fresh", "--set", "task.params.fault=error_step", "--threads", "1"];
        let output = mamlx(&[&args[..4], &set, isolation].concat()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).to_string();
        said.push(stderr.lines().find(|line| line.starts_with("error")).unwrap().to_string());
    }
    assert!(said[0] == said[1] && said[0].contains("`step` reported: faulty was told to fail"), "{said:?}");
}

/// Every thread has children of its own.
#[cfg(target_os = "linux")]
fn children(pid: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children"));
    let all: String = threads.filter_map(|thread| of(thread).ok()).collect();
    all.split_whitespace().map(String::from).collect()
}

/// Workers are killed from outside, now one and now all; then the run itself is, and its workers end with it.
#[cfg(target_os = "linux")]
#[test]
fn killed_workers_change_no_byte_and_outlive_nobody() {
    let temp = tempfile::tempdir().unwrap();
    let spec = "experiments/point_nav.yaml";
    let longer = [&POINT[..], &["--set", "outer.iterations=40", "--threads", "2"]].concat();
    let (whole, torn) = (temp.path().join("whole"), temp.path().join("torn"));
    run(spec, &whole, &longer);
    let args =
        [&["run", spec, "--out", torn.to_str().unwrap()], &longer[..], &["--set", "isolation=process"]]
            .concat();
    let mut child = mamlx(&args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let length = || std::fs::metadata(torn.join("train.csv")).map_or(0, |file| file.len());
    let (mut killed, mut before) = (0, 0);
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
        // Not before the run has gone on: a worker that breaks again and again at one place is another test.
        if killed == 12 || length() == before {
            continue;
        }
        before = length();
        let workers = children(child.id());
        for worker in workers.iter().take(if killed % 3 == 0 { 1 } else { workers.len() }) {
            let kill = std::process::Command::new("kill").args(["-9", worker]).status();
            killed += usize::from(kill.unwrap().success() && killed < 12);
        }
    }
    assert!(child.wait().unwrap().success() && killed > 3, "{killed}");
    assert_same(&whole, &torn, "workers killed");

    let endless = [&args[..], &["--fresh", "--set", "outer.iterations=1000000"]].concat();
    let mut child = mamlx(&endless).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut workers = vec![];
    while workers.len() < 2 {
        std::thread::sleep(Duration::from_millis(10));
        workers = children(child.id());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let alive = |pid: &String| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z")
    };
    for _ in 0..500 {
        if !workers.iter().any(alive) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("workers outlived the run: {workers:?}");
}
