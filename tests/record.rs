//! Numbers → bytes: exact text, rows, run.json, weights, hand-computed statistics, tables and pictures.

use mamlx::error::{Error, Result};
use mamlx::random::{Purpose, stream};
use mamlx::record::curves::{Slice, adaptation_picture, adaptation_table, learning_picture};
use mamlx::record::folder::{EVAL_FILE, TIMING_FILE, TRAIN_FILE};
use mamlx::record::number::{f32_text, f64_text, short_text};
use mamlx::record::progress::{Pace, PlainClock, format_duration, format_rate};
use mamlx::record::read::{read_eval, read_train};
use mamlx::record::row::{EVAL_HEADER, SUMMARY_HEADER, TIMING_HEADER, TRAIN_HEADER};
use mamlx::record::stats::{Estimate, paired};
use mamlx::record::*;
use rand::Rng;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[test]
fn a_million_random_floats_survive_their_text() {
    let mut random = stream(1, Purpose::Init, 0, 0, 0);
    let mut longest = 0;
    for _ in 0..1_000_000 {
        let value = f32::from_bits(random.next_u32());
        let text = f32_text(value);
        let back: f32 = text.parse().unwrap();
        assert!(back.to_bits() == value.to_bits() || (back.is_nan() && value.is_nan()), "{value:?} {text}");
        longest = longest.max(text.len());
    }
    assert!(longest <= 16, "the exponent form keeps cells short; found {longest} characters");
}

#[test]
fn floats_are_the_shortest_text_with_exponents_at_the_extremes() {
    let cases: [(f32, &str); 14] = [
        (0.1, "0.1"),
        (-129.53, "-129.53"),
        (0.0, "0"),
        (-0.0, "-0"),
        (16_777_216.0, "16777216"),
        (1e9, "1e9"),
        (-3.4028235e38, "-3.4028235e38"),
        (1e-5, "0.00001"),
        (9.9e-6, "9.9e-6"),
        (1e-45, "1e-45"),
        (f32::NAN, "NaN"),
        (-f32::NAN, "NaN"),
        (f32::INFINITY, "inf"),
        (f32::NEG_INFINITY, "-inf"),
    ];
    for (value, text) in cases {
        assert_eq!(f32_text(value), text);
    }
    assert_eq!(f64_text(0.1 + 0.2), "0.30000000000000004");
    assert_eq!(
        [0.0, 0.0123456, 3.21987, -129.5349, 70000.0].map(short_text),
        ["0", "0.0123", "3.220", "-129.5", "70000"]
    );
}

pub fn identity() -> Identity {
    Identity { experiment: "points, \"far\"".to_string(), run: "s7-abcdef".to_string(), seed: 7 }
}

pub fn train_row(iteration: u64) -> TrainRow {
    TrainRow {
        method: "maml".to_string(),
        iteration,
        tasks_seen: 20 * iteration,
        env_steps: Some(40_000 * iteration),
        loss_outer: Some(1.0 / iteration as f32),
        return_pre: Some(-40.41),
        return_post: Some(f32::NEG_INFINITY),
        kl: None,
        step_accepted: Some(iteration.is_multiple_of(2)),
    }
}

pub fn eval_row(iteration: u64, method: &str, task: u32, inner_step: u32, episode_return: f32) -> EvalRow {
    EvalRow {
        iteration,
        method: method.to_string(),
        split: "test".to_string(),
        support: 20,
        task,
        inner_step,
        episode_return: Some(episode_return),
        task_params: vec![0.1, -0.25],
        ..EvalRow::default()
    }
}

pub fn goal_names() -> Vec<String> {
    vec!["goal_x".to_string(), "goal_y".to_string()]
}

pub fn started(path: &Path, from: Option<&Checkpoint>) -> Result<RunFolder> {
    let mut folder = RunFolder::open(path)?;
    folder.begin(identity(), &goal_names(), from)?;
    Ok(folder)
}

pub fn refusal<T>(result: Result<T>) -> Error {
    result.err().expect("a refusal")
}

