//! Algorithm 2 at work: tasks from a plugin, meta-gradients from a program, an outer optimiser.

use super::learner::{Learner, State};
use super::optimizer::GradientOptimizer;
use super::reduce::{sum_rows, sum_values};
use super::test_tasks;
use super::workers::{Shared, Workers};
use crate::error::{Error, Result};
use crate::graph::Plan;
use crate::lower::lower;
use crate::meta::build;
use crate::meta::supervised::Learner as Plans;
use crate::nn::Layout;
use crate::plugin::{Plugin, TaskSpaces, TasksInstance};
use crate::random::{Purpose, seed_at};
use crate::record::row::{EvalRow, TimingRow, TrainRow};
use crate::spec::{Loss, Method, Order, Spec, Word};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// The weight of a new batch in running averages of moments (the usual momentum of 0.9).
const AVERAGE_WEIGHT: f32 = 0.1;

/// Supervised meta-learning of one spec.
pub struct Supervised {
    spec: Spec,
    workers: Workers<TasksInstance>,
    methods: BTreeMap<Method, Programs>,
    /// Test tasks, each `[task]`.
    test_tasks: Vec<Vec<f32>>,
    task_names: Vec<String>,
    batch: Vec<TaskWork>,
}

/// The programs of one method.
struct Programs {
    layout: Layout,
    /// Task parameters are appended to every input (the oracle).
    task_input: bool,
    train: Option<Training>,
    /// One inner step; none for methods that do not adapt.
    adapt: Option<Stages>,
    evaluate: Stages,
    /// Whether judging the queries takes the support points too.
    beside: bool,
}

/// Programs by evaluation support size, then by the inner steps taken before; the last of a row stands for all after
/// it. A network that tells neither apart has one program for all.
struct Stages(Vec<Vec<Shared>>);

impl Stages {
    fn at(&self, support: usize, updates: usize) -> &Shared {
        let row = &self.0[support.min(self.0.len() - 1)];
        &row[updates.min(row.len() - 1)]
    }
}

struct Training {
    program: Shared,
    /// Whether the program adapts on support points first.
    adapts: bool,
}

/// One task's share of a meta-iteration.
#[derive(Clone, Default)]
struct TaskWork {
    support: Points,
    query: Points,
    gradient: Vec<f32>,
    loss: f32,
}

/// Points of a task: `x [n, inputs]`, `y [n, outputs]`.
#[derive(Clone, Default)]
struct Points {
    x: Vec<f32>,
    y: Vec<f32>,
}

impl AsRef<[f32]> for TaskWork {
    fn as_ref(&self) -> &[f32] {
        &self.gradient
    }
}

impl Supervised {
    /// Loads instances, builds and lowers every program that the spec's methods need.
    pub fn new(spec: &Spec, plugin: &Plugin, spec_folder: &Path, threads: usize) -> Result<Supervised> {
        let instances: Result<Vec<TasksInstance>> =
            (0..threads).map(|_| plugin.tasks(&spec.task.params)).collect();
        let instances = instances?;
        let shape = instances[0].spaces().clone();
        let mut first = plugin.tasks(&spec.task.params)?;
        let task_names: Vec<String> = shape.task.iter().map(|field| field.name.clone()).collect();
        let test_tasks =
            test_tasks::of(spec, spec_folder, &task_names, |seed, task| first.sample_task(seed, task))?;
        let methods = spec.methods.iter().map(|method| {
            let width = inputs(&shape, *method);
            Ok((*method, Programs::new(spec, *method, width, shape.y.len(), threads)?))
        });
        Ok(Supervised {
            methods: methods.collect::<Result<_>>()?,
            spec: spec.clone(),
            workers: Workers::new(instances)?,
            test_tasks,
            task_names,
            batch: vec![TaskWork::default(); spec.outer.tasks],
        })
    }
}

