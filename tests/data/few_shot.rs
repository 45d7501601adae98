//! Classification from a spec file: the same bytes for any number of threads, and tasks that can be learnt.

use super::generated::{Entry, characters, write};
use super::real_omniglot;
use crate::libraries;
use std::path::Path;
use std::process::{Command, Output};

const SPEC: &str = "
name: glyphs
methods: [random, maml, fomaml, finetune, nearest_neighbour]
task: {plugin: glyphs, ways: 5, support: 1, query: 2, params: {noise: 0.02}}
model:
  layers: [flatten, {kind: linear, width: 32}, batch_norm, relu, linear]
  init: xavier
inner: {steps: 1, rate: 0.4, loss: cross_entropy}
outer: {iterations: 60, tasks: 6, optimizer: {kind: adam, rate: 0.005}}
eval: {tasks: 20, steps: 2, every: 30, support: [1, 5]}
";

fn mamlx(args: &[&str], folder: &Path) -> Output {
    let plugins = [libraries::folder(), libraries::folder().join("examples")];
    Command::new(env!("CARGO_BIN_EXE_mamlx"))
        .args(args)
        .env("MAMLX_PLUGIN_PATH", std::env::join_paths(plugins).unwrap())
        .env("MAMLX_DATA", folder)
        .env("MAMLX_CACHE", folder.join("cache"))
        .current_dir(folder)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn any_number_of_threads_classifies_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spec.yaml"), SPEC).unwrap();
    for threads in ["1", "2", "3"] {
        let output = mamlx(&["run", "spec.yaml", "--out", threads, "--threads", threads], folder.path());
        assert!(output.status.success(), "{}", stderr(&output));
    }
    for file in ["train.csv", "eval.csv", "summary.csv", "weights.safetensors"] {
        let read = |threads: &str| std::fs::read(folder.path().join(threads).join(file)).unwrap();
        assert!(read("1") == read("2") && read("1") == read("3"), "{file} differs");
    }
    let summary = std::fs::read_to_string(folder.path().join("1/summary.csv")).unwrap();
    let mean = |method: &str, support: &str, step: &str, metric: &str| -> f32 {
        let start = format!(",{method},test,{support},{step},{metric},");
        let mut lines =
            summary.lines().filter(|line| line.contains(&start) && line.split(',').nth(10) == Some(""));
        lines.next_back().unwrap().split(',').nth(6).unwrap().parse().unwrap()
    };
    let accuracy =
        |method: &str, support: &str, step: &str| -> f32 { mean(method, support, step, "accuracy") };
    // Glyphs with little noise are easy to tell apart once there is an example of each.
    assert!(accuracy("maml", "1", "1") > 0.6, "{summary}");
    assert!(accuracy("maml", "1", "1") > accuracy("maml", "1", "0") + 0.2, "{summary}");
    let manifest = std::fs::read_to_string(folder.path().join("1/run.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let gradients = manifest["gradients"].as_object().unwrap();
    assert_eq!(manifest["data"]["sha256"].as_str().unwrap().len(), 64);
    assert!(gradients.len() == 4 && gradients.values().all(|found| found["holds"] == true), "{gradients:?}");
    // What was learnt of other classes helps fine-tuning beyond an untrained network; of neighbours chance is a fifth.
    assert!(mean("finetune", "1", "1", "loss") < mean("random", "1", "1", "loss") - 0.03, "{summary}");
    assert!(accuracy("nearest_neighbour", "1", "0") > 0.6, "{summary}");
    let rows = std::fs::read_to_string(folder.path().join("1/eval.csv")).unwrap();
    assert!(
        rows.lines().skip(1).all(|row| row.contains(",transductive,")),
        "every row says how batches were normalised"
    );
    let again = mamlx(&["eval", "1", "--out", "again"], folder.path());
    assert!(again.status.success(), "{}", stderr(&again));
    let evaluated = |run: &str| std::fs::read(folder.path().join(run).join("eval.csv")).unwrap();
    assert!(evaluated("1") == evaluated("again"));
    one_classifier_serves_both(folder.path());
    answers_are_those_of_the_rows(folder.path());
}

/// `mamlx replay` of a classification: what the page says of a task and of all tasks is what the result files say.
fn answers_are_those_of_the_rows(folder: &Path) {
    let output = mamlx(&["replay", "1", "--task", "3", "-o", "task.html", "-o", "task.svg"], folder);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let (rows, summary) = (text("1/eval.csv"), text("1/summary.csv"));
    for (line, step) in said.lines().zip(["0", "2"]) {
        let cells = |line: &str| line.split(',').map(str::to_string).collect::<Vec<String>>();
        let wanted = |cells: &Vec<String>| {
            cells[3..7] == ["60", "maml", "test", "1"] && cells[8..10] == ["3".to_string(), step.to_string()]
        };
        let row = rows.lines().map(cells).find(wanted).unwrap();
        let right = 10.0 * row[11].parse::<f64>().unwrap();
        let start = format!("60,maml,test,1,{step},accuracy,");
        let mean = summary.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
        let mean: f64 = mean.split(',').next().unwrap().parse().unwrap();
        assert!(line.contains(&format!(": {right:.0} of 10 queries of task 3 right")), "{line}");
        assert!(line.ends_with(&format!("; {:.2} % over 20 test tasks", 100.0 * mean)), "{line} {mean}");
    }
    assert_eq!(said.lines().count(), 2);
    // Five classes with one support image and two queries.
    assert_eq!(text("task.svg").matches("data:image/png;base64,iVBOR").count(), 15);
    assert!(text("task.html").contains(&text("task.svg")) && text("task.html").contains("Hardest classes"));
    let refused = mamlx(&["replay", "1", "--task", "3", "-o", "task.gif"], folder);
    assert!(
        refused.status.code() == Some(2) && stderr(&refused).contains(".svg or .html"),
        "{}",
        stderr(&refused)
    );
    let refused = mamlx(&["replay", "1", "--task", "20", "-o", "task.svg"], folder);
    assert!(stderr(&refused).contains("20 is not below the 20 test tasks"), "{}", stderr(&refused));
}

#[test]
fn the_digest_of_a_data_set_sees_every_pixel() {
    let plugin = mamlx::plugin::load(&libraries::example("glyphs")).unwrap();
    let digest = |noise: f64| {
        let params = super::params(&[("noise", mamlx::spec::ParamValue::Float(noise))]);
        mamlx::run::few_shot::digest::digest(&mut plugin.data(&params).unwrap()).unwrap()
    };
    assert_eq!(digest(0.0), digest(0.0));
    // A flipped pixel in a thousand is enough.
    assert_ne!(digest(0.0).sha256, digest(0.001).sha256);
    assert_eq!((digest(0.0).items, digest(0.0).hashed), (1000, 1000));
}

/// The second of the two baselines is not trained again, and answers as if it had been.
fn one_classifier_serves_both(folder: &Path) {
    let alone = ["run", "spec.yaml", "--out", "alone", "--set", "methods=[nearest_neighbour]"];
    let output = mamlx(&alone, folder);
    assert!(output.status.success(), "{}", stderr(&output));
    let rows = |run: &str, file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(folder.join(run).join(file)).unwrap();
        let mine = text.lines().filter(|line| line.contains(",nearest_neighbour,"));
        // Without the run's name, which is a hash of the spec.
        mine.map(|line| line.split(',').skip(3).collect::<Vec<_>>().join(",")).collect()
    };
    assert_eq!(rows("alone", "train.csv").len(), 60);
    assert_eq!(rows("1", "train.csv").len(), 0);
    assert_eq!(rows("alone", "eval.csv"), rows("1", "eval.csv"));
    // Twice an evaluation of 20 test and 20 validation tasks with 1 and 5 shots.
    assert_eq!(rows("1", "eval.csv").len(), 2 * 2 * 20 * 2);
}

/// With `eval.select: best` the test rows are of the parameters that were best on validation, and saved weights select
/// the same.
#[test]
fn the_parameters_that_were_best_on_validation_are_tested() {
    let folder = tempfile::tempdir().unwrap();
    // So fast a learner that it gets worse again.
    let spec = SPEC.replace("rate: 0.005", "rate: 0.3").replace("random, maml, fomaml", "maml");
    std::fs::write(folder.path().join("spec.yaml"), spec.replace("every: 30", "every: 6")).unwrap();
    let run = |out: &str, more: &[&str]| {
        let output = mamlx(&[&["run", "spec.yaml", "--out", out], more].concat(), folder.path());
        assert!(output.status.success(), "{}", stderr(&output));
    };
    run("last", &[]);
    run("best", &["--set", "eval.select=best"]);
    let read = |run: &str, file: &str| std::fs::read_to_string(folder.path().join(run).join(file)).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&read("best", "run.json")).unwrap();
    // Rows of a method, split and meta-iteration, without the run's name and the meta-iteration.
    let rows = |run: &str, method: &str, split: &str, iteration: Option<u64>| -> Vec<String> {
        let text = read(run, "eval.csv");
        let cells = text.lines().skip(1).map(|line| line.split(',').skip(3).collect::<Vec<_>>());
        let wanted = iteration.map(|iteration| iteration.to_string());
        let mine = cells.filter(|cells| {
            cells[1..3] == [method, split] && wanted.as_ref().is_none_or(|wanted| cells[0] == wanted)
        });
        mine.map(|cells| cells[1..].join(",")).collect()
    };
    for method in ["maml", "finetune", "nearest_neighbour"] {
        let selected = manifest["selected"][method].as_u64().unwrap();
        let judged = rows("best", method, "test", None);
        assert!(judged.len() >= 2 * 20, "{method}");
        assert_eq!(judged, rows("last", method, "test", Some(selected)), "{method}");
        assert_eq!(judged, rows("best", method, "test", Some(60)), "{method}: once, at the end");
        assert_eq!(rows("best", method, "val", None), rows("last", method, "val", None), "{method}");
    }
    let chosen = manifest["selected"].as_object().unwrap();
    assert!(chosen.values().any(|at| at != 60), "the last was always best, which tests nothing: {chosen:?}");
    let output = mamlx(&["eval", "best", "--out", "again"], folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    for file in ["eval.csv", "summary.csv"] {
        assert!(read("best", file) == read("again", file), "{file}");
    }
}

/// The meta-gradients of few-shot runs, in every mode of batch normalisation, and of a convolutional net on real images.
#[test]
fn gradients_are_certified_before_a_run() {
    let folder = tempfile::tempdir().unwrap();
    for mode in
        ["adapted: true, scale: true", "mode: support", "mode: running", "mode: per_step, adapted: true"]
    {
        let norm = format!("{{kind: batch_norm, {mode}}}");
        let spec = SPEC.replace("batch_norm", &norm).replace("steps: 1, rate", "steps: 3, rate");
        std::fs::write(folder.path().join("spec.yaml"), spec).unwrap();
        let output = mamlx(&["explain", "spec.yaml", "--gradients"], folder.path());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{mode}: {said}{}", stderr(&output));
        assert_eq!(said.lines().filter(|line| line.ends_with("yes")).count(), 4, "{mode}: {said}");
    }
    let Some(real) = real_omniglot() else { return };
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/omniglot_small_5w1s.yaml");
    let args = ["explain", spec, "--gradients", "--data-dir", real.to_str().unwrap()];
    let output = mamlx(&args, folder.path());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("yes"), "{said}{}", stderr(&output));
}

