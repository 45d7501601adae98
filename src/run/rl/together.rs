//! The outer step of a whole meta-batch on a device that takes many tasks in one launch: what [`super::task`] does one task
//! after the other, with the plans of [`crate::meta::reinforcement_batch`].
//!
//! The time steps are put side by side once, by [`Together::load`]; every other call brings θ or a vector alone.

use super::task::{TaskWork, add_scaled};
use crate::error::Result;
use crate::graph::Plan;
use crate::lower::executable::{Kept, Scratch};
use crate::lower::{Device, Executable};
use crate::nn::Policy;
use std::iter::once;
use std::ops::Range;

/// Input ports before the time steps: θ and the inner rate.
const BEFORE: usize = 2;
/// Input ports of the time steps of one phase: observations, actions, advantages, weights.
const PORTS: usize = 4;

const TRUST_REGION: &str = "lowered for a trust region";

/// What the programs are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Tasks of a meta-batch.
    pub tasks: usize,
    /// Most time steps of a task before each inner step.
    pub support: usize,
    /// Most time steps of a task after adaptation.
    pub query: usize,
    /// Inner steps.
    pub steps: usize,
    /// Whether derivatives go through the inner steps.
    pub through: bool,
    /// Whether there are products and candidates beside the gradients.
    pub trust_region: bool,
}

/// Gradients, products and candidates of a meta-batch, in as few launches as the device has memory for.
pub struct Together {
    sizes: Sizes,
    /// By their number of tasks: at most two sizes.
    programs: Vec<Programs>,
    launches: Vec<Launch>,
    /// Where products are taken: θ, and the inner rate.
    at: (Vec<f32>, [f32; 1]),
}

/// The programs of launches of one size.
struct Programs {
    gradient: Fused,
    fisher: Option<Fused>,
    surrogate: Option<Fused>,
}

/// A program with its memory.
struct Fused {
    program: Executable,
    scratch: Scratch,
    /// The launch whose time steps the scratch holds.
    holds: Option<usize>,
}

/// Tasks that go together.
struct Launch {
    tasks: Range<usize>,
    /// Which of the programs.
    size: usize,
    /// Time steps of these tasks, `[tasks, rows, …]`: one of [`PORTS`] after the other, one phase after the other.
    data: Vec<Vec<f32>>,
    /// What sampled the last time steps: `mean [tasks, query, actions]`, `log_std [tasks, 1, actions]`.
    old: [Vec<f32>; 2],
    /// What the products share.
    kept: Option<Kept>,
}

impl Together {
    /// Errors: [`Error::Run`](crate::error::Error::Run) where the device has not the memory.
    pub fn new(device: &Device, policy: &Policy, sizes: Sizes) -> Result<Together> {
        let Sizes { tasks: all, support, query, steps, through, trust_region } = sizes;
        let gradient = |tasks: usize| policy.batch_gradient(tasks, support, query, steps, through);
        let fisher = |tasks: usize| policy.batch_fisher(tasks, support, query, steps, through);
        let surrogate = |tasks: usize| policy.batch_surrogate(tasks, support, query, steps);
        let mut most = device.tasks_at_once(all, gradient);
        if trust_region {
            most = most.min(device.tasks_at_once(all, fisher)).min(device.tasks_at_once(all, surrogate));
        }
        let (mut programs, mut launches): (Vec<Programs>, Vec<Launch>) = (vec![], vec![]);
        for first in (0..all).step_by(most) {
            let tasks = first..all.min(first + most);
            // All launches are equal but for the last, which may be smaller.
            if launches.last().is_none_or(|before: &Launch| before.tasks.len() != tasks.len()) {
                let more = |plan: &dyn Fn(usize) -> Plan| {
                    trust_region.then(|| Fused::new(device, plan(tasks.len()))).transpose()
                };
                programs.push(Programs {
                    gradient: Fused::new(device, gradient(tasks.len()))?,
                    fisher: more(&fisher)?,
                    surrogate: more(&surrogate)?,
                });
            }
            let size = programs.len() - 1;
            let Programs { gradient, fisher, .. } = &programs[size];
            let [.., mean, log_std] = gradient.program.outputs() else {
                unreachable!("a gradient comes with the distribution")
            };
            launches.push(Launch {
                tasks,
                size,
                data: vec![vec![]; PORTS * (steps + 1)],
                old: [mean, log_std].map(|port| vec![0.0; port.size()]),
                kept: fisher.as_ref().map(|fisher| fisher.program.kept()).transpose()?,
            });
        }
        Ok(Together { sizes, programs, launches, at: (vec![], [0.0]) })
    }

    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Takes over the time steps of a meta-batch, each task's padded with weight 0.
    ///
    /// # Panics
    /// Where the batch has other sizes, or a task more time steps, than the programs were made for.
    pub fn load(&mut self, batch: &[TaskWork]) {
        assert_eq!(batch.len(), self.sizes.tasks, "tasks of a batch");
        for launch in &mut self.launches {
            let inputs = self.programs[launch.size].gradient.program.inputs();
            for (port, data) in launch.data.iter_mut().enumerate() {
                let each = inputs[BEFORE + port].size() / launch.tasks.len();
                data.clear();
                for (number, work) in batch[launch.tasks.clone()].iter().enumerate() {
                    let real = work.steps[port / PORTS].whole()[port % PORTS];
                    assert!(real.len() <= each, "{} floats of a task in place of {each}", real.len());
                    data.extend_from_slice(real);
                    data.resize((number + 1) * each, 0.0);
                }
            }
        }
        for programs in &mut self.programs {
            programs.each_mut().for_each(|fused| fused.holds = None);
        }
    }

