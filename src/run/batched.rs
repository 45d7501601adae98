//! The programs of a supervised method on a device that takes many tasks in one launch.
//!
//! Parameters cross to the device once a launch and are repeated for its tasks there; the gradients of its tasks are
//! added up there, in one fixed order, and cross back as one. In evaluations every task has adapted parameters of its own.

use super::learner::State;
use super::programs::{Counts, Points, Stages, TaskWork};
use crate::error::Result;
use crate::graph::Plan;
use crate::lower::executable::Scratch;
use crate::lower::{Device, Executable};
use crate::meta::supervised::Learner as Plans;
use crate::spec::{Method, Spec};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub struct Batched {
    train: Option<Gradients>,
    pub adapts: bool,
    adapt: Option<Stages<Launch>>,
    evaluate: Stages<Launch>,
    beside: bool,
    /// Test tasks of one launch.
    pub test_tasks: usize,
    /// Where each parameter tensor lies in θ.
    parts: Vec<Range<usize>>,
}

/// The gradients of a meta-batch in as few launches as the device has memory for.
pub struct Gradients {
    /// By their number of tasks: at most two sizes.
    launches: Vec<Launch>,
    /// Whether a task has query points.
    adapts: bool,
}

/// A program with its memory.
struct Launch {
    tasks: usize,
    program: Executable,
    scratch: Mutex<Scratch>,
}

/// The adaptation of a group of test tasks, at most [`Batched::test_tasks`] of them.
pub struct Curves<'a> {
    /// Which of [`Counts::eval`].
    pub which: usize,
    pub steps: usize,
    /// Support and query points of each task.
    pub tasks: &'a [(&'a Points, &'a Points)],
}

impl Launch {
    fn new(device: &Device, tasks: usize, plan: Plan) -> Result<Launch> {
        let program = device.lower(plan)?;
        let scratch = Mutex::new(program.scratch()?);
        Ok(Launch { tasks, program, scratch })
    }

    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) -> Result<()> {
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        self.program.run(&mut scratch, inputs, outputs)
    }
}

impl Gradients {
    /// For a meta-batch of `all` tasks; `plan` is that of a launch of so many. Without `adapts`, a task has support points
    /// alone and there is no inner rate.
    ///
    /// Errors: [`Error::Run`](crate::error::Error::Run) where the device has not the memory for a task.
    pub fn new(device: &Device, all: usize, adapts: bool, plan: impl Fn(usize) -> Plan) -> Result<Gradients> {
        let most = device.tasks_at_once(all, &plan);
        let mut sizes = vec![most, all % most];
        sizes.retain(|tasks| *tasks > 0);
        let launches = sizes.into_iter().map(|tasks| Launch::new(device, tasks, plan(tasks)));
        Ok(Gradients { launches: launches.collect::<Result<_>>()?, adapts })
    }

    /// Bytes of the device's memory that a task takes.
    pub fn bytes_per_task(&self) -> usize {
        self.launches.first().map_or(0, |launch| launch.program.scratch_bytes() / launch.tasks)
    }

    /// As [`run`](Self::run), of the points that the latest run was given, which lie on the device still.
    ///
    /// # Panics
    /// Where a meta-batch takes several launches, whose points take turns there.
    pub fn again(&self, theta: &[f32], rate: f32) -> Result<Vec<f32>> {
        assert!(self.at_once(), "several launches share their memory");
        let launch = &self.launches[0];
        let (mut gradient, mut losses) = (vec![0.0; theta.len()], vec![0.0; launch.tasks]);
        launch.run(&self.without_points(theta, &[rate]), &mut [&mut gradient, &mut losses])?;
        Ok(gradient)
    }

    /// Inputs of the first launch that leave the points which it holds.
    fn without_points<'a>(&self, theta: &'a [f32], rate: &'a [f32; 1]) -> Vec<&'a [f32]> {
        let mut inputs: Vec<&[f32]> = vec![&[]; self.launches[0].program.inputs().len()];
        inputs[0] = theta;
        if self.adapts {
            inputs[1] = rate;
        }
        inputs
    }

    /// Whether one launch takes the whole meta-batch.
    pub fn at_once(&self) -> bool {
        self.launches.len() == 1
    }

    /// Every kernel of a launch, with the time that it took on what lies on the device.
    pub fn profile(&self, theta: &[f32], rate: f32) -> Result<Vec<(String, Duration)>> {
        let Launch { program, scratch, .. } = &self.launches[0];
        let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
        program.profile(&mut scratch, &self.without_points(theta, &[rate]), &mut [])
    }

    /// The sum of all tasks' gradients `[parameters]`, and each task's outer loss in its place.
    pub fn run(&self, theta: &[f32], rate: f32, batch: &mut [TaskWork]) -> Result<Vec<f32>> {
        let mut sum = vec![0.0; theta.len()];
        let mut rest = batch;
        while let Some(launch) = self.launches.iter().find(|launch| launch.tasks <= rest.len()) {
            let (tasks, others) = rest.split_at_mut(launch.tasks);
            let all = |of: fn(&TaskWork) -> &[f32]| -> Vec<f32> {
                tasks.iter().map(of).collect::<Vec<_>>().concat()
            };
            let (support_x, support_y) = (all(|task| &task.support.x), all(|task| &task.support.y));
            let mut gradient = vec![0.0; theta.len()];
            let mut losses = vec![0.0; launch.tasks];
            let outputs: &mut [&mut [f32]] = &mut [&mut gradient, &mut losses];
            if self.adapts {
                let (query_x, query_y) = (all(|task| &task.query.x), all(|task| &task.query.y));
                let rate = [rate];
                launch.run(&[theta, &rate, &support_x, &support_y, &query_x, &query_y], outputs)?;
            } else {
                launch.run(&[theta, &support_x, &support_y], outputs)?;
            }
            sum.iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += g);
            tasks.iter_mut().zip(losses).for_each(|(task, loss)| task.loss = loss);
            rest = others;
        }
        Ok(sum)
    }
}

