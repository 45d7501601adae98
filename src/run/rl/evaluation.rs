//! Adaptation to one test task, as every evaluation and every replay does it.

use super::birth::{Suspect, What};
use super::learner::EPISODES_APART;
use super::programs::Programs;
use super::task::{Bench, Collect, TaskSource, TaskWork};
use crate::error::{Error, Result};
use crate::run::birth::{self, Failed};
use crate::run::learner::Split;
use crate::run::rollout::Draws;
use crate::spec::{Method, Spec, Word};

/// One method on one support size.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    pub spec: &'a Spec,
    pub programs: &'a Programs,
    pub horizon: usize,
    pub split: Split,
    /// Names of a task's parameters.
    pub names: &'a [String],
    pub method: Method,
    /// The policy also sees the task (the oracle), and is not adapted.
    pub task_input: bool,
    /// Which of the spec's support sizes.
    pub which: usize,
}

impl Evaluation<'_> {
    /// Gradient steps that the method takes when `steps` are asked for.
    pub fn steps(&self, steps: usize) -> usize {
        if self.task_input { 0 } else { steps }
    }

    /// Adapts `theta` to task `number` of the split: `seen` hears the mean return before the first and after every gradient
    /// step, each on the trajectories that the next step would learn from (protocol A.4, adaptation at test).
    pub fn adapt(
        &self,
        thread: usize,
        bench: &mut Bench,
        (number, task): (usize, &[f32]),
        theta: &[f32],
        steps: usize,
        mut seen: impl FnMut(usize, f64, &mut Bench) -> Result<()>,
    ) -> Result<()> {
        let spec = self.spec;
        let [reset, action] = self.split.episodes();
        let episodes = spec.eval.support[self.which];
        let rates = crate::run::rates(spec, self.method, self.which);
        let steps = self.steps(steps);
        let mut work = TaskWork::default();
        let mut theta = theta.to_vec();
        for step in 0..=steps {
            let how = Collect {
                episodes,
                horizon: self.horizon,
                task_input: self.task_input,
                sampling: spec.eval.sampling,
                tasks: TaskSource::One(task),
                draws: Draws {
                    seed: spec.seed,
                    reset,
                    action,
                    iteration: episodes as u64,
                    task: number as u32,
                    first_episode: step as u32 * EPISODES_APART,
                },
                outer: &spec.outer,
            };
            let failed = |error: Error| {
                let task = Failed { number, task, names: self.names, seed: None };
                let (method, split) = (self.method.word(), self.split.name());
                birth::at(&format!("{method}: after {step} gradient steps on {split} {task}"), error)
            };
            work.collect(self.programs, thread, bench, 0, &theta, how).map_err(failed)?;
            seen(step, work.returns[0], bench)?;
            if step < steps {
                let rate = rates(step);
                let adapted = work.adapt(self.programs, thread, 0, &theta, rate)?;
                if adapted.iter().any(|x| !x.is_finite()) {
                    work.thetas = vec![theta, adapted];
                    let what = What::Adapted;
                    let suspect = Suspect { start: &work.thetas[0], rate, through: false, what };
                    let born = work.birth(self.programs, suspect);
                    return Err(failed(birth::not_finite(what.name(), born)));
                }
                theta = adapted;
            }
        }
        Ok(())
    }
}