#[test]
fn rows_are_the_bytes_the_readme_promises_and_read_back() {
    let temp = tempfile::tempdir().unwrap();
    let mut folder = started(temp.path(), None).unwrap();
    folder.train(&train_row(1)).unwrap();
    let nan =
        EvalRow { loss: Some(f32::NAN), norm: Some("batch".to_string()), ..eval_row(1, "maml", 3, 2, -1e-7) };
    folder.eval(&nan).unwrap();
    let timing =
        TimingRow { method: "maml".to_string(), iteration: 1, total_secs: 12.5, ..TimingRow::default() };
    folder.timing(&timing).unwrap();
    let header_only = fs::read_to_string(folder.file(TRAIN_FILE)).unwrap();
    assert_eq!(header_only, TRAIN_HEADER.join(",") + "\n", "rows wait for the end of the meta-iteration");
    folder.flush().unwrap();
    let text = |name: &str| fs::read_to_string(temp.path().join(name)).unwrap();
    let who = "\"points, \"\"far\"\"\",s7-abcdef,7";
    assert_eq!(text(TRAIN_FILE), format!("{header_only}{who},maml,1,20,40000,1,-40.41,-inf,,false\n"));
    let header = EVAL_HEADER.join(",") + ",task_goal_x,task_goal_y";
    assert_eq!(text(EVAL_FILE), format!("{header}\n{who},1,maml,test,20,batch,3,2,NaN,,-1e-7,0.1,-0.25\n"));
    assert_eq!(text(TIMING_FILE), format!("{}\nmaml,1,12.5,,,,,,,,,\n", TIMING_HEADER.join(",")));

    assert_eq!(read_train(&folder.file(TRAIN_FILE)).unwrap(), [train_row(1)]);
    let table = read_eval(&folder.file(EVAL_FILE)).unwrap();
    assert_eq!((table.identity, table.task_names), (Some(identity()), goal_names()));
    assert_eq!(table.rows[0].cells(&identity()), nan.cells(&identity()));

    let short = EvalRow { task_params: vec![1.0], ..eval_row(1, "maml", 0, 0, 0.0) };
    assert!(refusal(folder.eval(&short)).to_string().contains("14 cells and the header has 15"));
    fs::write(folder.file(TRAIN_FILE), format!("{header_only}a,b,7,maml,1,x,,,,,,\n")).unwrap();
    let error = refusal(read_train(&folder.file(TRAIN_FILE))).to_string();
    assert!(error.ends_with("train.csv:2: column tasks_seen: cannot understand \"x\""), "{error}");
    fs::write(folder.file(EVAL_FILE), "a,b\n1,2\n").unwrap();
    assert!(
        refusal(read_eval(&folder.file(EVAL_FILE))).to_string().contains("expected the columns experiment,")
    );
}

#[test]
fn packed_values_come_back_and_lengths_are_not_believed() {
    let mut out = Packer::new();
    out.u32(7).f64(-0.5).f32s(&[f32::MIN_POSITIVE, f32::INFINITY]).text("α").bytes(&[1, 2]);
    let bytes = out.finish();
    let mut from = Unpacker::new(&bytes);
    assert_eq!((from.u32(), from.f64()), (Ok(7), Ok(-0.5)));
    assert_eq!(from.f32s().unwrap(), [f32::MIN_POSITIVE, f32::INFINITY]);
    assert_eq!((from.text(), from.bytes(), from.remaining()), (Ok("α"), Ok(&[1u8, 2][..]), 0));
    let mut huge = Packer::new();
    huge.u64(u64::MAX / 2);
    let huge = huge.finish();
    assert_eq!(Unpacker::new(&huge).f32s(), Err(Short));
    assert_eq!(Unpacker::new(&huge).bytes(), Err(Short));
}

