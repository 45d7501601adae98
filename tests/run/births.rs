//! The promise: a number that is not finite stops the run in the meta-iteration it is born in, and the message names the
//! operation, its layer, the task and its seed; what was saved before is kept.

use super::mamlx;
use mamlx::nn::layout::{Entry, Layout, Role, Start};
use mamlx::run::birth;
use mamlx::run::learner::State;
use mamlx::spec::Method;

/// Runs a spec that diverges, and gives what it says.
fn fails(spec: &str, settings: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut args = vec!["run", spec, "--out", out.to_str().unwrap(), "--set", "eval.tasks=3"];
    settings.iter().for_each(|setting| args.extend(["--set", setting]));
    let output = mamlx(&args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(1), "{settings:?}: {text}");
    assert!(std::fs::read_to_string(out.join("run.json")).unwrap().contains("\"failed\""));
    text
}

fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

const SINUSOID: &str = "experiments/sinusoid.yaml";
const POINT: &str = "experiments/point_nav.yaml";

/// The first training task of seed 0, in both.
const FIRST: &str = "seed 13401477096143823361): ";

#[test]
fn a_loss_is_followed_to_the_product_that_overflowed() {
    let wild = ["methods=[maml]", "inner.rate=1000"];
    // Five inner steps are one program, seven are composed step by step; the numbers are the same.
    let five = fails(SINUSOID, &[&wild[..], &["inner.steps=5"]].concat());
    let seven = fails(SINUSOID, &[&wild[..], &["inner.steps=7"]].concat());
    let born = "`matmul a b` is -inf in a tensor of shape [10,40]";
    let task = "maml: at meta-iteration 0, task 0 (amplitude 0.549095, phase 2.9430628, ";
    holds(&five, &[task, FIRST, "the outer loss is not finite", born, ", inner step 4/layers[2] linear"]);
    holds(
        &seven,
        &[task, FIRST, "the outer loss is not finite", born, "inner step 4: ", ", layers[2] linear"],
    );
    holds(&five, &["Lower inner.rate", "the last checkpoint are kept"]);
}

#[test]
fn a_loss_beyond_single_precision_is_named() {
    let huge = ["methods=[pretrained]", "task.params={amplitude_min: 1e25, amplitude_max: 1e26}"];
    let text = fails(SINUSOID, &huge);
    holds(
        &text,
        &["pretrained: at meta-iteration 0, task 0 (amplitude ", "the gradient: `mul` of ", " is inf in a "],
    );
    holds(&text, &[", outer loss/loss"]);
}

#[test]
fn a_parameter_that_the_outer_step_lost_is_named() {
    let entry = |name: &str| Entry {
        name: name.into(),
        shape: vec![2],
        start: Start::Constant(0.0),
        role: Role::Adapted,
    };
    let layout = Layout { entries: vec![entry("layer0.weight"), entry("layer0.bias")] };
    let mut state = State {
        method: Method::Maml,
        iteration: 7,
        theta: vec![1.0; 4],
        optimizer: vec![],
        tasks_seen: 0,
        env_steps: 0,
    };
    assert!(birth::finite_parameters(&state, &layout).is_ok());
    state.theta[2] = f32::NEG_INFINITY;
    let text = birth::finite_parameters(&state, &layout).unwrap_err().to_string();
    holds(&text, &["maml: at meta-iteration 7: a parameter is not finite", "a number of layer0.bias -inf"]);
}

#[test]
fn a_policy_is_followed_through_acting_adapting_and_its_curvature() {
    let maml = |more: &[&'static str]| [&["methods=[maml]"][..], more].concat();
    let task = "maml: at meta-iteration 0, task 0 (goal_x -0.40834796, goal_y 0.43680596, ";
    let acting = ["inner.rate=1000", "model.init_std=1e-36", "model.min_std=1e-37"];
    let text = fails(POINT, &maml(&acting));
    holds(
        &text,
        &[task, FIRST, "the policy's action is not finite", "the policy: `matmul a b` is", ", layer 2"],
    );
    let adapting = ["inner.rate=1000", "inner.steps=3", "model.init_std=1e-15", "model.min_std=1e-20"];
    let text = fails(POINT, &maml(&adapting));
    holds(&text, &["is not finite", "inner step 3: `matmul a b` is", "of shape [500,100], layer 1"]);
    let product = ["model.init_std=1e-20", "model.min_std=1e-37", "outer.optimizer.products=exact"];
    let text = fails(POINT, &maml(&product));
    holds(&text, &[task, FIRST, "a product with the curvature of the KL divergence is not finite"]);
    holds(&text, &["the tangent of inner step 1: `mul` of ", ", derivative of log-density"]);
}
