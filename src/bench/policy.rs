//! The outer step of trust-region meta-reinforcement learning without its trajectories (paper, Algorithm 3).

use super::arrays::{Arrays, Like};
use super::workload::{Policy as Sizes, Quantity};
use super::{Work, named};
use crate::error::Result;
use crate::lower::executable::Scratch;
use crate::lower::{Device, Executable};
use crate::nn::mlp::Mlp;
use crate::nn::{Activation, Layout, Policy};
use crate::record::weights::Tensor;
use crate::run::reduce::sum_rows;
use crate::run::rl::programs::{Programs, Wanted, rows_of};
use crate::run::rl::steps::Steps;
use crate::run::rl::task::TaskWork;
use crate::run::rl::together::{Sizes as Fused, Together};
use crate::run::rollout::Batch;
use crate::run::trust_region::conjugate_gradient;
use crate::run::workers::Workers;
use std::time::Duration;

/// Iterations of conjugate gradient, and what is added to the diagonal (protocol A.4).
const ITERATIONS: usize = 10;
const DAMPING: f64 = 0.01;

pub struct PolicyWork {
    how: How,
    layout: Layout,
    quantity: Quantity,
    theta: Vec<f32>,
    vector: Vec<f32>,
    rate: f32,
    batch: Vec<TaskWork>,
    result: Vec<f32>,
}

enum How {
    /// Threads of the processor take a task each.
    Alone { workers: Workers<()>, programs: Box<Programs> },
    /// A device takes all tasks at once.
    Together(Box<Together>),
}

impl PolicyWork {
    pub fn new(
        sizes: &Sizes,
        quantity: Quantity,
        (device, threads): (&Device, usize),
        data: &Arrays,
    ) -> Result<PolicyWork> {
        let Sizes { tasks, steps, observation, action, hidden, rate } = *sizes;
        let mlp = Mlp::new(observation, &[hidden, hidden], action, Activation::Tanh);
        let policy = Policy { mlp, context: 0, init_std: 1.0, min_std: 1e-6 };
        let layout = policy.layout();
        // As in training: caches want pieces, a device all rows of a task in one launch.
        let piece = if device.batches() { steps } else { rows_of(steps) };
        let mut batch: Vec<TaskWork> = (0..tasks).map(|_| TaskWork::default()).collect();
        for phase in ["before", "after"] {
            let rows = |what: &str, width: usize| {
                data.rows(&format!("{phase}_{what}"), tasks, steps * width, Like::Normal)
            };
            let observations = rows("observation", observation)?;
            let (actions, advantages) = (rows("action", action)?, rows("advantage", 1)?);
            let rows = observations.into_iter().zip(actions).zip(advantages);
            for (work, ((observations, actions), advantages)) in batch.iter_mut().zip(rows) {
                let mut trajectories = Batch::new(1, steps, observation, action);
                trajectories.lengths.fill(steps);
                trajectories.weights.fill(1.0);
                (trajectories.observations, trajectories.actions) = (observations, actions);
                let mut filled = Steps::default();
                filled.fill(&trajectories, &advantages, piece);
                work.steps.push(filled);
            }
        }
        let vector = data.rows("vector", 1, layout.size(), Like::Normal)?.remove(0);
        let theta = data.parameters(&layout)?;
        let how = if device.batches() {
            let trust_region = quantity != Quantity::Gradient;
            let sizes = Fused { tasks, support: steps, query: steps, steps: 1, through: true, trust_region };
            let mut together = Together::new(device, &policy, sizes)?;
            together.load(&batch);
            How::Together(Box::new(together))
        } else {
            let programs = Programs::new(policy, piece, &[], Wanted::default(), (device, threads))?;
            How::Alone { workers: Workers::new(vec![(); threads])?, programs: Box::new(programs) }
        };
        let result = vec![0.0; layout.size()];
        Ok(PolicyWork { how, layout, quantity, theta, vector, rate, batch, result })
    }

