//! Algorithm 2 at work: tasks from a plugin, meta-gradients from a program, an outer optimiser.

use super::averaged::Regressor;
use super::budget;
use super::learner::{Learner, Split, State};
use super::programs::{
    AVERAGE_WEIGHT, Counts, Curve, Points, Programs, TaskWork, TestTask, accuracy, outer_step,
};
use super::test_tasks;
use super::workers::Workers;
use crate::error::{Error, Result};
use crate::lower::Device;
use crate::meta::build;
use crate::meta::supervised::Learner as Plans;
use crate::nn::Layout;
use crate::plugin::{Plugin, TaskSpaces, TasksInstance};
use crate::random::{Purpose, seed_at};
use crate::record::row::{EvalRow, TimingRow, TrainRow};
use crate::spec::{Averaged, Loss, Method, Order, Spec, Word};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// Supervised meta-learning of one spec.
pub struct Supervised {
    spec: Spec,
    workers: Workers<TasksInstance>,
    pub(super) methods: BTreeMap<Method, Programs>,
    /// Test tasks, each `[task]`.
    pub(super) test_tasks: Vec<Vec<f32>>,
    /// Validation tasks; none where the spec does not select by them.
    val_tasks: Vec<Vec<f32>>,
    task_names: Vec<String>,
    batch: Vec<TaskWork>,
}

impl Supervised {
    /// Loads instances, builds and lowers every program that the spec's methods need.
    pub fn new(
        spec: &Spec,
        plugin: &Plugin,
        spec_folder: &Path,
        (device, threads): (&Device, usize),
    ) -> Result<Supervised> {
        let instances: Result<Vec<TasksInstance>> =
            (0..threads).map(|_| plugin.tasks(&spec.task.params)).collect();
        let instances = instances?;
        let shape = instances[0].spaces().clone();
        let mut first = plugin.tasks(&spec.task.params)?;
        let task_names: Vec<String> = shape.task.iter().map(|field| field.name.clone()).collect();
        let test_tasks =
            test_tasks::of(spec, spec_folder, &task_names, |seed, task| first.sample_task(seed, task))?;
        let val_tasks =
            test_tasks::validation(spec, &task_names, |seed, task| first.sample_task(seed, task))?;
        let counts = counts(spec);
        let methods = spec.methods.iter().map(|method| {
            let width = inputs(&shape, *method);
            let plans = plans(spec, *method, &[width], shape.y.len())?;
            Ok((*method, Programs::new(spec, *method, &plans, &counts, (device, threads))?))
        });
        let mut methods: BTreeMap<Method, Programs> = methods.collect::<Result<_>>()?;
        let width = inputs(&shape, Method::Oracle) + shape.y.len();
        budget::keep_within(spec, threads, (&counts, width), 0, methods.values_mut().collect())?;
        Ok(Supervised {
            methods,
            spec: spec.clone(),
            workers: Workers::new(instances)?,
            test_tasks,
            val_tasks,
            task_names,
            batch: vec![TaskWork::default(); spec.outer.tasks],
        })
    }
}

/// Points of one task.
pub fn counts(spec: &Spec) -> Counts {
    Counts { support: spec.task.support, query: spec.task.query, eval: spec.eval.support.clone() }
}

/// Numbers of an input point; the oracle sees the task beside each.
pub fn inputs(spaces: &TaskSpaces, method: Method) -> usize {
    spaces.x.len() + if method == Method::Oracle { spaces.task.len() } else { 0 }
}

/// The plans of a method for points of shape `input`.
///
/// Errors: [`Error::Input`] where the spec's layers do not fit them.
pub fn plans(spec: &Spec, method: Method, input: &[usize], outputs: usize) -> Result<Plans> {
    let order = if method == Method::Fomaml { Order::First } else { spec.inner.order };
    let context = context(spec, method);
    let model = build::network(&spec.model, input, outputs, spec.inner.steps, context)
        .map_err(|misfit| Error::Input(format!("{}: {misfit}", build::key(&spec.model, &misfit))))?;
    Ok(Plans { model, loss: spec.inner.loss, reduction: spec.inner.reduction, order })
}

/// Numbers of the method's context vector, if it has one.
pub fn context(spec: &Spec, method: Method) -> Option<usize> {
    spec.model.context.filter(|_| method == Method::Context)
}

/// Draws `n` points of a task; the oracle sees the task beside each input.
pub(super) fn draw(
    points: &mut Points,
    plugin: &mut TasksInstance,
    task: &[f32],
    seed: u64,
    n: usize,
    task_input: bool,
) -> Result<()> {
    let (inputs, outputs) = (plugin.spaces().x.len(), plugin.spaces().y.len());
    points.x.resize(n * inputs, 0.0);
    points.y.resize(n * outputs, 0.0);
    plugin.sample(task, seed, &mut points.x, &mut points.y)?;
    if task_input {
        points.x = points.x.chunks(inputs).flat_map(|x| x.iter().chain(task).copied()).collect();
    }
    Ok(())
}

impl TaskWork {
    /// Draws the task itself.
    fn draw_task(&mut self, plugin: &mut TasksInstance, seed: u64) -> Result<()> {
        self.seed = seed;
        self.task.clear();
        self.task.resize(plugin.spaces().task.len(), 0.0);
        plugin.sample_task(seed, &mut self.task)
    }
}