    /// The sum over tasks of the outer gradient at `theta` `[parameters]`, and each task's outer loss in its place; the
    /// adapted policies are remembered as those that sampled the last time steps, and their divergence is 0.
    pub fn gradient(&mut self, theta: &[f32], rate: f32, batch: &mut [TaskWork]) -> Result<Vec<f32>> {
        let (mut sum, mut part) = (vec![0.0; theta.len()], vec![0.0; theta.len()]);
        for (number, launch) in self.launches.iter_mut().enumerate() {
            let Programs { gradient, surrogate, .. } = &mut self.programs[launch.size];
            let mut losses = vec![0.0; launch.tasks.len()];
            let rate = [rate];
            let mut inputs = inputs(theta, &rate, &launch.data);
            gradient.leave(number, &mut inputs[BEFORE..]);
            // Only candidates are held against what sampled; else it stays on the device.
            let (mut mean, mut log_std): (&mut [f32], &mut [f32]) = (&mut [], &mut []);
            if surrogate.is_some() || matches!(gradient.program, Executable::Cpu(_)) {
                [mean, log_std] = launch.old.each_mut().map(Vec::as_mut_slice);
            }
            let outputs: &mut [&mut [f32]] = &mut [&mut part, &mut losses, mean, log_std];
            gradient.program.run(&mut gradient.scratch, &inputs, outputs)?;
            // Candidates are held against other policies than before.
            surrogate.iter_mut().for_each(|surrogate| surrogate.holds = None);
            add_scaled(&mut sum, 1.0, &part);
            for (work, loss) in batch[launch.tasks.clone()].iter_mut().zip(losses) {
                (work.loss, work.kl) = (f64::from(loss), 0.0);
            }
        }
        Ok(sum)
    }

    /// Computes once what the products at `theta` share.
    pub fn prepare(&mut self, theta: &[f32], rate: f32) -> Result<()> {
        self.at = (theta.to_vec(), [rate]);
        for (number, launch) in self.launches.iter_mut().enumerate() {
            let fisher = self.programs[launch.size].fisher.as_mut().expect(TRUST_REGION);
            let mut inputs = product_inputs(&self.at, &launch.data);
            fisher.leave(number, &mut inputs[BEFORE..]);
            inputs.push(&[]);
            let kept = launch.kept.as_mut().expect(TRUST_REGION);
            fisher.program.prepare(&mut fisher.scratch, kept, &inputs, &mut [&mut []])?;
        }
        Ok(())
    }

