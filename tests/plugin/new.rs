//! The promise: `mamlx plugin new` writes projects that build and pass `mamlx plugin check` as they are, and the
//! tutorial works word for word.

use crate::run::mamlx;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn said(output: &Output) -> String {
    [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat()
}

/// Where cargo builds the new projects: kept between runs of the tests, because the SDK's dependencies take longest.
fn target() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_mamlx")).ancestors().nth(2).unwrap().join("plugin_new")
}

fn new(folder: &Path, name: &str, more: &[&str]) -> PathBuf {
    let project = folder.join(name);
    let out = project.to_str().unwrap();
    let output = mamlx(&[&["plugin", "new", name, "--out", out], more].concat()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    // The versions that the workspace has, so that nothing is downloaded.
    if project.join("Cargo.toml").exists() {
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"), project.join("Cargo.lock"))
            .unwrap();
    }
    project
}

fn passes_check(name: &str, kind: &str, project: &Path, libraries: &Path) {
    let path = libraries.to_str().unwrap();
    let output = mamlx(&["plugin", "check", name, "--plugin-path", path]).output().unwrap();
    assert!(output.status.success() && !said(&output).contains("FAIL"), "{}", said(&output));
    let experiment = project.join("experiment.yaml");
    let output = mamlx(&["check", experiment.to_str().unwrap(), "--plugin-path", path]).output().unwrap();
    assert!(output.status.success(), "{kind}: {}", said(&output));
}

#[test]
fn projects_in_c_build_and_pass_the_check() {
    let temp = tempfile::tempdir().unwrap();
    for kind in ["env", "tasks", "data"] {
        let name = format!("new_{kind}");
        let project = new(temp.path(), &name, &["--kind", kind, "--lang", "c"]);
        let made = Command::new("make")
            .current_dir(&project)
            .env("CFLAGS", "-std=c11 -O2 -Wall -Wextra -Wpedantic -Werror")
            .output();
        let Ok(output) = made else {
            eprintln!("skipped: no make");
            return;
        };
        assert!(output.status.success(), "{}", said(&output));
        passes_check(&name, kind, &project, &project);
    }
}

#[test]
fn projects_in_rust_build_and_pass_the_check() {
    let temp = tempfile::tempdir().unwrap();
    for kind in ["tasks", "data"] {
        let name = format!("new_{kind}");
        let project = new(temp.path(), &name, &["--kind", kind]);
        let output = cargo(&project, &["build", "--release"]);
        assert!(output.status.success(), "{}", said(&output));
        passes_check(&name, kind, &project, &target().join("release"));
    }
}

fn cargo(project: &Path, args: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut command = Command::new(cargo);
    command.args(args).args(["--offline", "--quiet"]).current_dir(project);
    command.env("CARGO_TARGET_DIR", target()).env_remove("CARGO_INCREMENTAL").output().unwrap()
}

/// Every command of the tutorial's `sh` blocks, in order, in one folder.
#[test]
fn the_tutorial_works_word_for_word() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/your-own-environment.md"));
    let text = text.unwrap();
    let commands: Vec<&str> = text
        .split("```sh\n")
        .skip(1)
        .flat_map(|block| block.split("```").next().unwrap().lines())
        .filter(|line| !line.trim().is_empty())
        .collect();
    assert!(commands.len() >= 9, "{commands:?}");
    let temp = tempfile::tempdir().unwrap();
    let mut folder = temp.path().to_path_buf();
    for line in commands {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = match words[..] {
            ["cd", below] => {
                folder = folder.join(below);
                std::fs::copy(
                    Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"),
                    folder.join("Cargo.lock"),
                )
                .unwrap();
                continue;
            }
            ["cargo", ref args @ ..] => {
                let output = cargo(&folder, args);
                // The folder that the reader has at this place.
                std::os::unix::fs::symlink(target(), folder.join("target")).unwrap();
                output
            }
            ["mamlx", ref args @ ..] => mamlx(args).current_dir(&folder).output().unwrap(),
            _ => panic!("the test does not know what to do with {line}"),
        };
        assert!(output.status.success(), "{line}\n{}", said(&output));
    }
}

#[test]
fn bad_names_and_taken_folders_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("x");
    let call = |name: &str| {
        mamlx(&["plugin", "new", name, "--lang", "c", "--out", out.to_str().unwrap()]).output().unwrap()
    };
    for (name, meant) in
        [("My-World", "`my_world`"), ("2d", "`d`"), ("é!", "a letter first"), ("", "a letter first")]
    {
        let output = call(name);
        assert!(output.status.code() == Some(2) && said(&output).contains(meant), "{}", said(&output));
        assert!(!out.exists());
    }
    assert!(call("fine").status.success());
    assert!(said(&call("fine")).contains("is there already"));
}