#[test]
fn selection_needs_validation_tasks() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spec.yaml"), SPEC).unwrap();
    let refused = |sets: &[&str], expected: &str| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let output = mamlx(&[&["run", "spec.yaml", "--out", "never"], &sets[..]].concat(), folder.path());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    };
    refused(&["eval.select=best", "eval.every=0"], "one evaluation to choose from");
    let small = ["eval.select=best", "task.ways=6", "task.params.classes=27"];
    refused(
        &small,
        "needs validation tasks: task.ways: a task needs 6 classes, and split `val` of `glyphs` has 5",
    );
}

#[test]
fn what_a_task_needs_is_checked_before_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spec.yaml"), SPEC).unwrap();
    let cases = [
        (&["task.support=15", "task.query=6"][..], "item"),
        (&["task.ways=11"], "split `test` of `glyphs` has 10"),
        (&["task.ways=null"], "`task.ways` is missing"),
        (&["methods=[pretrained]"], "nothing to train on all tasks"),
        (&["task.rotate=true", "eval.task_file=a.csv"], "eval.task_file"),
        (&["model.layers=[relu]"], "model.layers"),
    ];
    for (sets, expected) in cases {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let output = mamlx(&[&["run", "spec.yaml", "--out", "never"], &sets[..]].concat(), folder.path());
        assert_eq!(output.status.code(), Some(2), "{sets:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{sets:?}: {}", stderr(&output));
    }
    let output = mamlx(
        &["check", "spec.yaml", "--set", "task.plugin=sinusoid", "--set", "task.params={}"],
        folder.path(),
    );
    assert!(stderr(&output).contains("`task.ways` is for data sets"), "{}", stderr(&output));
}