impl Supervised {
    /// Trains one regressor on a task of its own and takes its weights into θ, which is the mean of all so far.
    fn regress(&mut self, averaged: &Averaged, state: &mut State, train: &mut TrainRow) -> Result<()> {
        let programs = &self.methods[&state.method];
        let (spec, number) = (&self.spec, state.iteration);
        let mut regressor = Regressor::next(spec, averaged, &programs.layout, state)?;
        while !regressor.trained() {
            let at = &regressor.state;
            self.workers.each(&mut self.batch, |thread, plugin, part, work| {
                work.draw_task(plugin, seed_at(spec.seed, Purpose::TrainTask, number, 0, 0))?;
                let step = at.iteration as u32;
                let seed = seed_at(spec.seed, Purpose::TrainPoints, number, step, part as u32);
                draw(&mut work.support, plugin, &work.task, seed, spec.task.support, false)?;
                programs.gradient(thread, at, spec.inner.rate as f32, work)
            })?;
            let sum = programs.sum(at, spec.inner.rate as f32, &mut self.batch, &self.task_names)?;
            let losses: Vec<f64> = self.batch.iter().map(|work| f64::from(work.loss)).collect();
            regressor.step(&losses, sum, AVERAGE_WEIGHT)?;
        }
        let (mean, loss) = regressor.mean();
        state.theta = mean;
        state.iteration += 1;
        state.tasks_seen += 1;
        train.loss_outer = Some(loss);
        Ok(())
    }
}

impl Learner for Supervised {
    fn layout(&self, method: Method) -> &Layout {
        &self.methods[&method].layout
    }

    fn task_names(&self) -> Vec<String> {
        self.task_names.clone()
    }

    fn train(&mut self, state: &mut State, train: &mut TrainRow, timing: &mut TimingRow) -> Result<()> {
        let began = Instant::now();
        if let (true, Some(averaged)) = (state.method.averages(), self.spec.averaged.clone()) {
            self.regress(&averaged, state, train)?;
            timing.total_secs = began.elapsed().as_secs_f32();
            return Ok(());
        }
        let programs = &self.methods[&state.method];
        let (spec, iteration, task_input) = (&self.spec, state.iteration, state.method == Method::Oracle);
        self.workers.each(&mut self.batch, |thread, plugin, number, work| {
            let at = |purpose, episode| seed_at(spec.seed, purpose, iteration, number as u32, episode);
            work.draw_task(plugin, at(Purpose::TrainTask, 0))?;
            let seed = at(Purpose::TrainPoints, 0);
            draw(&mut work.support, plugin, &work.task, seed, spec.task.support, task_input)?;
            if programs.adapts() {
                let seed = at(Purpose::TrainPoints, 1);
                draw(&mut work.query, plugin, &work.task, seed, spec.task.query, task_input)?;
            }
            programs.gradient(thread, state, spec.inner.rate as f32, work)
        })?;
        let sum = programs.sum(state, spec.inner.rate as f32, &mut self.batch, &self.task_names)?;
        outer_step(spec, &programs.layout, (&self.batch, sum), state, train)?;
        timing.total_secs = began.elapsed().as_secs_f32();
        Ok(())
    }

    fn validates(&self) -> bool {
        !self.val_tasks.is_empty()
    }

    fn evaluate(
        &mut self,
        split: Split,
        method: Method,
        iteration: u64,
        theta: &[f32],
    ) -> Result<Vec<EvalRow>> {
        let posed = if split == Split::Val { &self.val_tasks } else { &self.test_tasks };
        let (spec, programs) = (&self.spec, &self.methods[&method]);
        let (classify, task_input) = (spec.inner.loss == Loss::CrossEntropy, method == Method::Oracle);
        let mut rows = vec![];
        for (which, support_size) in spec.eval.support.iter().enumerate() {
            let rates = super::rates(spec, method, which);
            let row = |number: usize, step: usize, loss: f32, predicted: &[f32], query: &Points| EvalRow {
                iteration,
                method: method.word().into(),
                split: split.name().into(),
                support: *support_size as u32,
                task: number as u32,
                inner_step: step as u32,
                loss: Some(loss),
                accuracy: classify.then(|| accuracy(predicted, &query.y, spec.task.query)),
                task_params: posed[number].clone(),
                ..EvalRow::default()
            };
            let mut items: Vec<TestTask> = (0..posed.len()).map(TestTask::new).collect();
            let group = programs.test_tasks().unwrap_or(items.len());
            for items in items.chunks_mut(group.max(1)) {
                self.workers.each(items, |thread, plugin, _, item| {
                    let (number, task) = (item.number, &posed[item.number]);
                    let at = |episode| {
                        seed_at(spec.seed, split.points(), *support_size as u64, number as u32, episode)
                    };
                    draw(&mut item.support, plugin, task, at(0), *support_size, task_input)?;
                    draw(&mut item.query, plugin, task, at(1), spec.task.query, task_input)?;
                    let curve =
                        Curve { which, steps: spec.eval.steps, support: &item.support, query: &item.query };
                    programs.curve(thread, theta, &curve, &rates, |step, loss, predicted| {
                        item.rows.push(row(number, step, loss, predicted, &item.query));
                    })?;
                    item.forget_if_done();
                    Ok(())
                })?;
                TestTask::together(items, programs, theta, (which, spec.eval.steps), &rates, row)?;
                rows.extend(items.iter_mut().flat_map(TestTask::finish));
            }
        }
        Ok(rows)
    }
}