#[test]
fn run_json_and_weights_survive_the_round_trip() {
    let temp = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(temp.path()).unwrap();
    assert_eq!(folder.manifest().unwrap(), None);
    let gradient = GradientRecord {
        derivative_order: 2,
        error_f32: "1.2e-6".into(),
        error_f64: "3.4e-9".into(),
        other_order: None,
        holds: true,
    };
    let manifest = Manifest {
        status: Status::Running,
        message: None,
        experiment: "point_nav".to_string(),
        run: "s0-5f3a".to_string(),
        seed: u64::MAX,
        spec_hash: "5f3a".to_string(),
        device: "cpu".to_string(),
        derivative_order: BTreeMap::from([("maml".to_string(), 2)]),
        gradients: BTreeMap::from([("maml".to_string(), gradient)]),
        selected: BTreeMap::from([("maml".to_string(), 500)]),
        versions: BTreeMap::from([("mamlx".to_string(), "0.1.0".to_string())]),
        plugins: vec![PluginRecord { id: "point".into(), version: "0.1.0".into(), sha256: "ab12".into() }],
        data: None,
        host: Host::here(),
        extra: BTreeMap::new(),
    };
    folder.write_manifest(&manifest).unwrap();
    assert!(
        fs::read_to_string(folder.file("run.json")).unwrap().starts_with("{\n  \"status\": \"running\",\n")
    );
    assert_eq!(folder.manifest().unwrap(), Some(manifest));
    fs::write(folder.file("run.json"), "{}").unwrap();
    assert_eq!(refusal(folder.manifest()).exit_code(), 2);

    let values = vec![1.5, f32::NAN, -0.0, f32::MIN_POSITIVE / 2.0, 3.0, 4.0];
    let tensor = |name: &str, shape: &[usize], values: &[f32]| Tensor {
        name: name.to_string(),
        shape: shape.to_vec(),
        values: values.to_vec(),
    };
    let tensors =
        vec![tensor("maml/layer0.weight", &[2, 3], &values), tensor("maml/layer0.bias", &[1], &[9.0])];
    let mut weights = Weights { spec_hash: Some("5f3a".to_string()), tensors };
    folder.write_weights(&weights).unwrap();
    let path = folder.file("weights.safetensors");
    let read = Weights::read(&path).unwrap();
    assert_eq!(read.spec_hash.as_deref(), Some("5f3a"));
    assert_eq!(read.get("maml/layer0.bias"), weights.get("maml/layer0.bias"));
    let back = read.get("maml/layer0.weight").unwrap();
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!((&back.shape[..], bits(&back.values)), (&[2usize, 3][..], bits(&values)));
    assert_eq!(read.to_bytes().unwrap(), fs::read(&path).unwrap(), "the same weights are the same bytes");

    let bytes = fs::read(&path).unwrap();
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert_eq!(refusal(Weights::read(&path)).exit_code(), 2, "cut to {cut} bytes");
    }
    weights.tensors[0].shape = vec![7];
    assert!(refusal(weights.to_bytes()).to_string().contains("maml/layer0.weight"));
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0), "{found} is not {expected}");
}

#[test]
fn statistics_agree_with_hand_computed_values() {
    // 1, 2, 3, 4: mean 5/2, squares 5, sd √(5/3), half width 1.96 √(5/3) / 2.
    let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0]).unwrap();
    close(estimate.mean, 2.5);
    close(estimate.sd.unwrap(), 1.2909944487);
    close(estimate.low().unwrap(), 2.5 - 1.2651745597);
    close(estimate.high().unwrap(), 2.5 + 1.2651745597);
    // Differences 1, 0, 3: mean 4/3, squares 42/9, sd √(7/3), half width 1.96 √(7/9).
    let difference = paired(&[1.0, 2.0, 4.0], &[0.0, 2.0, 1.0]).unwrap();
    close(difference.mean, 4.0 / 3.0);
    close(difference.half_width().unwrap(), 1.7285575232);
    assert_eq!(Estimate::of(&[]), None);
    assert_eq!(Estimate::of(&[3.0]).unwrap().half_width(), None);
    assert_eq!(paired(&[1.0], &[1.0, 2.0]), None);
    assert!(Estimate::of(&[1.0, f64::NAN]).unwrap().mean.is_nan(), "a NaN is never averaged away");
}