/// import, info with a picture, and a short run, as a user would.
#[test]
fn data_is_imported_looked_at_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let (home, elsewhere) = (folder.path().join("home"), folder.path().join("elsewhere"));
    std::fs::create_dir_all(&home).unwrap();
    for (name, alphabets) in
        [("images_background_small1", [("Greek", 6)]), ("images_background_small2", [("Tagalog", 6)])]
    {
        write(&characters(name, &alphabets, 4), &elsewhere.join(format!("{name}.zip")), false);
    }
    let files = ["1", "2"].map(|n| elsewhere.join(format!("images_background_small{n}.zip")));
    let set = ["--set", "images=minimal", "--set", "split=by_file"];
    let first = files[0].to_str().unwrap();
    let alone = mamlx(&[&["data", "import", "omniglot", first], &set[..]].concat(), &home);
    assert_eq!(alone.status.code(), Some(2), "{}", stderr(&alone));
    assert!(stderr(&alone).contains("images_background_small2"), "{}", stderr(&alone));
    assert_eq!(
        std::fs::read_dir(&home).unwrap().filter(|e| e.as_ref().unwrap().file_name() != "cache").count(),
        0
    );
    let both = mamlx(
        &[&["data", "import", "omniglot", first, files[1].to_str().unwrap()], &set[..]].concat(),
        &home,
    );
    assert!(both.status.success(), "{}", stderr(&both));
    let picture = ["--sheet", "task.png", "--ways", "3", "--shots", "2", "--queries", "1", "--rotate"];
    let info = mamlx(&[&["data", "info", "omniglot"], &set[..], &picture].concat(), &home);
    let said = String::from_utf8_lossy(&info.stdout).into_owned();
    assert!(
        info.status.success() && said.contains("train") && said.contains("6 classes"),
        "{said}{}",
        stderr(&info)
    );
    let sheet = image::open(home.join("task.png")).unwrap().into_rgb8();
    // Three rows and three columns of 28-pixel images at twice their size.
    assert_eq!(sheet.dimensions(), (3 * 58 + 2 + 12, 3 * 58 + 2));
    let colours: std::collections::BTreeSet<[u8; 3]> = sheet.pixels().map(|pixel| pixel.0).collect();
    assert!(colours.contains(&[0; 3]) && colours.contains(&[255; 3]));
}

