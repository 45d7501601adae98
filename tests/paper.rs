//! The promise: one command runs the paper's experiments within a budget, goes on where it stopped, and writes a table and
//! a page that say what is ours, what is the paper's, and what is not there.

use crate::libraries;
use crate::run::mamlx;
use mamlx::record::paper::PAPER_HEADER;
use std::collections::BTreeMap;
use std::path::Path;

type Row = BTreeMap<String, String>;

fn table(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    assert_eq!(header.iter().collect::<Vec<_>>(), PAPER_HEADER);
    let row =
        |record: csv::StringRecord| header.iter().zip(&record).map(|(k, v)| (k.into(), v.into())).collect();
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn find<'a>(rows: &'a [Row], experiment: &str, method: &str, support: &str, step: &str) -> &'a Row {
    let wanted = [("experiment", experiment), ("method", method), ("support", support), ("inner_step", step)];
    let mut found = rows.iter().filter(|row| wanted.iter().all(|(key, value)| row[*key] == *value));
    let row = found.next().unwrap_or_else(|| panic!("no row {wanted:?}"));
    assert!(found.next().is_none(), "two rows {wanted:?}");
    row
}

/// Three of the paper's experiments, small; the third has no data here.
fn experiments(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    std::fs::create_dir_all(folder.join("tasks")).unwrap();
    std::fs::copy(root.join("tasks/point_goal.csv"), folder.join("tasks/point_goal.csv")).unwrap();
    let edit = |name: &str, changes: &[(&str, &str)]| {
        let mut text = std::fs::read_to_string(root.join(name)).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{name} no longer has {from:?}");
            text = text.replace(from, to);
        }
        std::fs::write(folder.join(name), text).unwrap();
    };
    let sinusoid = [
        ("iterations: 70000", "iterations: 40"),
        ("methods: [maml, pretrained, oracle]", "methods: [maml]"),
        ("log_every: 100", "log_every: 1"),
        ("regressors: 500", "regressors: 2"),
        ("max_steps: 10000", "max_steps: 20"),
        ("  tasks: 600\n", "  tasks: 60\n  every: 10\n"),
    ];
    edit("sinusoid.yaml", &sinusoid);
    let point = [
        ("iterations: 100\n", "iterations: 100000\n"),
        ("  tasks: 20\n", "  tasks: 2\n"),
        ("support: 20\n", "support: 2\n"),
        ("query: 20\n", "query: 2\n"),
        ("methods: [maml, pretrained, random, oracle]", "methods: [random, maml]"),
        ("hidden: [100, 100]", "hidden: [8]"),
        ("  rate: 0.5\n  order", "  rate: 0.01\n  order"),
        ("kl: 0.01, products: finite_difference", "kl: 0.0001"),
        ("support: 40\n  # At", "support: 2\n  # At"),
    ];
    edit("point_nav.yaml", &point);
    edit("omniglot_5w1s.yaml", &[]);
}

