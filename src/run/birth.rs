//! Where a number that is not finite was born: the failed task's computation once more in the evaluator, node by node.

use super::composed::Of;
use super::learner::State;
use crate::error;
use crate::error::Error;
use crate::graph::Plan;
use crate::graph::eval;
use crate::meta::supervised::Learner as Plans;
use crate::nn::Layout;
use crate::spec::Word;
use std::fmt;

/// What is known of a task that failed.
pub struct Failed<'a> {
    pub number: usize,
    /// The task's parameters, and their names.
    pub task: &'a [f32],
    pub names: &'a [String],
    /// What the plugin drew the task from; none of a test task, or where every episode draws its own.
    pub seed: Option<u64>,
}

/// Points that a meta-gradient is of, and the inner steps it goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub support: usize,
    pub query: usize,
    pub steps: usize,
}

/// The outputs of a plan, or where the first of them that is not finite was born.
pub type Replayed = Result<Vec<Vec<f32>>, String>;

/// Runs a plan in the evaluator. `stage` says which part of the algorithm it is.
pub fn replay(stage: &str, plan: &Plan, inputs: &[&[f32]]) -> Replayed {
    eval::replay(plan, inputs).map_err(|born| format!("{stage}: {born}"))
}

/// A task's meta-gradient (Algorithm 2) from its own points alone. `Ok` where all of it is finite.
pub fn of_meta_gradient(plans: &Plans, size: Size, of: &Of) -> Result<(), String> {
    let Size { support, query, steps } = size;
    let [support_x, support_y, query_x, query_y] = of.points;
    let rate: &[f32] = &[of.rate];
    if steps == 0 {
        // Ordinary training, on the support points.
        let plan = plans.meta_gradient(&[], 0, support, 0);
        return replay("the gradient", &plan, &[of.theta, support_x, support_y]).map(drop);
    }
    if plans.unrolls(steps) {
        let inputs = [of.theta, rate, support_x, support_y, query_x, query_y];
        let plan = plans.meta_gradient(&[], support, query, steps);
        return replay("the meta-gradient", &plan, &inputs).map(drop);
    }
    let adapt = plans.adapt_after(&[], support, 0);
    let mut thetas = vec![of.theta.to_vec()];
    for step in 1..=steps {
        let stage = format!("inner step {step}");
        let adapted =
            replay(&stage, &adapt, &[&thetas[step - 1], rate, support_x, support_y])?.swap_remove(0);
        thetas.push(adapted);
    }
    let mut inputs: Vec<&[f32]> = vec![&thetas[steps], support_x, query_x, query_y];
    if !plans.model.needs_support() {
        inputs.remove(1);
    }
    let outer = plans.outer_gradient(&[], support, query);
    let mut adjoint = replay("the outer loss", &outer, &inputs)?.swap_remove(0);
    let back = plans.step_adjoint(&[], support);
    // To first order the adjoint behind the last step is that before the first.
    if back.inputs.len() == 5 {
        for step in (1..=steps).rev() {
            let stage = format!("the adjoint of inner step {step}");
            let inputs: [&[f32]; 5] = [&thetas[step - 1], rate, support_x, support_y, &adjoint];
            adjoint = replay(&stage, &back, &inputs)?.swap_remove(1);
        }
    }
    Ok(())
}

/// θ − rate g, in f32, or which parameter is not finite then although its gradient is.
pub fn update(stage: &str, layout: &Layout, theta: &[f32], rate: f32, g: &[f32]) -> Result<Vec<f32>, String> {
    let next: Vec<f32> = theta.iter().zip(g).map(|(theta, g)| theta - rate * g).collect();
    let Some((at, name)) = bad_parameter(layout, &next) else { return Ok(next) };
    Err(format!("{stage}: the update {:e} - {rate:e} · {:e} of {name} is {}", theta[at], g[at], next[at]))
}

/// The place of the first parameter that is not finite, and the name of its tensor.
fn bad_parameter(layout: &Layout, theta: &[f32]) -> Option<(usize, String)> {
    let at = theta.iter().position(|x| !x.is_finite())?;
    let part = layout.parts().into_iter().find(|(_, _, range)| range.contains(&at));
    part.map(|(name, ..)| (at, name))
}

/// Errors: [`Error::Run`] where the outer step has left parameters that are not finite.
pub fn finite_parameters(state: &State, layout: &Layout) -> error::Result<()> {
    let Some((at, name)) = bad_parameter(layout, &state.theta) else { return Ok(()) };
    let born = format!("the outer update, which made a number of {name} {}", state.theta[at]);
    Err(stopped(state, None, "a parameter", Err(born)))
}

/// The error that stops a run. `what` is not finite; `born` says where that began, as far as the evaluator can tell.
pub fn stopped(state: &State, failed: Option<&Failed>, what: &str, born: Result<(), String>) -> Error {
    at(&place(state, failed), not_finite(what, born))
}

/// Where a run is.
pub fn place(state: &State, failed: Option<&Failed>) -> String {
    let task = failed.map_or(String::new(), |failed| format!(", {failed}"));
    format!("{}: at meta-iteration {}{task}", state.method.word(), state.iteration)
}

/// An error of a run, with where it happened.
pub fn at(place: &str, error: Error) -> Error {
    match error {
        Error::Run(text) => Error::Run(format!("{place}: {text}")),
        other => other,
    }
}

/// The error without its place.
pub fn not_finite(what: &str, born: Result<(), String>) -> Error {
    let born = match born {
        Err(born) => format!("It was born in {born}"),
        Ok(()) => {
            "The evaluator, which adds in double precision, finds every number finite: a sum went beyond \
                   single precision on its way"
                .into()
        }
    };
    Error::Run(format!(
        "{what} is not finite.\n  {born}.\n  The parameters of the last checkpoint are kept. Lower inner.rate or the \
         outer step, or set outer.optimizer.clip"
    ))
}

impl fmt::Display for Failed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.names.iter().zip(self.task).map(|(name, value)| format!("{name} {value}"));
        let seed = self.seed.map(|seed| format!("seed {seed}"));
        let known: Vec<String> = values.chain(seed).collect();
        let known = if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) };
        write!(f, "task {}{known}", self.number)
    }
}