impl Programs {
    fn new(spec: &Spec, method: Method, inputs: usize, outputs: usize, threads: usize) -> Result<Programs> {
        let plans = plans(spec, method, inputs, outputs)?;
        let shared = |plan: Plan| Shared::new(lower(plan), threads);
        let (support, query) = (spec.task.support, spec.task.query);
        let train = match method {
            Method::Random => None,
            Method::Maml | Method::Fomaml => Some(plans.meta_gradient(&[], support, query, spec.inner.steps)),
            // The released baselines train on the support points alone (protocol A.1).
            Method::Pretrained | Method::Oracle => Some(plans.meta_gradient(&[], 0, support, 0)),
        };
        let adapts = matches!(method, Method::Maml | Method::Fomaml);
        // Only a network that counts steps has more than one stage (see `Network::counts_steps`).
        let last = if plans.model.counts_steps() { spec.inner.steps } else { 0 };
        let row = |program: &dyn Fn(usize) -> Plan| (0..=last).map(|at| shared(program(at))).collect();
        let sizes = &spec.eval.support;
        let adapts_at_test = method != Method::Oracle;
        let adapt = adapts_at_test
            .then(|| Stages(sizes.iter().map(|n| row(&|at| plans.adapt_after(&[], *n, at))).collect()));
        let beside = plans.model.needs_support();
        let evaluate = |n: usize| row(&|at| plans.evaluate_after(&[], n, query, at));
        let evaluate = if beside { sizes.iter().map(|n| evaluate(*n)).collect() } else { vec![evaluate(0)] };
        Ok(Programs {
            layout: plans.model.layout(),
            task_input: method == Method::Oracle,
            train: train.map(|plan| Training { program: shared(plan), adapts }),
            adapt,
            evaluate: Stages(evaluate),
            beside,
        })
    }
}

/// Numbers of an input point; the oracle sees the task beside each.
pub fn inputs(spaces: &TaskSpaces, method: Method) -> usize {
    spaces.x.len() + if method == Method::Oracle { spaces.task.len() } else { 0 }
}

/// The plans of a method between these widths.
///
/// Errors: [`Error::Input`] where the spec's layers do not fit them.
pub fn plans(spec: &Spec, method: Method, inputs: usize, outputs: usize) -> Result<Plans> {
    let order = if method == Method::Fomaml { Order::First } else { spec.inner.order };
    let model = build::network(&spec.model, &[inputs], outputs, spec.inner.steps)
        .map_err(|misfit| Error::Input(format!("{}: {misfit}", build::key(&spec.model, &misfit))))?;
    Ok(Plans { model, loss: spec.inner.loss, reduction: spec.inner.reduction, order })
}