impl Batched {
    /// Builds every program of a method, for as many tasks a launch as the device has memory for.
    pub fn new(
        spec: &Spec,
        method: Method,
        plans: &Plans,
        counts: &Counts,
        device: &Device,
    ) -> Result<Batched> {
        let Counts { support, query, eval } = counts;
        let adapts = method.adapts();
        let gradient = |tasks: usize| match adapts {
            true => plans.batch_gradient(tasks, *support, *query, spec.inner.steps),
            // The released baselines train on the support points alone (protocol A.1).
            false => plans.batch_gradient(tasks, 0, *support, 0),
        };
        let trains = method != Method::Random;
        let train = trains.then(|| Gradients::new(device, spec.outer.tasks, adapts, gradient)).transpose()?;
        let last = if plans.model.counts_steps() { spec.inner.steps } else { 0 };
        let beside = plans.model.needs_support();
        let most = eval.iter().copied().max().unwrap_or(0);
        let shown = if beside { most } else { 0 };
        let at_once = |plan: &dyn Fn(usize) -> Plan| device.tasks_at_once(spec.eval.tasks, plan);
        let test_tasks = at_once(&|tasks| plans.evaluate_after(&[tasks], shown, *query, 0))
            .min(at_once(&|tasks| plans.adapt_after(&[tasks], most, 0)));
        let lead = [test_tasks];
        let row = |plan: &dyn Fn(usize) -> Plan| -> Result<Vec<Launch>> {
            (0..=last).map(|at| Launch::new(device, test_tasks, plan(at))).collect()
        };
        let adapt = |n: &usize| row(&|at| plans.adapt_after(&lead, *n, at));
        let adapt = match method.adapts_at_test() {
            true => Some(Stages(eval.iter().map(adapt).collect::<Result<_>>()?)),
            false => None,
        };
        let evaluate = |n: usize| row(&|at| plans.evaluate_after(&lead, n, *query, at));
        let evaluate: Result<Vec<Vec<Launch>>> = if beside {
            eval.iter().map(|n| evaluate(*n)).collect()
        } else {
            evaluate(0).map(|row| vec![row])
        };
        let parts = plans.model.layout().parts().into_iter().map(|(_, _, range)| range).collect();
        Ok(Batched { train, adapts, adapt, evaluate: Stages(evaluate?), beside, test_tasks, parts })
    }

    /// As [`Gradients::run`]; zeros of a method that is not trained.
    pub fn gradient(&self, state: &State, rate: f32, batch: &mut [TaskWork]) -> Result<Vec<f32>> {
        let nothing = || Ok(vec![0.0; state.theta.len()]);
        self.train.as_ref().map_or_else(nothing, |train| train.run(&state.theta, rate, batch))
    }

    /// Adapts to a group of tasks step by step; `each` gets the number of the task in the group, the number of steps,
    /// the loss on the queries and the predictions.
    pub fn curves(
        &self,
        theta: &[f32],
        curves: &Curves,
        rates: impl Fn(usize) -> f32,
        mut each: impl FnMut(usize, usize, f32, &[f32]),
    ) -> Result<()> {
        let Curves { which, steps, tasks } = *curves;
        let Some(last) = tasks.last() else { return Ok(()) };
        // A group that is not full is filled up with its last task, whose results are not looked at.
        let filled = || tasks.iter().chain(std::iter::repeat(last)).take(self.test_tasks);
        let support_x: Vec<f32> = filled().flat_map(|(support, _)| support.x.iter().copied()).collect();
        let support_y: Vec<f32> = filled().flat_map(|(support, _)| support.y.iter().copied()).collect();
        let query_x: Vec<f32> = filled().flat_map(|(_, query)| query.x.iter().copied()).collect();
        let query_y: Vec<f32> = filled().flat_map(|(_, query)| query.y.iter().copied()).collect();
        let repeated = |part: &Range<usize>| theta[part.clone()].repeat(self.test_tasks);
        let mut theta: Vec<f32> = self.parts.iter().flat_map(repeated).collect();
        let mut next = theta.clone();
        let (mut losses, mut ignored) = (vec![0.0; self.test_tasks], vec![0.0; self.test_tasks]);
        let mut predicted = vec![0.0; query_y.len()];
        let steps = if self.adapt.is_none() { 0 } else { steps };
        for step in 0..=steps {
            let mut inputs: Vec<&[f32]> = vec![&theta, &support_x, &query_x, &query_y];
            if !self.beside {
                inputs.remove(1);
            }
            self.evaluate.at(which, step).run(&inputs, &mut [&mut losses, &mut predicted])?;
            let width = predicted.len() / self.test_tasks;
            for task in 0..tasks.len() {
                each(task, step, losses[task], &predicted[task * width..(task + 1) * width]);
            }
            if let (true, Some(adapt)) = (step < steps, &self.adapt) {
                let (adapt, rate) = (adapt.at(which, step), [rates(step)]);
                adapt.run(&[&theta, &rate, &support_x, &support_y], &mut [&mut next, &mut ignored])?;
                std::mem::swap(&mut theta, &mut next);
            }
        }
        Ok(())
    }
}
