//! The promise: a replay shows what eval.csv says, in files that other programs read.

use crate::libraries;
use std::path::Path;
use std::process::{Command, Output};

fn mamlx(args: &[&str]) -> Output {
    for plugin in ["sinusoid", "point", "cheetah"] {
        libraries::library(plugin);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_mamlx"));
    command.args(args).env("MAMLX_PLUGIN_PATH", libraries::folder()).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().unwrap()
}

/// A run of a few seconds at most.
fn run(experiment: &str, out: &Path, more: &[&str]) {
    let mut args = vec!["run", experiment, "--out", out.to_str().unwrap()];
    let few = ["outer.iterations=1", "outer.tasks=2", "eval.tasks=3", "eval.every=0", "eval.select=last"];
    for set in few.iter().chain(more) {
        args.extend(["--set", set]);
    }
    let output = mamlx(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The returns in eval.csv of a task and a method, as they are printed there.
fn returns(run: &Path, method: &str, task: &str) -> Vec<String> {
    cells(run, "return", method, task)
}

/// A column of a task and a method.
fn cells(run: &Path, column_name: &str, method: &str, task: &str) -> Vec<String> {
    let text = std::fs::read_to_string(run.join("eval.csv")).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|cell| *cell == name).unwrap();
    let (methods, tasks, wanted) = (column("method"), column("task"), column(column_name));
    let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|row| row[methods] == method && row[tasks] == task)
        .map(|row| row[wanted].to_owned())
        .collect()
}

#[test]
fn a_replay_shows_what_eval_csv_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let point = folder.path().join("point");
    run("experiments/point_nav.yaml", &point, &["task.support=5", "task.query=5", "methods=[maml, oracle]"]);
    let files = ["a.gif", "a.html", "a.svg"].map(path);
    let replay =
        ["replay", point.to_str().unwrap(), "--task", "1", "-o", &files[0], "-o", &files[1], "-o", &files[2]];
    let output = mamlx(&replay);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let shown: Vec<&str> = printed.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(shown, returns(&point, "maml", "1"));
    assert_eq!(shown.len(), 4);

    let bytes = std::fs::read(&files[0]).unwrap();
    let mut gif = gif::DecodeOptions::new().read_info(&bytes[..]).unwrap();
    let mut frames = 0;
    while gif.read_next_frame().unwrap().is_some() {
        frames += 1;
    }
    assert!(frames > 10 && gif.width() > 4 * 320, "{frames} frames");
    let page = std::fs::read_to_string(&files[1]).unwrap();
    assert_eq!(page.matches("\"frames\":[").count(), 4);
    assert!(!page.contains("http") && !page.contains("/*SCENE*/"), "the page loads nothing");
    // Twenty trails in each of four panes.
    let svg = std::fs::read_to_string(&files[2]).unwrap();
    assert_eq!(svg.matches("<polyline").count(), 80);

    // The same command gives the same bytes, and a selection the same panes.
    let again = mamlx(&["replay", point.to_str().unwrap(), "--task", "1", "--steps", "0,3", "-o", &files[2]]);
    assert_eq!(String::from_utf8_lossy(&again.stdout).lines().collect::<Vec<_>>(), {
        let lines: Vec<&str> = printed.lines().collect();
        [lines[0], lines[3]]
    });
    // The oracle sees the goal and is not adapted.
    let oracle =
        mamlx(&["replay", point.to_str().unwrap(), "--task", "0", "--method", "oracle", "-o", &files[2]]);
    let printed = String::from_utf8(oracle.stdout).unwrap();
    assert_eq!(printed.trim().rsplit(' ').next().unwrap(), returns(&point, "oracle", "0")[0]);

    // Each table of the breakdown is of its own tasks.
    let report = mamlx(&["report", point.to_str().unwrap(), "--by", "task_goal_x", "--bands", "-0.5,0,0.5"]);
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(report.contains("task_goal_x -0.5000 to 0 (") && report.contains("support 40"), "{report}");

    for (args, word) in [
        (&["--task", "3"][..], "3 test tasks"),
        (&["--task", "0", "--method", "random"], "maml, oracle"),
        (&["--task", "0", "--method", "oracle", "--steps", "0,1"], "at most 0 steps"),
        (&["--task", "0", "--steps", "2..1"], "number"),
        (&["--task", "0", "--iteration", "7"], "--iteration"),
        (&["--task", "0", "--support", "7"], "[40]"),
        (&["--task", "0", "--episode", "40"], "40 episodes"),
        (&["--task", "0", "-o", "a.bmp"], ".gif, .html, .svg or .png"),
    ] {
        let output = mamlx(&[&["replay", point.to_str().unwrap(), "-o", &files[0]], args].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(word), "{args:?}: {error}");
    }
}

/// A side view of a robot, whose episodes end only with the horizon.
#[test]
fn a_robot_can_be_watched() {
    let folder = tempfile::tempdir().unwrap();
    let cheetah = folder.path().join("cheetah");
    let sets = ["methods=[random]", "task.horizon=20", "eval.support=4", "task.support=4", "task.query=4"];
    run("experiments/cheetah_dir.yaml", &cheetah, &sets);
    let file = folder.path().join("run.html");
    let output = mamlx(&["replay", cheetah.to_str().unwrap(), "--task", "2", "-o", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.contains("\"side\":true,\"secs\":0.01"), "{}", &page[..200]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let shown: Vec<&str> = printed.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(shown, returns(&cheetah, "random", "2"));
}

#[test]
fn a_function_is_shown_with_what_each_method_takes_it_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let sinusoid = folder.path().join("sinusoid");
    run("experiments/sinusoid.yaml", &sinusoid, &["methods=[maml, pretrained, oracle]", "eval.steps=2"]);
    let run = sinusoid.to_str().unwrap();
    let (svg, png) = (path("fit.svg"), path("fit.png"));
    let replay = ["replay", run, "--task", "1", "--support", "10", "-o", &svg, "-o", &png];
    let output = mamlx(&replay);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let shown: Vec<&str> = printed.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    // Rows of 5, 10 and 20 support points, three steps each.
    let losses = |method| cells(&sinusoid, "loss", method, "1")[3..6].to_vec();
    assert_eq!(shown, [losses("maml"), losses("pretrained")].concat());
    let text = std::fs::read_to_string(&svg).unwrap();
    // The function and three fits for each of two methods, and ten points, once more in the legend.
    assert_eq!((text.matches("<polyline").count(), text.matches("<path d=\"M").count() > 22), (8, true));
    let pixels = image::open(&png).unwrap();
    assert_eq!((pixels.width(), pixels.height()), (1520, 1760));

    let oracle = mamlx(&["replay", run, "--task", "0", "--method", "oracle", "-o", &svg]);
    let printed = String::from_utf8(oracle.stdout).unwrap();
    assert_eq!(printed.trim().rsplit(' ').next().unwrap(), cells(&sinusoid, "loss", "oracle", "0")[0]);
    for (args, word) in [
        (&["--task", "0", "-o", "a.gif"][..], ".svg or .png"),
        (&["--task", "3", "-o", &svg], "3 test tasks"),
        (&["--task", "0", "--steps", "0,3", "-o", &svg], "up to 2"),
    ] {
        let output = mamlx(&[&["replay", run], args].concat());
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(word), "{args:?}: {error}");
    }
}