    /// The mean gradient; nothing where a product is asked for. Leaves all that does not depend on a vector: the inner
    /// step, and what its curvature and the Fisher matrix keep.
    fn begin(&mut self) -> Result<Vec<f32>> {
        let PolicyWork { how, theta, rate, batch, .. } = self;
        let (theta, rate, gradient) = (&theta[..], *rate, self.quantity == Quantity::Gradient);
        match how {
            How::Together(together) if gradient => {
                Ok(divided(together.gradient(theta, rate, batch)?, batch.len()))
            }
            How::Together(together) => together.prepare(theta, rate).map(|()| vec![]),
            How::Alone { workers, programs } => {
                workers.each(batch, |thread, _, _, work| {
                    work.thetas.truncate(0);
                    work.thetas.push(theta.to_vec());
                    let adapted = work.adapt_and_keep(programs, thread, 0, theta, rate)?;
                    work.thetas.push(adapted);
                    if gradient {
                        work.remember_policy(programs, thread)?;
                        work.outer_gradient(programs, thread, rate, true)
                    } else {
                        work.prepare_fisher(programs, thread)
                    }
                })?;
                Ok(if gradient { mean(batch, theta.len()) } else { vec![] })
            }
        }
    }
}

impl Work for PolicyWork {
    fn step(&mut self) -> Result<()> {
        let gradient = self.begin()?;
        let PolicyWork { how, batch, rate, vector, .. } = self;
        let mut product = |vector: &[f32]| match how {
            How::Together(together) => Ok(divided(together.product(vector)?, batch.len())),
            How::Alone { workers, programs } => {
                workers.each(batch, |thread, _, _, work| {
                    work.curvature_product(programs, thread, vector, *rate, true)
                })?;
                Ok(mean(batch, vector.len()))
            }
        };
        self.result = match self.quantity {
            Quantity::Gradient => gradient,
            Quantity::Fisher => product(vector)?,
            Quantity::ConjugateGradient => {
                let solution = conjugate_gradient(product, vector, ITERATIONS, DAMPING)?;
                solution.x.iter().map(|x| *x as f32).collect()
            }
        };
        Ok(())
    }

    fn answer(&mut self) -> Result<Vec<Tensor>> {
        self.step()?;
        Ok(named(&self.layout, &self.result))
    }

    fn profile(&mut self) -> Result<Vec<(String, Duration)>> {
        match &mut self.how {
            How::Alone { programs, .. } => {
                let Programs { policy_gradient, policy_curvature, surrogate_gradient, fisher, .. } =
                    &**programs;
                let all = [policy_gradient, policy_curvature, surrogate_gradient, fisher];
                let times = all.map(|shared| profile(&shared.program, &mut shared.scratch(0)));
                Ok(times.into_iter().collect::<Result<Vec<_>>>()?.concat())
            }
            How::Together(together) => {
                let times = together.programs().map(|(program, scratch)| profile(program, scratch));
                Ok(times.collect::<Result<Vec<_>>>()?.concat())
            }
        }
    }

    fn bytes_per_task(&self) -> usize {
        let programs = match &self.how {
            How::Alone { programs, .. } => programs,
            How::Together(together) => return together.bytes_per_task(),
        };
        let Programs { policy_curvature, fisher, surrogate_gradient, .. } = &**programs;
        let pieces = self.batch[0].steps[0].pieces();
        let kept = policy_curvature.program.kept_bytes()
            + match self.quantity {
                Quantity::Gradient => 0,
                Quantity::Fisher | Quantity::ConjugateGradient => fisher.program.kept_bytes(),
            };
        pieces * kept + surrogate_gradient.program.scratch_bytes()
    }
}

/// Every kernel of a program, on inputs that do not matter to its time.
fn profile(program: &Executable, scratch: &mut Scratch) -> Result<Vec<(String, Duration)>> {
    let mut outputs: Vec<Vec<f32>> = program.outputs().iter().map(|port| vec![0.0; port.size()]).collect();
    let mut into: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    let given: Vec<Vec<f32>> = program.inputs().iter().map(|port| vec![0.1; port.size()]).collect();
    let given: Vec<&[f32]> = given.iter().map(Vec::as_slice).collect();
    let named = |(kernel, time)| (format!("{}: {kernel}", program.name()), time);
    Ok(program.profile(scratch, &given, &mut into)?.into_iter().map(named).collect())
}

fn mean(batch: &[TaskWork], size: usize) -> Vec<f32> {
    let mut sum = vec![0.0; size];
    sum_rows(batch, &mut sum);
    divided(sum, batch.len())
}

fn divided(mut sum: Vec<f32>, tasks: usize) -> Vec<f32> {
    sum.iter_mut().for_each(|x| *x /= tasks as f32);
    sum
}