#[test]
fn a_budget_an_interruption_and_what_is_not_there() {
    let temp = tempfile::tempdir().unwrap();
    let (specs, out) = (temp.path().join("specs"), temp.path().join("out"));
    experiments(&specs);
    let paper = |more: &[&str]| {
        let (specs, out) = (specs.to_str().unwrap(), out.to_str().unwrap());
        let data = temp.path().join("nothing");
        let args = [&["paper", "--experiments", specs, "--out", out], more].concat();
        let mut command = mamlx(&args);
        command.env("MAMLX_DATA", &data).env("XDG_DATA_HOME", &data).env("HOME", &data);
        command.output().unwrap()
    };
    let first = paper(&["--budget", "5s"]);
    let stderr = String::from_utf8_lossy(&first.stderr).to_string();
    assert_eq!(first.status.code(), Some(75), "{stderr}");
    assert!(
        stderr.contains("omniglot_5w1s has no data here; `mamlx data fetch omniglot` brings it."),
        "{stderr}"
    );
    assert!(stderr.contains("the budget is spent; 2 of 4 runs are open"), "{stderr}");

    let rows = table(&out.join("paper.csv"));
    let done = find(&rows, "sinusoid", "maml", "5", "1");
    assert_eq!((&done["published"][..], &done["planned"][..], &done["iterations"][..]), ("0.67", "40", "40"));
    assert_eq!((&done["over"][..], &done["tasks"][..], &done["note"][..]), ("tasks", "60", ""));
    assert!(done["verdict"].starts_with("short by"), "{done:?}");
    assert_eq!(
        find(&rows, "sinusoid", "maml", "5", "0")["verdict"],
        "",
        "nothing is to be reached before adaptation"
    );
    // The methods that the file leaves out were run beside it.
    assert_eq!(find(&rows, "sinusoid", "pretrained", "5", "10")["seeds"], "1");
    let begun = find(&rows, "point_nav", "maml", "40", "1");
    assert!(begun["note"].contains("of 100000 iterations, not evaluated yet; mamlx run"), "{begun:?}");
    let lacking = find(&rows, "omniglot_5w1s", "maml", "1", "3");
    assert_eq!((&lacking["verdict"][..], &lacking["mean"][..]), ("not run", ""));
    assert!(lacking["note"].starts_with("mamlx data fetch omniglot && mamlx run"), "{lacking:?}");

    // The same command goes on: what is done is skipped, what is not goes further.
    let trained = |rows: &[Row]| -> u64 {
        let note = &find(rows, "point_nav", "maml", "40", "1")["note"];
        note.split(' ').next().unwrap().parse().unwrap()
    };
    let again = paper(&["--budget", "1s"]);
    assert_eq!(again.status.code(), Some(75));
    assert!(
        !String::from_utf8_lossy(&again.stderr).contains("sinusoid (s0"),
        "a finished run is not begun again"
    );
    let later = table(&out.join("paper.csv"));
    assert!(trained(&later) > trained(&rows));
    assert_eq!(find(&later, "sinusoid", "maml", "5", "1"), done);

    let seeds = paper(&["--only", "sinusoid", "--seeds", "2"]);
    assert_eq!(seeds.status.code(), Some(0), "{}", String::from_utf8_lossy(&seeds.stderr));
    let rows = table(&out.join("paper.csv"));
    let both = find(&rows, "sinusoid", "maml", "5", "1");
    assert_eq!((&both["seeds"][..], &both["over"][..]), ("2", "seeds"));
    assert!(rows.iter().all(|row| row["experiment"] == "sinusoid"));

    let html = std::fs::read_to_string(out.join("paper.html")).unwrap();
    for outside in ["<script", "src=", "href=", "@import", "url("] {
        assert!(!html.contains(outside), "the page reaches outside: {outside}");
    }
    assert!(html.contains("<svg ") && html.contains("2 seeds"));
    assert_eq!(paper(&["--only", "sinusiod"]).status.code(), Some(2));
}

