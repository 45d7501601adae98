//! What a network takes a test task's function for, before and after gradient steps: the paper's figures 2 and 6. The same
//! programs, tasks and parameters as in `eval.csv`.

use super::experiment::Experiment;
use super::learner::{Learner, Split};
use super::programs::{Curve, Points};
use super::replay::{Choice, chosen};
use super::saved::parameters;
use super::supervised::{Supervised, draw};
use crate::error::{Error, Result};
use crate::plugin::TasksInstance;
use crate::random::seed_at;
use crate::spec::{Method, Spec, Word};
use std::path::Path;

/// Points of a drawn function.
const POINTS: usize = 200;

/// One task, and what each method makes of it.
#[derive(Clone, Debug)]
pub struct Fits {
    /// Names and values of the task's parameters.
    pub task: Vec<(String, f32)>,
    /// Names of the input and of the output.
    pub axes: [String; 2],
    pub methods: Vec<Fit>,
}

/// One method. Points are (x, y); those of functions ascend.
#[derive(Clone, Debug)]
pub struct Fit {
    pub method: Method,
    pub iteration: u64,
    /// What it is adapted to.
    pub support: Vec<[f32; 2]>,
    pub truth: Vec<[f32; 2]>,
    pub steps: Vec<FitStep>,
}

/// After some gradient steps.
#[derive(Clone, Debug)]
pub struct FitStep {
    pub step: usize,
    /// The number in `eval.csv`.
    pub loss: f32,
    pub predicted: Vec<[f32; 2]>,
}

/// Adapts saved parameters to one test task: those of the chosen method, or of all that are adapted.
///
/// # Errors
/// [`Error::Input`] for a choice that the run does not have, and for tasks that are no function of one number.
pub fn fits(experiment: &Experiment, weights: &Path, choice: &Choice) -> Result<Fits> {
    let (spec, plugin) = (&experiment.spec, &experiment.plugin);
    let input = |text: String| Err(Error::Input(text));
    let mut instance = plugin.tasks(&spec.task.params)?;
    let spaces = instance.spaces().clone();
    let ([x], [y]) = (&spaces.x[..], &spaces.y[..]) else {
        let (x, y) = (spaces.x.len(), spaces.y.len());
        return input(format!(
            "tasks of `{}` have {x} inputs and {y} outputs: only functions of one number are drawn",
            plugin.info.id
        ));
    };
    let axes = [&x.name, &y.name].map(|name| name.to_string());
    let learner = experiment.regression()?;
    let Some(task) = learner.test_tasks.get(choice.task).cloned() else {
        let count = learner.test_tasks.len();
        return input(format!("--task: {} is not below the {count} test tasks (eval.tasks)", choice.task));
    };
    let mut methods = choice.method.map_or_else(|| spec.methods.clone(), |method| vec![method]);
    if methods.iter().any(|method| method.adapts_at_test()) {
        methods.retain(|method| method.adapts_at_test());
    }
    let mut all = vec![];
    for method in methods {
        let choice = Choice { method: Some(method), ..choice.clone() };
        all.push(fit(spec, &learner, &mut instance, weights, &choice, &task)?);
    }
    let task = learner.task_names().into_iter().zip(task).collect();
    Ok(Fits { task, axes, methods: all })
}

fn fit(
    spec: &Spec,
    learner: &Supervised,
    plugin: &mut TasksInstance,
    weights: &Path,
    choice: &Choice,
    task: &[f32],
) -> Result<Fit> {
    let chosen = chosen(spec, weights, choice)?;
    let method = chosen.method;
    let theta = parameters(&chosen.weights, learner, method, chosen.iteration)?;
    let last = if method.adapts_at_test() { spec.eval.steps } else { 0 };
    // Before, after one and after the last: more would hide each other.
    let mut few = vec![0, last.min(1), last];
    few.dedup();
    let steps = choice.steps.clone().unwrap_or(few);
    if let Some(step) = steps.iter().find(|step| **step > last) {
        let word = method.word();
        return Err(Error::Input(format!("--steps: {step}, but `{word}` is evaluated up to {last} here")));
    }
    let (programs, rates) = (&learner.methods[&method], super::rates(spec, method, chosen.which));
    let mut points = |number: u32, count: usize| -> Result<Points> {
        let (split, mut points) = (Split::Test, Points::default());
        let seed = seed_at(spec.seed, split.points(), chosen.support as u64, choice.task as u32, number);
        draw(&mut points, plugin, task, seed, count, method == Method::Oracle)?;
        Ok(points)
    };
    let support = points(0, chosen.support)?;
    let mut shown: Vec<FitStep> =
        steps.iter().map(|step| FitStep { step: *step, loss: 0.0, predicted: vec![] }).collect();
    let mut truth = vec![];
    // The first queries are those of `eval.csv`; more of them fill in the function.
    for number in 0..POINTS.div_ceil(spec.task.query) as u32 {
        let query = points(1 + number, spec.task.query)?;
        truth.extend(pairs(&query.x, &query.y));
        let curve = Curve { which: chosen.which, steps: last, support: &support, query: &query };
        programs.curve(0, &theta, &curve, &rates, |step, loss, predicted| {
            if let Some(at) = shown.iter_mut().find(|at| at.step == step) {
                at.loss = if number == 0 { loss } else { at.loss };
                at.predicted.extend(pairs(&query.x, predicted));
            }
        })?;
    }
    let ascending = |points: &mut Vec<[f32; 2]>| points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    ascending(&mut truth);
    shown.iter_mut().for_each(|step| ascending(&mut step.predicted));
    let support = pairs(&support.x, &support.y).collect();
    Ok(Fit { method, iteration: chosen.iteration, support, truth, steps: shown })
}

/// Inputs, of which the oracle's have the task beside them, with their outputs.
fn pairs<'a>(x: &'a [f32], y: &'a [f32]) -> impl Iterator<Item = [f32; 2]> + 'a {
    x.chunks((x.len() / y.len()).max(1)).zip(y).map(|(x, y)| [x[0], *y])
}
