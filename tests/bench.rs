//! The promise: `mamlx bench` times what it says, in the format of the peers' scripts, and refuses what it does not know.

use crate::run::mamlx;
use mamlx::bench::Workload;
use serde_json::Value;
use std::process::Output;

fn bench(arguments: &[&str]) -> Output {
    mamlx(&[&["bench"], arguments].concat()).output().unwrap()
}

/// Counted by hand with the peers' script `flops.py`, GFLOP a step.
#[test]
fn operations_are_those_counted_by_hand() {
    for (name, gigaflops) in [
        ("sine1", 0.00996),
        ("sine5", 0.0398),
        ("omni5", 9.985),
        ("omni20", 79.77),
        ("mini", 88.68),
        ("rl-grad", 22.27),
        ("rl-fvp", 29.06),
    ] {
        let found = Workload::named(name).unwrap().flops().unwrap() / 1e9;
        assert!((found / gigaflops - 1.0).abs() < 1e-3, "{name}: {found} instead of {gigaflops}");
    }
    assert!(Workload::named("rl-cg10").unwrap().flops().is_none());
}

#[test]
fn a_workload_is_one_line_with_the_peers_keys() {
    let done = bench(&["sine1-near", "--json", "--repetitions", "1", "--threads", "1"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let line: Value = serde_json::from_slice(&done.stdout).unwrap();
    for key in
        ["framework", "workload", "variant", "threads", "ms_per_meta_step", "ms_min", "ms_max", "compile_s"]
    {
        assert!(!line[key].is_null(), "{key} in {line}");
    }
    assert_eq!(line["workload"], "sine1-near");
    for key in ["ms_per_meta_step", "gflops", "sgemm_gflops"] {
        assert!(line[key].as_f64().unwrap() > 0.0, "{key} in {line}");
    }
}

#[test]
fn a_device_that_is_not_here_is_refused() {
    for (device, expected) in [("tpu", "cpu, cuda, metal, vulkan"), ("metal", "device: metal")] {
        if cfg!(target_vendor = "apple") && device == "metal" {
            continue;
        }
        let done = bench(&["sine1-near", "--device", device, "--json"]);
        let text = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

/// 20 episodes of at most 100 steps a thread; on two threads as many on each.
#[test]
fn environments_are_timed_by_the_step() {
    for (workload, threads) in [("env-point", "1"), ("sample-point", "2")] {
        let done = bench(&[workload, "--json", "--repetitions", "1", "--threads", threads]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let line: Value = serde_json::from_slice(&done.stdout).unwrap();
        let number = |key: &str| line[key].as_f64().unwrap();
        let steps = number("env_steps_per_s") * number("ms_per_meta_step") / 1e3;
        let most = 2000.0 * number("threads");
        assert!(steps.round() <= most && steps > most / 10.0, "{workload}: {steps} steps");
        assert!(line["gflops"].is_null() && line["tasks_per_s"].is_null(), "{line}");
    }
}

#[test]
fn sizes_and_a_memory_budget_are_taken_and_growth_is_shown() {
    let many = ["sine1-near", "--tasks", "2", "--steps", "40", "--repetitions", "1", "--threads", "1"];
    let measure = |more: &[&str]| bench(&[&many[..], more].concat());
    let line = |more: &[&str]| -> Value {
        let done = measure(&[&["--json"], more].concat());
        serde_json::from_slice(&done.stdout).unwrap()
    };
    let bytes = |line: &Value| line["bytes_per_task"].as_u64().unwrap();
    let (whole, little) = (line(&[]), line(&["--memory-budget", "300 KiB"]));
    assert_eq!((&whole["tasks"], &whole["steps"]), (&2.into(), &40.into()));
    assert!(bytes(&little) <= 300 << 10 && 2 * bytes(&little) < bytes(&whole), "{little} {whole}");
    for (budget, expected) in [("9 KiB", "is too little"), ("300", "say of what: 300 MiB")] {
        let done = measure(&["--memory-budget", budget, "--json"]);
        let text = String::from_utf8(done.stderr).unwrap();
        assert!(!done.status.success() && text.contains(expected), "{budget}: {text}");
    }
    let done = bench(&["sine1-near", "--scaling=2", "--repetitions", "1"]);
    let text = String::from_utf8(done.stdout).unwrap();
    for part in ["tasks", "steps", "x2, ms", "off a line", "2 threads, ms"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn kernels_are_shown_with_their_share() {
    let done = bench(&["sine1-near", "--kernels", "2"]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.lines().skip(1).all(|line| line.contains(" ms ") && line.contains(" %  ")), "{text}");
}

#[test]
fn what_is_not_there_is_refused() {
    for (arguments, expected) in [
        (&["sine2"][..], "did you mean `sine1`?"),
        (&["--save", "/tmp/x", "sine1", "sine5"], "--save goes with one workload"),
        (&["sine1", "--data", "/nowhere/x.safetensors", "--json"], "/nowhere/x.safetensors"),
    ] {
        let done = bench(arguments);
        let text = String::from_utf8(done.stderr).unwrap();
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert!([2, 3].contains(&done.status.code().unwrap()), "{arguments:?}: {:?}", done.status);
    }
    for option in ["--kernels", "--save"] {
        let done = bench(&["env-point", option, "9"]);
        assert_eq!(done.status.code(), Some(2), "{option}: {}", String::from_utf8_lossy(&done.stderr));
    }
    let list = String::from_utf8(bench(&["--list"]).stdout).unwrap();
    assert!(["sine1", "mini", "rl-cg10"].iter().all(|name| list.contains(name)), "{list}");
}