/// `random` is evaluated once, at iteration 0; `maml` at 10 and 20, where it lacks task 2 at step 1.
fn evaluation() -> Vec<EvalRow> {
    let mut rows = Vec::new();
    for iteration in [10, 20] {
        for step in [1, 0] {
            for task in 0..3 {
                let missing = iteration == 20 && step == 1 && task == 2;
                let value = [-8.0, -2.0, -5.0][task as usize] + iteration as f32 * step as f32;
                rows.extend((!missing).then(|| eval_row(iteration, "maml", task, step, value)));
            }
        }
    }
    for (task, value) in [(2, -4.0), (1, -3.0), (0, -6.0)] {
        rows.push(eval_row(0, "random", task, 1, value));
    }
    rows
}

fn against_random() -> Vec<Comparison> {
    let against = |against| Comparison { method: "maml".into(), versus: "random".into(), against };
    vec![against(Against::LastEvaluation), against(Against::SameIteration)]
}

fn published(key: SummaryKey) -> Option<f64> {
    (key.method == "maml" && key.iteration == 20 && key.metric == Metric::Return)
        .then(|| [-40.41, -11.68][key.inner_step as usize])
}

#[test]
fn summaries_pair_the_same_tasks_in_a_fixed_order() {
    let summary = summarise(&evaluation(), &against_random(), published);
    let keys: Vec<String> = summary
        .iter()
        .map(|row| format!("{} {} {} {}", row.iteration, row.method, row.inner_step, row.versus.is_some()))
        .collect();
    let expected = [
        "0 random 1 false",
        "10 maml 0 false",
        "10 maml 1 false",
        "10 maml 1 true",
        "20 maml 0 false",
        "20 maml 1 false",
        "20 maml 1 true",
    ];
    assert_eq!(keys, expected);
    // Returns 12 and 18 beside −6 and −3: the tasks that both have, paired by number and not by position.
    let last = summary.last().unwrap();
    assert_eq!((last.mean, last.tasks, last.versus.as_deref()), (19.5, 2, Some("random")));
    close(f64::from(last.ci95_low.unwrap()), 19.5 - 1.96 * 1.5);
    assert_eq!((last.published, summary[5].published), (None, Some(-11.68)));

    let temp = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(temp.path()).unwrap();
    folder.write_summary(&summary[4..5]).unwrap();
    let text = fs::read_to_string(folder.file("summary.csv")).unwrap();
    assert_eq!(text.lines().next().unwrap(), SUMMARY_HEADER.join(","));
    assert_eq!(text.lines().nth(1).unwrap(), "20,maml,test,20,0,return,-5,-8.394819,-1.6051804,3,,-40.41");
}

#[test]
fn the_closing_table_shows_each_methods_last_evaluation() {
    let rows = summarise(&evaluation(), &against_random(), published);
    let slice = Slice { rows: &rows, metric: Metric::Return, split: "test", support: 20 };
    let text = adaptation_table(slice).to_string();
    let expected = "\
return                  0 steps         1 step
random                           -4.333 ± 1.729
maml             -5.000 ± 3.395  15.00 ± 5.880
  published maml         -40.41         -11.68
maml - random                    19.50 ± 2.940
";
    let squeezed = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split_whitespace().map(str::to_string).collect()).collect()
    };
    assert_eq!(squeezed(&text), squeezed(expected), "\n{text}");
    let ends: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
    assert!(ends.iter().all(|end| *end == ends[0]), "the last column ends at one place:\n{text}");

    let curves = learning_picture(slice, &[1], "learning");
    assert_eq!(
        curves.series.iter().map(|series| series.x.clone()).collect::<Vec<_>>(),
        [vec![0.0], vec![10.0, 20.0]]
    );
}

