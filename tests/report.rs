//! The promise: statistics are those that reviewers expect, a report is one file that needs nothing else, and
//! comparisons are made task by task or refused.

use crate::run::{POINT, SINUSOID, mamlx, run};
use mamlx::record::Metric;
use mamlx::record::bootstrap::{interquartile_mean, iqm};
use mamlx::record::read::read_eval;
use mamlx::record::verdict::Verdict;
use std::path::Path;

/// scipy's trim_mean(x, 0.25), written down again: sort, leave out int(0.25 n) at either end, average.
fn slow_iqm(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let cut = (0.25 * sorted.len() as f64) as usize;
    let kept: Vec<f64> = sorted
        .into_iter()
        .enumerate()
        .filter(|(i, _)| *i >= cut && *i < values.len() - cut)
        .map(|(_, x)| x)
        .collect();
    kept.iter().sum::<f64>() / kept.len() as f64
}

#[test]
fn the_interquartile_mean_is_the_mean_of_the_middle_half() {
    assert_eq!(interquartile_mean(&mut [9.0, 0.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0]), 4.5);
    assert_eq!(interquartile_mean(&mut [1.0, 100.0, 3.0]), 104.0 / 3.0, "of three, none is left out");
    for n in 1..60usize {
        let mut values: Vec<f64> =
            (0..n).map(|i| ((i * 7919 + 13) % 101) as f64 / 7.0 - (i % 3) as f64).collect();
        let slow = slow_iqm(&values);
        let fast = interquartile_mean(&mut values);
        assert!((fast - slow).abs() < 1e-12, "{n}: {fast} {slow}");
    }
    assert!(interquartile_mean(&mut [1.0, f64::NAN]).is_nan() && interquartile_mean(&mut []).is_nan());
}

/// Every resample of 3 runs × 2 tasks, 27 × 27 equally likely ones, against the drawn ones.
#[test]
fn the_stratified_bootstrap_has_the_exact_distribution() {
    let scores = [vec![1.0, 10.0], vec![2.0, 14.0], vec![5.0, 11.0]];
    let mut exact = vec![];
    for first in 0..27usize {
        for second in 0..27usize {
            let draw = |code: usize, task: usize| {
                [code % 3, code / 3 % 3, code / 9].map(|run: usize| scores[run][task])
            };
            exact.push(slow_iqm(&[draw(first, 0), draw(second, 1)].concat()));
        }
    }
    exact.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let found = iqm(&scores, 50_000).unwrap();
    assert!((found.mean - slow_iqm(&scores.concat())).abs() < 1e-12);
    let share = |below: f64| exact.iter().filter(|x| **x < below).count() as f64 / exact.len() as f64;
    // The true quantile lies at the found value: less than 2.5 % is below it, and more is not above.
    for (value, level) in [(found.low, 0.025), (found.high, 0.975)] {
        let (below, up_to) = (share(value - 1e-9), share(value + 1e-9));
        assert!(below <= level + 0.004 && up_to >= level - 0.004, "{value}: {below} to {up_to} for {level}");
    }
    assert_eq!(iqm(&scores, 2000), iqm(&scores, 2000), "the same every time");
    assert_eq!(iqm(&[vec![1.0], vec![1.0, 2.0]], 10), None);
    let one = iqm(&[vec![0.0, 1.0, 2.0, 3.0]], 2000).unwrap();
    assert!(one.low < one.mean && one.mean < one.high, "with one run the tasks are drawn");
}

#[test]
fn verdicts_know_which_way_is_better() {
    let of = |metric, mean, interval, published| Verdict::of(metric, mean, interval, published).to_string();
    assert_eq!(of(Metric::Loss, 0.3, None, 0.38), "reached");
    assert_eq!(of(Metric::Loss, 0.4, Some((0.35, 0.45)), 0.38), "within interval");
    assert_eq!(of(Metric::Loss, 0.5, Some((0.45, 0.55)), 0.38), "short by 0.1200");
    assert_eq!(of(Metric::Return, 300.0, Some((290.0, 310.0)), 315.65), "short by 15.65");
    assert_eq!(of(Metric::Accuracy, 0.99, None, 0.987), "reached");
}