    /// The sum over tasks of Jᵀ F J `vector` `[parameters]` where [`prepare`](Self::prepare) was last called.
    pub fn product(&mut self, vector: &[f32]) -> Result<Vec<f32>> {
        let (mut sum, mut part) = (vec![0.0; vector.len()], vec![0.0; vector.len()]);
        for (number, launch) in self.launches.iter().enumerate() {
            let fisher = self.programs[launch.size].fisher.as_mut().expect(TRUST_REGION);
            let mut inputs = product_inputs(&self.at, &launch.data);
            fisher.leave(number, &mut inputs);
            inputs.push(vector);
            let kept = launch.kept.as_ref().expect(TRUST_REGION);
            fisher.program.apply(&mut fisher.scratch, kept, &inputs, &mut [&mut part])?;
            add_scaled(&mut sum, 1.0, &part);
        }
        Ok(sum)
    }

    /// Every task's outer loss and divergence, in its place, if the initial parameters were `theta`; against the policies
    /// of the last [`gradient`](Self::gradient).
    pub fn try_parameters(&mut self, theta: &[f32], rate: f32, batch: &mut [TaskWork]) -> Result<()> {
        for (number, launch) in self.launches.iter().enumerate() {
            let surrogate = self.programs[launch.size].surrogate.as_mut().expect(TRUST_REGION);
            let (mut losses, mut divergences) =
                (vec![0.0; launch.tasks.len()], vec![0.0; launch.tasks.len()]);
            let rate = [rate];
            let mut inputs = inputs(theta, &rate, &launch.data);
            inputs.extend(launch.old.iter().map(Vec::as_slice));
            surrogate.leave(number, &mut inputs[BEFORE..]);
            let outputs: &mut [&mut [f32]] = &mut [&mut losses, &mut divergences];
            surrogate.program.run(&mut surrogate.scratch, &inputs, outputs)?;
            let found = losses.into_iter().zip(divergences);
            for (work, (loss, divergence)) in batch[launch.tasks.clone()].iter_mut().zip(found) {
                (work.loss, work.kl) = (f64::from(loss), f64::from(divergence));
            }
        }
        Ok(())
    }

    /// The programs of the first launch, each with its memory, to be run on other data.
    pub fn programs(&mut self) -> impl Iterator<Item = (&Executable, &mut Scratch)> {
        self.programs[0].each_mut().map(|fused| {
            fused.holds = None;
            (&fused.program, &mut fused.scratch)
        })
    }

    /// Bytes of the device's memory that a task takes.
    pub fn bytes_per_task(&self) -> usize {
        let (launch, programs) = (&self.launches[0], &self.programs[0]);
        let kept = programs.fisher.as_ref().map_or(0, |fisher| fisher.program.kept_bytes());
        let bytes = programs.each().map(|fused| fused.program.scratch_bytes()).sum::<usize>() + kept;
        bytes / launch.tasks.len()
    }
}

impl Programs {
    fn each(&self) -> impl Iterator<Item = &Fused> {
        once(&self.gradient).chain(&self.fisher).chain(&self.surrogate)
    }

    fn each_mut(&mut self) -> impl Iterator<Item = &mut Fused> {
        once(&mut self.gradient).chain(&mut self.fisher).chain(&mut self.surrogate)
    }
}

impl Fused {
    fn new(device: &Device, plan: Plan) -> Result<Fused> {
        let program = device.lower(plan)?;
        Ok(Fused { scratch: program.scratch()?, program, holds: None })
    }

    /// Leaves inputs of a launch, which later runs do not change, out of a run whose scratch holds them from an earlier one.
    fn leave(&mut self, launch: usize, inputs: &mut [&[f32]]) {
        let held = self.holds.replace(launch) == Some(launch);
        if held && matches!(self.program, Executable::Gpu(_)) {
            inputs.fill(&[]);
        }
    }
}

/// Inputs of the gradient, and all of a candidate's but the old policies.
fn inputs<'a>(theta: &'a [f32], rate: &'a [f32; 1], data: &'a [Vec<f32>]) -> Vec<&'a [f32]> {
    let before: [&[f32]; BEFORE] = [theta, rate];
    before.into_iter().chain(data.iter().map(Vec::as_slice)).collect()
}

/// Inputs of a product but for the vector: the last actions and advantages do not matter.
fn product_inputs<'a>((theta, rate): &'a (Vec<f32>, [f32; 1]), data: &'a [Vec<f32>]) -> Vec<&'a [f32]> {
    let mut inputs = inputs(theta, rate, data);
    let last = inputs.len() - PORTS;
    inputs.drain(last + 1..last + PORTS - 1);
    inputs
}