#[test]
fn pictures_are_whole_and_keep_their_points_inside() {
    let rows = summarise(&evaluation(), &against_random(), published);
    let slice = Slice { rows: &rows, metric: Metric::Return, split: "test", support: 20 };
    let picture = adaptation_picture(slice, "a < b & c");
    let svg = picture.svg();
    assert_eq!(svg, picture.svg());
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("a &lt; b &amp; c"));
    assert_eq!(svg.matches("<polyline").count(), 1, "maml is a curve and random a level");
    assert_eq!(svg.matches("stroke-dasharray").count(), 1);
    assert_eq!(svg.matches("z\" fill=\"#fff\"").count(), 3, "two published points and their legend");
    let inside = |list: &str, width: f64, height: f64| {
        for pair in list.split(' ') {
            let (x, y) = pair.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((0.0..=width).contains(&x) && (0.0..=height).contains(&y), "{pair}");
        }
    };
    for list in svg.split(" points=\"").skip(1) {
        inside(list.split('"').next().unwrap(), 760.0, 440.0);
    }

    let ends = [f64::NAN, 1e300, -1e300, f64::INFINITY];
    let mut wild = Picture::new("", "x", "y");
    wild.series = vec![Series::line("\u{0}", vec![1.0, 2.0, 3.0, 4.0], ends.to_vec()), Series::default()];
    for picture in [wild, Picture::new("empty", "", "")] {
        let svg = picture.svg();
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
    assert!(Picture::new("empty", "", "").svg().contains("no data"));
}

#[test]
fn progress_lines_count_only_this_process() {
    let pace = Pace::new("maml", 100, 500);
    assert_eq!(pace.line(100, 0.0, &[]), "maml 100/500");
    assert_eq!(
        pace.line(110, 20.0, &[("return_post", -80.214)]),
        "maml 110/500, 2.0 s/it, 13m00s left, return_post -80.21"
    );
    assert_eq!(pace.line(500, 1.0, &[]), "maml 500/500, 400 it/s");
    let durations = [0.04, 9.94, 9.96, 59.4, 59.6, 3599.7, 7200.0, 90_000.0, f64::NAN, -1.0];
    let texts = ["0.0s", "9.9s", "10s", "59s", "1m00s", "1h00m", "2h00m", "1d01h", "?", "?"];
    assert_eq!(durations.map(format_duration), texts);
    assert_eq!(
        [0.05, 1.0, 12.34, 812.0].map(format_rate),
        ["20.0 s/it", "1.0 it/s", "12.3 it/s", "812 it/s"]
    );
    let mut clock = PlainClock::default();
    assert_eq!(
        [0.0, 1.0, 29.9, 30.0, 45.0, 60.0].map(|secs| clock.due(secs)),
        [true, false, false, true, false, true]
    );
}

#[test]
fn the_readme_of_the_results_explains_every_column() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("results/README.md")).unwrap();
    let explained = |file: &str| -> Vec<String> {
        let section =
            readme.split("\n## ").find(|section| section.starts_with(&format!("`{file}`"))).unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.map(|row| row.split('`').next().unwrap().to_string()).collect()
    };
    assert_eq!(explained(TRAIN_FILE), TRAIN_HEADER);
    assert_eq!(explained(EVAL_FILE), [&EVAL_HEADER[..], &["task_<name>"]].concat());
    assert_eq!(explained("summary.csv"), SUMMARY_HEADER);
    assert_eq!(explained(TIMING_FILE), TIMING_HEADER);
    assert_eq!(explained("paper.csv"), mamlx::record::paper::PAPER_HEADER);
    let manifest = serde_json::to_value(Manifest {
        status: Status::Done,
        message: None,
        experiment: String::new(),
        run: String::new(),
        seed: 0,
        spec_hash: String::new(),
        device: String::new(),
        derivative_order: BTreeMap::new(),
        gradients: BTreeMap::new(),
        selected: BTreeMap::new(),
        versions: BTreeMap::new(),
        plugins: Vec::new(),
        data: None,
        host: Host::here(),
        extra: BTreeMap::new(),
    });
    let keys: Vec<String> = manifest.unwrap().as_object().unwrap().keys().cloned().collect();
    assert_eq!(explained("run.json"), keys);
}

#[test]
fn the_readme_shows_an_experiment_that_is_accepted() {
    use mamlx::spec::{ParamTable, PluginKind, read};
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let shown = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let no_params = ParamTable { params: Vec::new() };
    let resolved =
        read::<&str>(shown, "README.md", &[]).and_then(|draft| draft.resolve(&no_params, PluginKind::Tasks));
    let spec = resolved.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((spec.name.as_str(), spec.eval.support), ("sinusoid", vec![5, 10, 20]));
}