fn stdout(args: &[&str]) -> String {
    let output = mamlx(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn pages_comparisons_and_watch_over_real_runs() {
    let temp = tempfile::tempdir().unwrap();
    let path = |name: &str| temp.path().join(name);
    let text = |name: &str| path(name).to_str().unwrap().to_string();
    for (name, set) in [("s0", "seed=0"), ("s1", "seed=1"), ("fast", "inner.rate=0.05")] {
        run("experiments/sinusoid.yaml", &path(name), &[&SINUSOID[..], &["--set", set]].concat());
    }
    let page = text("page <1>.html");
    let figures = text("figures");
    stdout(&["report", &text("s0"), &text("s1"), &text("fast"), "--html", &page, "--figures", &figures]);
    let html = std::fs::read_to_string(&page).unwrap();
    let drawn = |ending: &str| {
        let names = std::fs::read_dir(&figures).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.extension().is_some_and(|end| end == ending)).count()
    };
    assert_eq!([drawn("svg"), drawn("png")], [html.matches("<svg").count(); 2]);
    for part in ["<svg ", "IQM", "over 2 seeds", "inner.rate = 0.05", "luminal 0.2.0", "Gradients"] {
        assert!(html.contains(part), "{part} is missing");
    }
    assert!(html.contains("short by") || html.contains("reached"), "no verdict");
    for outside in ["<script", "src=", "href=", "@import", "url("] {
        assert!(!html.contains(outside), "the page reaches outside: {outside}");
    }
    assert_eq!(html.matches("http").count(), html.matches("xmlns=\"http").count());

    stdout(&["report", &text("s0"), &text("s1"), "--html", &page, "--by", "amplitude", "--bands", "0,2.5,6"]);
    let html = std::fs::read_to_string(&page).unwrap();
    for part in ["By amplitude", "task_amplitude 0 to 2.500", "task_amplitude 2.500 to 6.000"] {
        assert!(html.contains(part), "{part} is missing");
    }

    // The difference by hand from the two files.
    let compared = stdout(&["compare", &text("s0"), &text("fast")]);
    assert!(
        compared.contains("inner.rate: 0.001 in a, 0.05 in b") && compared.contains("maml in a, maml in b")
    );
    let rows = |name: &str| {
        let rows = read_eval(&path(name).join("eval.csv")).unwrap().rows;
        let mine = rows
            .into_iter()
            .filter(|r| r.method == "maml" && r.iteration == 30 && r.support == 10 && r.inner_step == 1);
        mine.map(|row| f64::from(row.loss.unwrap())).collect::<Vec<_>>()
    };
    let differences: Vec<f64> = rows("s0").iter().zip(rows("fast")).map(|(a, b)| a - b).collect();
    assert_eq!(differences.len(), 11);
    let mean = differences.iter().sum::<f64>() / 11.0;
    let line = compared.lines().find(|line| line.split_whitespace().take(3).eq(["loss", "10", "1"])).unwrap();
    let found: f64 = line.split_whitespace().nth(5).unwrap().parse().unwrap();
    assert!((found - mean).abs() <= 1e-3 * mean.abs() + 1e-4, "{line}: {mean}");

    let refused = mamlx(&["compare", &text("s0"), &text("s1")]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("on the same tasks"));
    let typo = mamlx(&["compare", &text("s0"), &text("fast"), "--method", "fomalm"]).output().unwrap();
    assert!(String::from_utf8_lossy(&typo.stderr).contains("did you mean `fomaml`?"));

    let watched = stdout(&["watch", &text("s0")]);
    assert!(
        watched.contains("(done)")
            && watched.contains("at meta-iteration 30")
            && watched.contains("support 10")
    );
    watch_of_a_killed_run(temp.path());
}

/// Without its process a run is not waited for.
fn watch_of_a_killed_run(temp: &Path) {
    let out = temp.join("killed");
    let args = [
        &["run", "experiments/point_nav.yaml", "--out", out.to_str().unwrap()],
        &POINT[..],
        &["--set", "outer.iterations=100000"],
    ];
    let mut child = mamlx(&args.concat())
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while std::fs::metadata(out.join("train.csv")).map_or(0, |file| file.len()) < 500 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(stdout(&["watch", "--once", out.to_str().unwrap()]).contains("return before"));
    child.kill().unwrap();
    child.wait().unwrap();
    let output = mamlx(&["watch", out.to_str().unwrap()]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("no process works on this run"));
}