/// Runs that stopped early or differ from the experiment's file say so, and the nearest to the file speaks.
#[test]
fn partial_and_differing_runs_are_told_apart() {
    let temp = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/reference/cheetah_vel/s0");
    let folder = temp.path().join("cheetah_vel");
    let copy = |name: &str, changes: &[(&str, &str)], without: &[&str]| {
        let to = folder.join(name);
        std::fs::create_dir_all(&to).unwrap();
        for file in ["spec.yaml", "run.json", "summary.csv", "train.csv", "timing.csv"] {
            if without.contains(&file) {
                continue;
            }
            let mut text = std::fs::read_to_string(root.join(file)).unwrap();
            if file == "spec.yaml" || file == "run.json" {
                changes.iter().for_each(|(from, to)| text = text.replace(from, to));
            }
            std::fs::write(to.join(file), text).unwrap();
        }
    };
    copy("s0", &[("\"done\"", "\"running\""), ("iterations: 200", "iterations: 500")], &[]);
    copy("s1", &[("\"seed\": 0", "\"seed\": 1"), ("seed: 0", "seed: 1")], &[]);
    copy("fast", &[("  rate: 0.1\n", "  rate: 0.3\n")], &[]);
    copy("long", &[("iterations: 200", "iterations: 600")], &[]);
    // A third seed that was trained for less: no part of the mean, but not passed over either.
    copy("s3", &[("\"seed\": 0", "\"seed\": 3"), ("seed: 0", "seed: 3")], &[]);
    let summary = std::fs::read_to_string(root.join("summary.csv")).unwrap();
    let (last, less): (Vec<&str>, Vec<&str>) = summary.lines().partition(|row| row.starts_with("200,"));
    assert!(last.len() > 8 && less.len() > last.len());
    std::fs::write(folder.join("s3/summary.csv"), less.join("\n") + "\n").unwrap();
    let there = less.iter().find(|row| row.starts_with("180,maml,test,20,1,return,")).unwrap();
    let there: f64 = there.split(',').nth(6).unwrap().parse().unwrap();
    let there = mamlx::record::number::short_text(there);
    copy("begun", &[("\"seed\": 0", "\"seed\": 2")], &["summary.csv", "train.csv", "timing.csv"]);
    std::fs::create_dir_all(folder.join("torn")).unwrap();
    std::fs::write(folder.join("torn/run.json"), "{").unwrap();
    let output =
        mamlx(&["paper", "--from", temp.path().to_str().unwrap(), "--only", "cheetah_vel"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.contains("torn is left out"), "{stderr}");
    let rows = table(&temp.path().join("paper.csv"));
    let row = find(&rows, "cheetah_vel", "maml", "20", "1");
    assert_eq!(
        (&row["note"][..], &row["seeds"][..], &row["differs"][..]),
        (&format!("200 of 500 iterations; seed 3 after 180: {there}")[..], "2", "")
    );
    assert_eq!((&row["published"][..], &row["engine"][..]), ("-78.57", "rapier2d; the paper's: MuJoCo"));
    let oracle = find(&rows, "cheetah_vel", "oracle", "20", "0");
    assert_eq!(oracle["note"], "mamlx run experiments/cheetah_vel.yaml --set methods=[oracle]");
    let html = std::fs::read_to_string(temp.path().join("paper.html")).unwrap();
    assert!(html.contains("inner.rate=0.3") && html.contains("unfinished"));
    assert!(html.contains("outer.iterations=600") && !html.contains("outer.iterations=200"));

    std::fs::remove_dir_all(folder.join("s0")).unwrap();
    std::fs::remove_dir_all(folder.join("s1")).unwrap();
    std::fs::remove_dir_all(folder.join("s3")).unwrap();
    assert!(
        mamlx(&["paper", "--from", temp.path().to_str().unwrap(), "--only", "cheetah_vel"])
            .status()
            .unwrap()
            .success()
    );
    let rows = table(&temp.path().join("paper.csv"));
    assert_eq!(find(&rows, "cheetah_vel", "maml", "20", "1")["differs"], "inner.rate=0.3");
}

#[test]
fn the_committed_table_is_what_the_committed_runs_say() {
    libraries::library("sinusoid");
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().to_str().unwrap();
    let output = mamlx(&["paper", "--from", "results/reference", "--out", out]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/reference/paper.csv");
    let (ours, theirs) =
        (std::fs::read_to_string(temp.path().join("paper.csv")), std::fs::read_to_string(committed));
    assert!(
        ours.unwrap() == theirs.unwrap(),
        "run `mamlx paper --from results/reference` and commit what it writes"
    );
}

/// Every shipped experiment has its line in the paper's list, or the page would be silent about it.
#[test]
fn every_shipped_experiment_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = table(&root.join("results/reference/paper.csv"));
    for entry in std::fs::read_dir(root.join("experiments")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let published = std::fs::read_to_string(&path).unwrap().contains("\npublished:");
            assert!(!published || rows.iter().any(|row| row["experiment"] == name), "{name}");
        }
    }
}
