//! A task's meta-gradient in either form: one program through all inner steps, or composed of one program a step.

use super::composed::{Composed, Of};
use super::workers::Shared;
use crate::error;
use crate::lower::lower;
use crate::meta::supervised::Learner as Plans;
use crate::spec::Bytes;
use std::time::Duration;

/// Which form a meta-gradient has is a matter of its plans and the number of steps alone, never of memory, so that a
/// memory budget changes no bit of a result.
pub enum MetaGradient {
    Unrolled(Shared),
    Composed(Box<Composed>),
}

impl MetaGradient {
    /// Lowers the programs of a meta-gradient through `steps` inner steps, at least one.
    pub fn new(plans: &Plans, support: usize, query: usize, steps: usize, threads: usize) -> MetaGradient {
        if plans.unrolls(steps) {
            let plan = plans.meta_gradient(&[], support, query, steps);
            return MetaGradient::Unrolled(Shared::new(lower(plan), threads));
        }
        MetaGradient::Composed(Box::new(Composed::new(plans, support, query, steps, threads)))
    }

    /// Fills in a task's meta-gradient and its outer loss.
    pub fn run(&self, thread: usize, of: &Of, gradient: &mut [f32], loss: &mut f32) -> error::Result<()> {
        match self {
            MetaGradient::Unrolled(program) => {
                let [support_x, support_y, query_x, query_y] = of.points;
                let inputs = [of.theta, &[of.rate], support_x, support_y, query_x, query_y];
                program.run(thread, &inputs, &mut [gradient, std::slice::from_mut(loss)])
            }
            MetaGradient::Composed(composed) => {
                *loss = composed.run(thread, of, gradient);
                Ok(())
            }
        }
    }

    /// As [`Executable::profile`](crate::lower::Executable::profile): every kernel of one task with its time, and where
    /// steps are composed those of one step and of the outer loss.
    pub fn profile(&self, of: &Of, gradient: &mut [f32]) -> error::Result<Vec<(String, Duration)>> {
        match self {
            MetaGradient::Unrolled(program) => {
                let [support_x, support_y, query_x, query_y] = of.points;
                let inputs = [of.theta, &[of.rate], support_x, support_y, query_x, query_y];
                program.program.profile(&mut program.scratch(0), &inputs, &mut [gradient, &mut [0.0]])
            }
            MetaGradient::Composed(composed) => Ok(composed.profile(of)),
        }
    }

    /// Working memory of one thread.
    pub fn bytes(&self) -> u64 {
        match self {
            MetaGradient::Unrolled(program) => program.program.scratch_bytes() as u64,
            MetaGradient::Composed(composed) => composed.bytes(),
        }
    }

    /// The least working memory of one thread that [`keep_within`](Self::keep_within) can do with.
    pub fn least_bytes(&self) -> u64 {
        match self {
            MetaGradient::Unrolled(_) => self.bytes(),
            MetaGradient::Composed(composed) => composed.least_bytes(),
        }
    }

    /// From now on `threads` threads stay within a budget of bytes, of which `held` are taken by other things.
    ///
    /// Errors: what is wrong with the budget, where it is too little.
    pub fn keep_within(&mut self, budget: u64, held: u64, threads: usize) -> Result<(), String> {
        let threads = threads as u64;
        let least = held + threads * self.least_bytes();
        if budget < least {
            return Err(too_little(budget, least, threads));
        }
        if let MetaGradient::Composed(composed) = self {
            composed.keep_within((budget - held) / threads);
        }
        Ok(())
    }
}

/// A message that names the least budget.
pub fn too_little(budget: u64, least: u64, threads: u64) -> String {
    let (budget, least) = (Bytes(budget), Bytes::at_least(least));
    let with = if threads > 1 { format!(" with {threads} threads; fewer take less") } else { String::new() };
    format!("memory_budget: {budget} is too little, the programs need {least} at least{with}")
}
