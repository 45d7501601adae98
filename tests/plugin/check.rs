//! `mamlx plugin check`: whatever a plugin does to its process is one failed line.

use crate::libraries;
use crate::run::mamlx;
use std::process::Output;

fn check(name: &str, more: &[&str]) -> (Output, String) {
    libraries::library(name);
    let output = mamlx(&[&["plugin", "check", name], more].concat()).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output, text)
}

/// Fault, a check that it fails, and what the line says.
const DEADLY: [(&str, &str, &str); 4] = [
    ("segfault", "steps", "crashed with signal 11 (segmentation fault)"),
    ("abort", "batch", "crashed with signal 6 (abort)"),
    ("exit", "threads", "it ended the process, with exit code 0"),
    ("hang", "reset", "no end after 1 s"),
];

#[test]
fn a_crash_an_exit_and_a_hang_are_one_line_each() {
    for (fault, failing, says) in DEADLY {
        let set = format!("fault={fault}");
        let checks = format!("create,tasks,{failing},features");
        let (output, text) = check("faulty", &["--set", &set, "--only", &checks, "--time-limit", "1"]);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let line = |name: &str| {
            text.lines().find(|line| line[6..].starts_with(name)).unwrap_or_else(|| panic!("{text}"))
        };
        assert!(line(failing).starts_with("FAIL") && line(failing).contains(says), "{fault}: {text}");
        // The others were run all the same.
        for fine in ["create", "tasks", "features"] {
            assert!(line(fine).starts_with("pass"), "{fault}: {text}");
        }
    }
}

#[test]
fn every_item_has_its_line_and_memory_is_watched() {
    let (output, text) = check("faulty", &[]);
    assert!(output.status.success(), "{text}");
    let names: Vec<&str> = text.lines().map(|line| line[6..27].trim()).collect();
    let expected = [
        "handshake",
        "features",
        "declarations",
        "create",
        "buffers",
        "description",
        "tasks",
        "reset",
        "steps",
        "batch",
        "bounds",
        "tasks differ",
        "bad actions",
        "step before reset",
        "after the end",
        "threads",
        "speed",
        "memory",
    ];
    assert_eq!(names, expected, "{text}");
    let (output, text) = check("faulty", &["--set", "fault=leaks", "--only", "memory"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("100 instances, made and destroyed, left"), "{text}");
    let (output, text) = check("faulty", &["--set", "fault=panic_create"]);
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 4), "{text}");
    for (args, says) in
        [(["--only", "speeed"], "there is no check `speeed`"), (["--set", "falt=x"], "no parameter `falt`")]
    {
        let (output, _) = check("faulty", &args);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(says));
    }
}

/// Here episodes end, so that what comes after their end is seen.
#[test]
fn numbers_are_recorded_and_a_change_is_noticed() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("numbers.json");
    let file = file.to_str().unwrap();
    let only = ["--only", "after the end", "--set", "fault=ends"];
    let (_, text) = check("faulty", &[&only[..], &["--record", file]].concat());
    assert!(text.contains("pass  trace") && text.contains("and a reset begins anew"), "{text}");
    let (_, text) = check("faulty", &[&only[..], &["--against", file]].concat());
    assert!(text.contains("the same"), "{text}");
    let recorded = std::fs::read_to_string(file).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&recorded).unwrap();
    value["trace"][7] = 1.into();
    std::fs::write(file, value.to_string()).unwrap();
    let (output, text) = check("faulty", &[&only[..], &["--against", file]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("number 7 of") && text.contains("raise it"), "{text}");
    value["dynamics_version"] = 99.into();
    std::fs::write(file, value.to_string()).unwrap();
    let (output, _) = check("faulty", &[&only[..], &["--against", file]].concat());
    assert!(output.status.success());
    let (output, _) = check("faulty", &[&only[..], &["--against", file, "--set", "scale=0.5"]].concat());
    assert_eq!(output.status.code(), Some(1));
}
