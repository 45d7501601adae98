//! The promise: the house is as its plan says. Imports follow the table in `src/lib.rs`, and files stay small.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Who may import whom; `error` and `random` are open to all.
const ARROWS: [(&str, &[&str]); 11] = [
    ("spec", &[]),
    ("graph", &[]),
    ("record", &[]),
    ("nn", &["graph"]),
    ("meta", &["spec", "graph", "nn"]),
    ("lower", &["graph"]),
    ("plugin", &["spec"]),
    ("run", &["spec", "graph", "nn", "meta", "lower", "plugin", "record"]),
    ("data", &["spec", "plugin", "run"]),
    ("bench", &["spec", "graph", "nn", "meta", "lower", "plugin", "record", "run"]),
    ("cli", &["spec", "graph", "nn", "meta", "lower", "plugin", "record", "run", "data", "bench"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Rooms named after every `crate::` of a text.
fn imports(text: &str) -> Vec<String> {
    let word =
        |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.flat_map(|line| [line, "\n"]).collect();
    let mut rooms = vec![];
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            // `use crate::{graph::Plan, lower::lower}` names several rooms.
            Some(list) => {
                rooms.extend(list.split('}').next().unwrap_or("").split(',').map(|part| word(part.trim())))
            }
            None => rooms.push(word(rest)),
        }
    }
    rooms
}

#[test]
fn imports_follow_the_plan() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let src = root().join("src");
    let mut files = vec![];
    sources(&src, &mut files);
    let mut arrows = 0;
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap();
        let Some(may) = allowed.get(room) else { continue };
        for target in imports(&std::fs::read_to_string(&file).unwrap()) {
            let known = allowed.contains_key(target.as_str());
            let fine = !known || target == room || may.contains(&target.as_str());
            assert!(
                fine,
                "{} imports {target}, which the plan in src/lib.rs does not allow",
                inside.display()
            );
            arrows += usize::from(known && target != room);
        }
    }
    assert!(arrows > 30, "only {arrows} imports were found; the test no longer reads the code");
}

#[test]
fn files_stay_small_and_are_named_for_what_they_hold() {
    let mut files = vec![];
    for folder in ["src", "plugins", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    for file in files {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines", file.display());
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(
            !["util", "utils", "helper", "helpers", "manager", "misc"].contains(&name),
            "{}",
            file.display()
        );
    }
}

#[test]
fn each_driver_is_spoken_to_in_one_file_and_gpu_kernels_know_no_processor() {
    let src = root().join("src");
    let mut files = vec![];
    sources(&src, &mut files);
    let mut seen = 0;
    for file in files {
        let inside = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        let text = std::fs::read_to_string(&file).unwrap();
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for (word, home) in [("wgpu::", "lower/gpu/graphics.rs"), ("cudarc::", "lower/gpu/cuda.rs")] {
            assert!(!code.contains(word) || inside == home, "{inside} speaks to {word}, which {home} does");
            seen += usize::from(code.contains(word));
        }
        let processor = inside.starts_with("lower/gpu/") && code.contains("cpu::");
        assert!(!processor, "{inside} knows the processor's lowering");
    }
    assert_eq!(seen, 2, "the test no longer reads the code");
}
