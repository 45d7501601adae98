//! The promise: what the guide tells a reader to type works, and its links lead somewhere.

use crate::run::{POINT, SINUSOID, mamlx, run};
use std::path::{Path, PathBuf};
use std::process::Command;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn page(name: &str) -> String {
    std::fs::read_to_string(docs().join(name)).unwrap()
}

fn blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(&opening).skip(1).map(|block| block.split("```").next().unwrap().to_string()).collect()
}

/// Python as `PYTHON` names it, or as the shell finds it.
fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".into())
}

#[test]
fn recipes_run_where_their_package_is() {
    let temp = tempfile::tempdir().unwrap();
    run("experiments/sinusoid.yaml", &temp.path().join("sinusoid/s0"), &SINUSOID);
    run("experiments/point_nav.yaml", &temp.path().join("point_nav/s0"), &POINT);
    // Those of trackers need a tracker; they say so in their first line.
    let recipes: Vec<String> = blocks(&page("reading-results.md"), "python")
        .into_iter()
        .filter(|text| text.starts_with("import"))
        .collect();
    assert_eq!(recipes.len(), 4);
    for recipe in recipes {
        let package =
            ["pandas", "polars", "duckdb"].into_iter().find(|p| recipe.contains(&format!("import {p}")));
        let package = package.unwrap();
        let import = Command::new(python()).args(["-c", &format!("import {package}")]).output();
        if !import.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: no {package} in {}", python());
            continue;
        }
        let output =
            Command::new(python()).args(["-c", &recipe]).env("RESULTS", temp.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{package}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("maml") && text.contains("sinusoid"), "{package}: {text}");
    }
}

/// Names of commands and flags in the pages are those of the program.
#[test]
fn commands_of_the_pages_are_known() {
    let mut seen = 0;
    for entry in std::fs::read_dir(docs()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in blocks(&text, "sh").iter().flat_map(|block| block.lines()) {
            let Some(rest) = line.strip_prefix("mamlx ") else { continue };
            let words: Vec<&str> = rest.split_whitespace().collect();
            let depth = if ["plugin", "data"].contains(&words[0]) { 2 } else { 1 };
            let help = mamlx(&[&words[..depth], &["--help"]].concat()).output().unwrap();
            assert!(help.status.success(), "{line}");
            let help = String::from_utf8_lossy(&help.stdout).to_string();
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(help.contains(flag), "{line}: {flag}");
            }
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn links_lead_somewhere() {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let root = docs().parent().unwrap().to_path_buf();
    files.extend(
        ["README.md", "results/README.md", "results/reference/README.md"].map(|name| root.join(name)),
    );
    let mut links = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for target in text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap()) {
            if !target.is_empty() && !target.contains("://") {
                assert!(file.parent().unwrap().join(target).exists(), "{}: {target}", file.display());
                links += 1;
            }
        }
    }
    assert!(links > 20, "{links}");
}

/// The specs that the pages show are accepted as far as they go.
#[test]
fn the_shown_data_set_is_a_spec() {
    let shown = blocks(&page("your-own-dataset.md"), "yaml").remove(0);
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("shown.yaml");
    std::fs::write(&path, shown).unwrap();
    crate::libraries::library("imagefolder");
    let output = mamlx(&["check", path.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
