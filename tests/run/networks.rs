//! Runs of networks that are written block by block.

use super::{assert_same, mamlx, run};
use std::path::Path;

const SMALL: &str = "task: {plugin: sinusoid, support: 6, query: 4}\nouter: {iterations: 5, tasks: 3}\n\
    inner: {steps: 2}\neval: {tasks: 4, steps: 3, every: 2, support: [6, 3]}\n";

fn spec(folder: &Path, name: &str, model: &str) -> String {
    let path = folder.join(format!("{name}.yaml"));
    let methods = "methods: [maml, fomaml, pretrained, random, oracle, averaged_l2, context]\n\
        averaged: {regressors: 3, max_steps: 10}";
    std::fs::write(&path, format!("name: x\n{methods}\n{SMALL}model: {model}\n")).unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
fn every_batch_mode_and_a_recurrent_network_run_and_saved_weights_evaluate_to_the_same_rows() {
    for layers in [
        "[{kind: linear, width: 8}, batch_norm, relu, linear]",
        "[{kind: linear, width: 8}, {kind: batch_norm, mode: support}, relu, linear]",
        "[{kind: linear, width: 8}, {kind: batch_norm, mode: running, scale: true}, relu, linear]",
        "[{kind: linear, width: 8}, {kind: batch_norm, mode: per_step, adapted: true}, relu, linear]",
        "[{kind: gru, width: 5}, layer_norm, linear]",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(folder.path(), "spec", &format!("{{layers: {layers}}}"));
        let (one, three) = (folder.path().join("one"), folder.path().join("three"));
        run(&spec, &one, &["--threads", "1"]);
        run(&spec, &three, &["--threads", "3"]);
        assert_same(&one, &three, layers);
        let again = folder.path().join("again");
        let args = ["eval", one.to_str().unwrap(), "--out", again.to_str().unwrap()];
        let output = mamlx(&args).output().unwrap();
        assert!(output.status.success(), "{layers}: {}", String::from_utf8_lossy(&output.stderr));
        let read = |folder: &Path| std::fs::read(folder.join("eval.csv")).unwrap();
        assert!(read(&one) == read(&again), "{layers}: eval.csv differs");
    }
}

#[test]
fn the_short_form_and_its_blocks_learn_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let short = spec(folder.path(), "short", "{hidden: [9, 7], activation: tanh}");
    let layers = "[{kind: linear, width: 9}, tanh, {kind: linear, width: 7}, tanh, linear]";
    let blocks = spec(folder.path(), "blocks", &format!("{{layers: {layers}}}"));
    // The run's name, a hash of the spec, differs; everything learned does not.
    let learned = |spec: &str, name: &str| {
        let out = folder.path().join(name);
        run(spec, &out, &[]);
        let rows = std::fs::read_to_string(out.join("eval.csv")).unwrap();
        let run_name = rows.lines().nth(1).unwrap().split(',').find(|cell| cell.starts_with("s0-")).unwrap();
        rows.replace(run_name, "")
    };
    assert_eq!(learned(&short, "short"), learned(&blocks, "blocks"));
}

#[test]
fn layers_that_do_not_fit_the_plugin_are_refused_at_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let model = "\n  layers:\n    - {kind: conv, filters: 3}\n    - linear";
    let output = mamlx(&["check", &spec(folder.path(), "bad", model)]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("bad.yaml:10:") && text.contains("`conv` takes images"), "{text}");
    let model = "{layers: [{kind: linear, width: 3}]}";
    let output = mamlx(&["check", &spec(folder.path(), "end", model)]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).to_string();
    assert!(text.contains("end.yaml:8:") && text.contains("the task asks for 1 number"), "{text}");
}

#[test]
fn a_memory_budget_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let layers = "[{kind: linear, width: 8}, batch_norm, relu, linear]";
    let spec = spec(folder.path(), "spec", &format!("{{layers: {layers}}}"));
    let seven = ["--set", "inner.steps=7", "--set", "methods=[maml, fomaml, pretrained]"];
    let out = |name: &str| folder.path().join(name);
    run(&spec, &out("whole"), &[&seven[..], &["--threads", "1"]].concat());
    for (name, more) in [
        ("little", &["--set", "memory_budget=120 KiB", "--threads", "3"][..]),
        ("less", &["--set", "memory_budget=40 KiB", "--threads", "1"]),
    ] {
        run(&spec, &out(name), &[&seven[..], more].concat());
        assert_same(&out("whole"), &out(name), name);
    }
}