impl Points {
    /// Draws `n` points of a task; the oracle sees the task beside each input.
    fn draw(
        &mut self,
        plugin: &mut TasksInstance,
        task: &[f32],
        seed: u64,
        n: usize,
        task_input: bool,
    ) -> Result<()> {
        let (inputs, outputs) = (plugin.spaces().x.len(), plugin.spaces().y.len());
        self.x.resize(n * inputs, 0.0);
        self.y.resize(n * outputs, 0.0);
        plugin.sample(task, seed, &mut self.x, &mut self.y)?;
        if task_input {
            self.x = self.x.chunks(inputs).flat_map(|x| x.iter().chain(task).copied()).collect();
        }
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
        let programs = &self.methods[&state.method];
        let training = programs.train.as_ref().ok_or_else(|| untrained(state.method))?;
        let (spec, theta, iteration) = (&self.spec, &state.theta, state.iteration);
        let rate = [spec.inner.rate as f32];
        let names = &self.task_names;
        self.workers.each(&mut self.batch, |thread, plugin, number, work| {
            let at = |purpose, episode| seed_at(spec.seed, purpose, iteration, number as u32, episode);
            let mut task = vec![0.0; names.len()];
            plugin.sample_task(at(Purpose::TrainTask, 0), &mut task)?;
            let TaskWork { support, query, gradient, loss } = work;
            support.draw(
                plugin,
                &task,
                at(Purpose::TrainPoints, 0),
                spec.task.support,
                programs.task_input,
            )?;
            gradient.resize(theta.len(), 0.0);
            let outputs: &mut [&mut [f32]] = &mut [gradient, std::slice::from_mut(loss)];
            if training.adapts {
                query.draw(
                    plugin,
                    &task,
                    at(Purpose::TrainPoints, 1),
                    spec.task.query,
                    programs.task_input,
                )?;
                let inputs = [&theta[..], &rate, &support.x, &support.y, &query.x, &query.y];
                training.program.run(thread, &inputs, outputs);
            } else {
                training.program.run(thread, &[theta, &support.x, &support.y], outputs);
            }
            if !loss.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
                return Err(not_finite(state.method, iteration, number, &task, names, *loss));
            }
            Ok(())
        })?;
        let tasks = self.batch.len();
        let mut gradient = vec![0.0; theta.len()];
        sum_rows(&self.batch, &mut gradient);
        gradient.iter_mut().for_each(|g| *g /= tasks as f32);
        let losses: Vec<f64> = self.batch.iter().map(|work| f64::from(work.loss)).collect();
        let mut optimizer = GradientOptimizer::new(&spec.outer.optimizer, theta.len()).ok_or_else(|| {
            Error::Input("outer.optimizer: trpo trains policies; use adam or sgd here".into())
        })?;
        if !state.optimizer.is_empty() {
            optimizer.restore(&state.optimizer)?;
        }
        programs.layout.settle(&mut state.theta, &mut gradient, AVERAGE_WEIGHT);
        optimizer.step(&mut state.theta, &gradient)?;
        state.optimizer = optimizer.to_bytes();
        state.tasks_seen += tasks as u64;
        state.iteration += 1;
        train.loss_outer = Some((sum_values(&losses) / tasks as f64) as f32);
        timing.total_secs = began.elapsed().as_secs_f32();
        Ok(())
    }

    fn evaluate(&mut self, method: Method, iteration: u64, theta: &[f32]) -> Result<Vec<EvalRow>> {
        let (spec, programs) = (&self.spec, &self.methods[&method]);
        let classify = spec.inner.loss == Loss::CrossEntropy;
        let mut rows = vec![];
        for (which, support_size) in spec.eval.support.iter().enumerate() {
            let rates = super::rates(spec, method, which);
            let mut items: Vec<(Vec<f32>, Vec<EvalRow>)> =
                self.test_tasks.iter().map(|t| (t.clone(), vec![])).collect();
            self.workers.each(&mut items, |thread, plugin, number, (task, rows)| {
                let at = |episode| {
                    seed_at(spec.seed, Purpose::EvalPoints, *support_size as u64, number as u32, episode)
                };
                let (mut support, mut query) = (Points::default(), Points::default());
                support.draw(plugin, task, at(0), *support_size, programs.task_input)?;
                query.draw(plugin, task, at(1), spec.task.query, programs.task_input)?;
                let mut theta = theta.to_vec();
                let mut next = theta.clone();
                let (mut loss, mut ignored) = ([0.0f32], [0.0f32]);
                let mut predicted = vec![0.0; query.y.len()];
                let steps = if programs.adapt.is_none() { 0 } else { spec.eval.steps };
                for step in 0..=steps {
                    let outputs: &mut [&mut [f32]] = &mut [&mut loss, &mut predicted];
                    let mut inputs: Vec<&[f32]> = vec![&theta, &support.x, &query.x, &query.y];
                    if !programs.beside {
                        inputs.remove(1);
                    }
                    programs.evaluate.at(which, step).run(thread, &inputs, outputs);
                    rows.push(EvalRow {
                        iteration,
                        method: method.word().into(),
                        split: "test".into(),
                        support: *support_size as u32,
                        task: number as u32,
                        inner_step: step as u32,
                        loss: Some(loss[0]),
                        accuracy: classify.then(|| accuracy(&predicted, &query.y, spec.task.query)),
                        task_params: task.clone(),
                        ..EvalRow::default()
                    });
                    if let (true, Some(adapt)) = (step < steps, &programs.adapt) {
                        let rate = [rates(step)];
                        let outputs: &mut [&mut [f32]] = &mut [&mut next, &mut ignored];
                        let inputs: [&[f32]; 4] = [&theta, &rate, &support.x, &support.y];
                        adapt.at(which, step).run(thread, &inputs, outputs);
                        std::mem::swap(&mut theta, &mut next);
                    }
                }
                Ok(())
            })?;
            rows.extend(items.into_iter().flat_map(|(_, rows)| rows));
        }
        Ok(rows)
    }
}

/// Share of points whose largest prediction is at the one-hot label's place.
fn accuracy(predicted: &[f32], y: &[f32], points: usize) -> f32 {
    let best = |row: &[f32]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]));
    let width = y.len() / points;
    let right = predicted.chunks(width).zip(y.chunks(width)).filter(|(p, y)| best(p) == best(y)).count();
    right as f32 / points as f32
}

fn untrained(method: Method) -> Error {
    Error::Run(format!("{} is not trained", method.word()))
}

fn not_finite(
    method: Method,
    iteration: u64,
    number: usize,
    task: &[f32],
    names: &[String],
    loss: f32,
) -> Error {
    let task: Vec<String> = names.iter().zip(task).map(|(name, value)| format!("{name} {value}")).collect();
    Error::Run(format!(
        "{}: at meta-iteration {iteration}, task {number} ({}) the outer loss is {loss} and its gradient is not finite; \
         the parameters of the last checkpoint are kept. Lower inner.rate or the outer rate, or set outer.optimizer.clip",
        method.word(),
        task.join(", ")
    ))
}
