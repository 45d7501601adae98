//! What happens when a plugin that shook hands goes wrong later.

use super::{Params, load, with};
use mamlx::error::Result;
use mamlx::plugin::{self, EnvInstance, Outcome, Plugin};
use mamlx::spec::ParamValue;

/// Goes through the life of an instance; the first error ends it.
fn live(plugin: &Plugin, params: &Params) -> Result<()> {
    let mut env = plugin.env(params, 4)?;
    let mut task = [0.0];
    env.sample_task(5, &mut task)?;
    let slots = [2, 3];
    let mut obs = [0.0; 4];
    env.reset(&slots, &[70, 71], &[task[0], task[0]], &mut obs)?;
    for _ in 0..5 {
        step(&mut env, &slots, &mut obs)?;
    }
    env.destroy()
}

fn step(env: &mut EnvInstance, slots: &[u32], obs: &mut [f32]) -> Result<()> {
    let (mut rewards, mut terminated) = (vec![0.0; slots.len()], vec![0; slots.len()]);
    env.step(slots, &vec![0.5; slots.len()], obs, &mut rewards, &mut terminated)
}

/// Fault, exit code, and what the message must say.
const FAULTS: &[(&str, u8, &[&str])] = &[
    ("panic_create", 1, &["`create` failed: it panicked: faulty was told to panic in create", "lib.rs:"]),
    ("panic_describe", 1, &["it panicked: faulty was told to panic in describe"]),
    ("panic_sample_task", 1, &["with seed 5", "`sample_task` failed: it panicked"]),
    ("panic_reset", 1, &["slot 2", "seed 70", "`reset` failed: it panicked"]),
    ("panic_step", 1, &["slot 2", "seed 70", "`step` failed: it panicked: faulty was told to panic in step"]),
    ("panic_destroy", 1, &["`destroy` failed: it panicked: faulty was told to panic in destroy"]),
    ("error_create", 2, &["`create` reported: faulty was told to fail in create"]),
    ("error_reset", 1, &["slot 2", "seed 70", "`reset` reported: faulty was told to fail in reset"]),
    ("error_step", 1, &["slot 2", "seed 70", "`step` reported: faulty was told to fail in step"]),
    ("nan_task", 1, &["with seed 5", "`sample_task`", "task entry `goal` is NaN"]),
    ("nan_reset", 1, &["slot 2", "seed 70", "`reset`", "observation `noise` is NaN"]),
    ("nan_step", 1, &["slot 2", "seed 70", "`step`", "observation `noise` is NaN"]),
    ("infinite_reward", 1, &["slot 2", "seed 70", "`step`", "reward is inf"]),
    ("no_observation", 2, &["`describe`", "no observation fields"]),
    ("no_action", 2, &["`describe`", "no action fields"]),
    ("too_many_fields", 2, &["`describe`", "70000 fields of `observation`; at most 65536"]),
    ("same_names", 2, &["`describe`", "two fields `age`"]),
    ("odd_name", 2, &["`describe`", r#"the name "goal,x\n""#]),
    ("no_bounds", 2, &["`describe`", "action `push` has the bounds -inf to inf"]),
    ("reversed_bounds", 2, &["`describe`", "bounds the wrong way round: 1 to -1"]),
];

#[test]
fn every_fault_has_its_own_sentence_and_exit_code() {
    let plugin = load("faulty");
    live(&plugin, &Params::new()).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for (fault, code, expected) in FAULTS {
        let error = live(&plugin, &with("fault", fault)).expect_err(fault);
        let text = error.to_string();
        assert_eq!(error.exit_code(), *code, "{fault}: {text}");
        for part in expected.iter().chain(&["plugin `faulty`"]) {
            assert!(text.contains(part), "{fault}: {part} is not in: {text}");
        }
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(seen.insert(text.clone()), "{fault} says what another fault says: {text}");
    }
}

/// One instance's panic leaves the others alone, and its own later calls are refused rather than run.
#[test]
fn a_panic_stays_in_its_instance() {
    let plugin = load("faulty");
    let (mut good, mut bad) =
        (plugin.env(&Params::new(), 1).unwrap(), plugin.env(&with("fault", "panic_step"), 1).unwrap());
    let mut obs = [0.0; 2];
    for env in [&mut good, &mut bad] {
        env.reset(&[0], &[1], &[0.5], &mut obs).unwrap();
    }
    let error = (0..9).find_map(|_| step(&mut bad, &[0], &mut obs).err()).unwrap();
    assert!(error.to_string().contains("it panicked"));
    let error = bad.reset(&[0], &[1], &[0.5], &mut obs).unwrap_err();
    assert!(error.to_string().contains("can only be destroyed"), "{error}");
    for age in 1..9 {
        step(&mut good, &[0], &mut obs).unwrap();
        assert_eq!(obs[0], age as f32);
    }
}

#[test]
fn parameters_are_checked_on_both_sides_of_the_door() {
    let plugin = load("faulty");
    for (name, value, expected) in [
        ("falt", ParamValue::Bool(true), "no parameter `falt`"),
        ("noisy", ParamValue::Int(1), "`noisy` is not of type bool"),
        ("scale", ParamValue::Float(f64::NAN), "`scale` is not of type float"),
        ("scale", ParamValue::Float(0.0), "`scale` is 0.0, which is not between 0.001 and inf"),
        ("after", ParamValue::Int(1001), "`after` is 1001, which is not between 0 and 1000"),
        ("fault", ParamValue::Text("x".into()), "`fault` is \"x\", which is not one of none"),
    ] {
        let error = plugin.env(&Params::from([(name.to_owned(), value)]), 1).err().unwrap();
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert_eq!(error.exit_code(), 2);
    }
    let scale = |value| Params::from([("scale".to_owned(), value)]);
    assert!(plugin.env(&scale(ParamValue::Int(2)), 1).is_ok(), "a whole number is a float too");
    let error = plugin.tasks(&Params::new()).err().unwrap();
    assert!(error.to_string().contains("kind env"), "{error}");
}

/// Fault, the check that must notice it, and how.
const NOTICED: &[(&str, &str, Outcome)] = &[
    ("writes_outside", "buffers", Outcome::Fail),
    ("shared_state", "steps", Outcome::Fail),
    ("keeps_state", "reset", Outcome::Fail),
    ("nan_step", "steps", Outcome::Fail),
    ("infinite_reward", "steps", Outcome::Fail),
    ("panic_step", "threads", Outcome::Fail),
    ("nan_task", "tasks", Outcome::Fail),
    ("panic_destroy", "create", Outcome::Fail),
    ("reversed_bounds", "create", Outcome::Fail),
    ("ignores_task", "tasks differ", Outcome::Warn),
];

#[test]
fn check_notices() {
    let plugin = load("faulty");
    for finding in plugin::check(&plugin, &Params::new()).unwrap() {
        assert_eq!(finding.outcome, Outcome::Pass, "{finding}");
    }
    for (fault, check, outcome) in NOTICED {
        let findings = plugin::check(&plugin, &with("fault", fault)).unwrap();
        let finding = findings.iter().find(|finding| finding.check == *check);
        assert_eq!(finding.unwrap().outcome, *outcome, "{fault}: {findings:#?}");
    }
}