/// Below `eval.support` + `query` items of a class a task cannot be drawn, and the class is named.
#[test]
fn a_class_with_too_few_items_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut images = characters("train", &[("x", 3)], 6);
    images.extend(characters("test", &[("y", 3)], 6));
    images.retain(|entry| !entry.name.contains("y/character02/0002_06"));
    let flat = |entry: Entry| Entry { name: entry.name.replace("/x/", "/x_").replace("/y/", "/y_"), ..entry };
    let images: Vec<Entry> = images.into_iter().map(flat).collect();
    write(&images, &folder.path().join("images.zip"), false);
    let spec = SPEC
        .replace("glyphs, ways: 5", "imagefolder, ways: 3")
        .replace("{noise: 0.02}", "{height: 8, width: 8}");
    std::fs::write(folder.path().join("spec.yaml"), spec.replace("support: [1, 5]", "support: [1, 4]"))
        .unwrap();
    let output = mamlx(&["run", "spec.yaml", "--out", "never"], folder.path());
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("class `y_character02` of split `test` has 5"), "{}", stderr(&output));
}

#[test]
fn the_real_minimal_sets_can_be_learnt_from() {
    let Some(real) = real_omniglot() else { return };
    let folder = tempfile::tempdir().unwrap();
    let spec = "
name: small
methods: [maml]
task:
  plugin: omniglot
  params: {images: minimal, split: by_file}
  ways: 5
  support: 1
  query: 1
  rotate: true
model: {hidden: [32]}
inner: {rate: 0.1}
outer: {iterations: 2, tasks: 2}
eval: {tasks: 4, steps: 1}
";
    std::fs::write(folder.path().join("spec.yaml"), spec).unwrap();
    let real = real.to_str().unwrap();
    let output = mamlx(&["run", "spec.yaml", "--out", "run", "--data-dir", real], folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_diverging_classifier_says_where() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spec.yaml"), SPEC).unwrap();
    let wild = "inner={steps: 5, rate: 1000, loss: cross_entropy}";
    let layers =
        "model.layers=[flatten, {kind: linear, width: 32}, relu, {kind: linear, width: 32}, relu, linear]";
    for methods in ["methods=[maml]", "methods=[fomaml]"] {
        let args =
            ["run", "spec.yaml", "--out", "out", "--fresh", "--set", wild, "--set", layers, "--set", methods];
        let output = mamlx(&args, folder.path());
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        for part in ["at meta-iteration ", ", task ", " (seed ", "` ", " is ", ", inner step ", "/layers["] {
            assert!(stderr(&output).contains(part), "no `{part}` in {}", stderr(&output));
        }
    }
}
