//! The promise: a run's meta-gradients are held against differences of the whole outer loss before it starts, and a
//! wrong gradient would be seen; `mamlx explain` says what a run will take.

use crate::run::{SINUSOID, mamlx, run};
use mamlx::record::Manifest;
use mamlx::run::certificate::{Certificate, judge};

fn explain(spec: &str, more: &[&str]) -> String {
    let output = mamlx(&[&["explain", spec], more].concat()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_shipped_experiment_has_right_gradients_for_every_method() {
    let all = ["--gradients", "--set", "methods=[maml, fomaml, pretrained, random, oracle, context]"];
    for (spec, lines) in [("sinusoid", 5), ("point_nav", 6), ("cheetah_vel", 6), ("cheetah_dir", 6)] {
        let text = explain(&format!("experiments/{spec}.yaml"), &all);
        assert_eq!(text.lines().filter(|line| line.ends_with("yes")).count(), lines, "{spec}\n{text}");
    }
    let many = [
        "--gradients",
        "--set",
        "inner.steps=3",
        "--set",
        "inner.reduction=sum",
        "--set",
        "model.activation=tanh",
    ];
    assert!(explain("experiments/sinusoid.yaml", &many).contains("yes"));
}

#[test]
fn a_wrong_gradient_and_a_wrong_order_are_seen() {
    // Adapting θ on θ⁴/4 with rate 0.1 and judging by θ′²/2 gives (θ − 0.1 θ³)(1 − 0.3 θ²), to first order θ − 0.1 θ³.
    let theta = [0.5, -1.2, 0.9];
    let adapted = |t: f64| t - 0.1 * t.powi(3);
    let whole = |theta: &[f64]| theta.iter().map(|t| adapted(*t).powi(2) / 2.0).sum::<f64>();
    let frozen = |place: &[f64]| {
        let moved = place.iter().zip(&theta).map(|(p, t)| p - t + adapted(*t));
        moved.map(|t| t * t / 2.0).sum::<f64>()
    };
    let second = theta.map(|t| adapted(t) * (1.0 - 0.3 * t * t));
    let first = theta.map(adapted);
    let judged = |order, gradient: [&[f64]; 2]| -> Certificate {
        judge("maml", order, true, [&whole, &frozen], &theta, gradient)
    };
    assert!(judged(2, [&second, &second]).holds() && judged(1, [&first, &first]).holds());
    assert!(!judged(2, [&first, &first]).holds(), "first order taken for second");
    assert!(!judged(1, [&second, &second]).holds(), "second order taken for first");
    let mut off = second;
    off[1] *= 1.01;
    assert!(!judged(2, [&off, &second]).holds() && !judged(2, [&second, &off]).holds());
    assert!(!judged(2, [&second, &[f64::NAN; 3]]).holds());
}

#[test]
fn the_certificate_stands_in_run_json() {
    let folder = tempfile::tempdir().unwrap();
    run("experiments/sinusoid.yaml", folder.path(), &SINUSOID);
    let manifest = Manifest::read(&folder.path().join("run.json")).unwrap();
    let methods: Vec<&str> = manifest.gradients.keys().map(String::as_str).collect();
    let trained =
        ["averaged", "averaged_l2", "averaged_to_mean", "context", "fomaml", "maml", "oracle", "pretrained"];
    assert_eq!(methods, trained);
    assert!(manifest.gradients.values().all(|record| record.holds));
    assert_eq!(manifest.gradients["maml"].derivative_order, 2);
    assert!(manifest.gradients["maml"].error_f32.parse::<f64>().unwrap() < 1e-4);
}

#[test]
fn explain_names_parameters_work_memory_and_time() {
    let text = explain("experiments/sinusoid.yaml", &SINUSOID);
    // 1→40→40→1 with biases, and two more inputs for the oracle, which sees amplitude and phase.
    assert!(text.contains("maml    ") && text.contains("1761") && text.contains("1841"), "{text}");
    for part in ["MFLOP in products a meta-iteration", "MiB of memory at most", "time: about"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn a_memory_budget_shows_in_the_forecast_and_one_that_is_too_little_names_the_least() {
    let peak = |budget: &str| {
        // What the steps leave has to be more than the process took before it, to lower them.
        let steps = [
            "--set",
            "inner.steps=1000",
            "--set",
            "model.hidden=[80, 80]",
            "--set",
            "methods=[maml]",
            "--set",
            "outer.tasks=2",
        ];
        let more = ["--set", "eval.tasks=2", "--threads", "1", "--json", "--set", budget];
        let text = explain("experiments/sinusoid.yaml", &[&steps[..], &more].concat());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["programs"][0]["name"], "step_adjoint");
        (value["forecast"]["peak_bytes"].as_u64(), value["run"].to_string())
    };
    let ((whole, name), (little, same)) = (peak("memory_budget=null"), peak("memory_budget=1 MiB"));
    assert_eq!(name, same, "a budget is no part of a run's name");
    if let (Some(whole), Some(little)) = (whole, little) {
        assert!(little + (2 << 20) < whole, "{little} of {whole}");
    }
    let check = |budget: &str| {
        let set = format!("memory_budget={budget}");
        let few = ["--set", "inner.steps=300", "--set", "eval.tasks=2", "--set", &set, "--threads", "1"];
        mamlx(&[&["explain", "experiments/sinusoid.yaml"][..], &few].concat()).output().unwrap()
    };
    let refused = check("3 KiB");
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    let least = text.split("need ").nth(1).and_then(|rest| rest.split(" at least").next()).unwrap();
    let enough = check(least);
    assert!(enough.status.success(), "{least}: {}", String::from_utf8_lossy(&enough.stderr));
}

#[test]
fn json_says_what_the_text_says() {
    let args = ["--json", "--set", "outer.tasks=2", "--set", "eval.tasks=2", "--threads", "1"];
    let value: serde_json::Value =
        serde_json::from_str(&explain("experiments/sinusoid.yaml", &args)).unwrap();
    assert_eq!(value["spec"]["inner"]["rate"], 0.001);
    assert_eq!(value["spec_hash"].as_str().unwrap()[..8], value["run"].as_str().unwrap()[3..]);
    let program = &value["programs"][0];
    assert_eq!(program["name"], "meta_gradient");
    assert!(program["flops"].as_u64().unwrap() > 0 && program["bytes"].as_u64().unwrap() > 0);
    assert!(program["inputs"].as_array().unwrap().iter().all(|port| port["parts"][0]["shape"].is_array()));
    let methods = value["forecast"]["methods"].as_array().unwrap();
    // 1-40-40-1 with biases.
    assert_eq!(
        (methods.len(), &methods[0]["method"], &methods[0]["parameters"]),
        (3, &"maml".into(), &1761.into())
    );
    let gradients: serde_json::Value =
        serde_json::from_str(&explain("experiments/sinusoid.yaml", &["--json", "--gradients"])).unwrap();
    assert!(
        gradients.as_array().unwrap().iter().all(|one| one["holds"] == true && one["error_f64"].is_number())
    );
}
