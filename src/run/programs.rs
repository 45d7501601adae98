//! The lowered programs of a supervised method, and what both kinds of supervised tasks do with them: a task's
//! meta-gradient, a task's adaptation curve, and the outer step over a batch of tasks.

use super::batched::{Batched, Curves};
use super::birth::{self, Failed, Size};
use super::composed::Of;
use super::learner::State;
use super::meta_gradient::MetaGradient;
use super::optimizer::GradientOptimizer;
use super::reduce::{sum_rows, sum_values};
use super::workers::Shared;
use crate::error::{Error, Result};
use crate::graph::Plan;
use crate::lower::{Device, lower};
use crate::meta::supervised::Learner as Plans;
use crate::nn::Layout;
use crate::record::row::{EvalRow, TrainRow};
use crate::spec::{Method, Spec, Word};

/// The weight of a new batch in running averages of moments (the usual momentum of 0.9).
pub(super) const AVERAGE_WEIGHT: f32 = 0.1;

/// The programs of one method.
pub struct Programs {
    pub layout: Layout,
    how: How,
    /// What trains, to look again where it fails.
    plans: Plans,
    size: Size,
}

/// Whether a launch takes one task, on one of many threads, or many tasks.
enum How {
    Alone(Alone),
    Together(Batched),
}

/// Programs of one task.
struct Alone {
    train: Option<Training>,
    /// One inner step; none for methods that do not adapt.
    adapt: Option<Stages<Shared>>,
    evaluate: Stages<Shared>,
    /// Whether judging the queries takes the support points too.
    beside: bool,
}

/// Programs by evaluation support size, then by the inner steps taken before; the last of a row stands for all after
/// it. A network that tells neither apart has one program for all.
pub(super) struct Stages<T>(pub Vec<Vec<T>>);

impl<T> Stages<T> {
    pub fn at(&self, support: usize, updates: usize) -> &T {
        let row = &self.0[support.min(self.0.len() - 1)];
        &row[updates.min(row.len() - 1)]
    }
}

enum Training {
    /// Adapts on support points first.
    Adapting(MetaGradient),
    /// Without an inner step.
    Ordinary(Shared),
}

/// Points of one task, over all its classes.
pub struct Counts {
    pub support: usize,
    pub query: usize,
    /// Support points of each evaluation.
    pub eval: Vec<usize>,
}

/// One task's share of a meta-iteration.
#[derive(Clone, Default)]
pub struct TaskWork {
    /// The task's parameters, and what it was drawn from.
    pub task: Vec<f32>,
    pub seed: u64,
    pub support: Points,
    pub query: Points,
    gradient: Vec<f32>,
    pub(super) loss: f32,
}

impl TaskWork {
    pub fn new(support: Points, query: Points) -> TaskWork {
        TaskWork { support, query, ..TaskWork::default() }
    }
}

/// Points of a task: `x [n, inputs]`, `y [n, outputs]`.
#[derive(Clone, Default)]
pub struct Points {
    pub x: Vec<f32>,
    pub y: Vec<f32>,
}

/// The adaptation of one test task.
pub struct Curve<'a> {
    /// Which of [`Counts::eval`].
    pub which: usize,
    pub steps: usize,
    pub support: &'a Points,
    pub query: &'a Points,
}

/// One test task on its way: its points while they are needed, then its rows.
#[derive(Clone, Default)]
pub struct TestTask {
    pub number: usize,
    pub support: Points,
    pub query: Points,
    pub rows: Vec<EvalRow>,
}

impl TestTask {
    pub fn new(number: usize) -> TestTask {
        TestTask { number, ..TestTask::default() }
    }

    /// Lets go of the points of a task that has its rows.
    pub fn forget_if_done(&mut self) {
        if !self.rows.is_empty() {
            (self.support, self.query) = (Points::default(), Points::default());
        }
    }

    /// Evaluates a group of tasks where they are evaluated together; `row` makes a row of the task's number, the steps,
    /// the loss, the predictions and the queries.
    pub fn together(
        group: &mut [TestTask],
        programs: &Programs,
        theta: &[f32],
        (which, steps): (usize, usize),
        rates: impl Fn(usize) -> f32,
        row: impl Fn(usize, usize, f32, &[f32], &Points) -> EvalRow,
    ) -> Result<()> {
        let mut rows: Vec<Vec<EvalRow>> = vec![vec![]; group.len()];
        let tasks: Vec<(&Points, &Points)> = group.iter().map(|task| (&task.support, &task.query)).collect();
        programs.curves(
            theta,
            &Curves { which, steps, tasks: &tasks },
            rates,
            |at, step, loss, predicted| {
                rows[at].push(row(group[at].number, step, loss, predicted, &group[at].query));
            },
        )?;
        for (task, rows) in group.iter_mut().zip(rows).filter(|(_, rows)| !rows.is_empty()) {
            task.rows = rows;
            task.forget_if_done();
        }
        Ok(())
    }

    /// Takes the rows.
    pub fn finish(&mut self) -> Vec<EvalRow> {
        std::mem::take(&mut self.rows)
    }
}

impl AsRef<[f32]> for TaskWork {
    fn as_ref(&self) -> &[f32] {
        &self.gradient
    }
}

impl TaskWork {
    fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.gradient.iter().all(|g| g.is_finite())
    }
}

impl Programs {
    /// Builds and lowers every program of a method for a device.
    ///
    /// Errors: [`Error::Run`] where the device has not the memory.
    pub fn new(
        spec: &Spec,
        method: Method,
        plans: &Plans,
        counts: &Counts,
        (device, threads): (&Device, usize),
    ) -> Result<Programs> {
        let how = match device.batches() {
            true => How::Together(Batched::new(spec, method, plans, counts, device)?),
            false => How::Alone(Alone::new(spec, method, plans, counts, threads)),
        };
        let Counts { support, query, .. } = *counts;
        let size = Size { support, query, steps: if method.adapts() { spec.inner.steps } else { 0 } };
        Ok(Programs { layout: plans.model.layout(), how, plans: plans.clone(), size })
    }

    /// Programs that only train, on batches of `points` points, without an inner step; on the processor.
    pub fn ordinary(plans: &Plans, points: usize, threads: usize) -> Programs {
        let program = Shared::new(lower(plans.meta_gradient(&[], 0, points, 0)), threads);
        let alone = Alone {
            train: Some(Training::Ordinary(program)),
            adapt: None,
            evaluate: Stages(vec![]),
            beside: false,
        };
        let size = Size { support: points, query: 0, steps: 0 };
        Programs { layout: plans.model.layout(), how: How::Alone(alone), plans: plans.clone(), size }
    }

    /// What computes the meta-gradient of one task, where something does.
    pub fn meta_gradient(&mut self) -> Option<&mut MetaGradient> {
        match &mut self.how {
            How::Alone(Alone { train: Some(Training::Adapting(gradient)), .. }) => Some(gradient),
            How::Alone(_) | How::Together(_) => None,
        }
    }

    /// Working memory of everything else on the processor, of all threads.
    pub fn other_bytes(&self) -> u64 {
        let How::Alone(alone) = &self.how else { return 0 };
        let stages = |stages: &Stages<Shared>| stages.0.iter().flatten().map(Shared::bytes).sum::<u64>();
        let train = match &alone.train {
            Some(Training::Ordinary(program)) => program.bytes(),
            Some(Training::Adapting(_)) | None => 0,
        };
        train + stages(&alone.evaluate) + alone.adapt.as_ref().map_or(0, stages)
    }

    /// Whether training takes query points beside the support points.
    pub fn adapts(&self) -> bool {
        match &self.how {
            How::Alone(alone) => matches!(alone.train, Some(Training::Adapting(_))),
            How::Together(batched) => batched.adapts,
        }
    }

    /// How many test tasks are evaluated at once; none where each is by itself, with [`curve`](Self::curve).
    pub fn test_tasks(&self) -> Option<usize> {
        match &self.how {
            How::Alone(_) => None,
            How::Together(batched) => Some(batched.test_tasks),
        }
    }

    /// The outer loss of a task and its gradient, from the points in `work`. Does nothing where [`sum`](Self::sum) takes
    /// all tasks at once.
    pub fn gradient(&self, thread: usize, state: &State, rate: f32, work: &mut TaskWork) -> Result<()> {
        match &self.how {
            How::Alone(alone) => alone.gradient(thread, state, rate, work),
            How::Together(_) => Ok(()),
        }
    }

    /// The sum of all tasks' gradients, by a fixed tree. `names` are those of a task's parameters.
    ///
    /// Errors: [`Error::Run`] where a loss, a gradient or the sum is not finite, with where that began.
    pub fn sum(
        &self,
        state: &State,
        rate: f32,
        batch: &mut [TaskWork],
        names: &[String],
    ) -> Result<Vec<f32>> {
        let sum = match &self.how {
            How::Alone(_) => {
                let mut sum = vec![0.0; state.theta.len()];
                sum_rows(batch, &mut sum);
                sum
            }
            How::Together(batched) => batched.gradient(state, rate, batch)?,
        };
        if sum.iter().all(|g| g.is_finite()) && batch.iter().all(|work| work.loss.is_finite()) {
            return Ok(sum);
        }
        eprintln!(
            "mamlx: a number is not finite; the task is computed once more, slowly, to find where it was born"
        );
        // A device that adds up the gradients itself does not tell whose was not finite.
        let born = |work: &TaskWork| {
            let TaskWork { support, query, .. } = work;
            let points: [&[f32]; 4] = [&support.x, &support.y, &query.x, &query.y];
            birth::of_meta_gradient(&self.plans, self.size, &Of { theta: &state.theta, rate, points })
        };
        let (number, born) = match batch.iter().position(|work| !work.is_finite()) {
            Some(number) => (Some(number), born(&batch[number])),
            None => {
                let found = batch.iter().map(&born).enumerate().find(|(_, born)| born.is_err());
                found.map_or((None, Ok(())), |(number, born)| (Some(number), born))
            }
        };
        let failed = number.map(|number| {
            let TaskWork { task, seed, .. } = &batch[number];
            Failed { number, task, names, seed: Some(*seed) }
        });
        let what = match number {
            Some(number) if !batch[number].loss.is_finite() => "the outer loss",
            Some(_) => "the gradient of the outer loss",
            None => "the sum of the tasks' gradients",
        };
        Err(birth::stopped(state, failed.as_ref(), what, born))
    }

    /// Adapts to a task step by step, where tasks are evaluated each by itself; `each` gets the number of steps, the loss
    /// on the queries and the predictions.
    pub fn curve(
        &self,
        thread: usize,
        theta: &[f32],
        curve: &Curve,
        rates: impl Fn(usize) -> f32,
        each: impl FnMut(usize, f32, &[f32]),
    ) -> Result<()> {
        match &self.how {
            How::Alone(alone) => alone.curve(thread, theta, curve, rates, each),
            How::Together(_) => Ok(()),
        }
    }

    /// The same for a group of tasks, where they are evaluated together; see [`Batched::curves`].
    pub fn curves(
        &self,
        theta: &[f32],
        curves: &Curves,
        rates: impl Fn(usize) -> f32,
        each: impl FnMut(usize, usize, f32, &[f32]),
    ) -> Result<()> {
        match &self.how {
            How::Alone(_) => Ok(()),
            How::Together(batched) => batched.curves(theta, curves, rates, each),
        }
    }
}

impl Alone {
    fn new(spec: &Spec, method: Method, plans: &Plans, counts: &Counts, threads: usize) -> Alone {
        let shared = |plan: Plan| Shared::new(lower(plan), threads);
        let Counts { support, query, eval } = counts;
        let train = match method {
            // A fine-tuned classifier is trained by programs of its own.
            Method::Random | Method::Finetune | Method::NearestNeighbour => None,
            Method::Maml | Method::Fomaml | Method::Context => {
                let steps = spec.inner.steps;
                Some(Training::Adapting(MetaGradient::new(plans, *support, *query, steps, threads)))
            }
            // The released baselines train on the support points alone (protocol A.1).
            Method::Pretrained
            | Method::Oracle
            | Method::Averaged
            | Method::AveragedL2
            | Method::AveragedToMean => {
                Some(Training::Ordinary(shared(plans.meta_gradient(&[], 0, *support, 0))))
            }
        };
        // Only a network that counts steps has more than one stage (see `Network::counts_steps`).
        let counts_steps = plans.model.counts_steps() && !method.classifies();
        let last = if counts_steps { spec.inner.steps } else { 0 };
        let row = |program: &dyn Fn(usize) -> Plan| (0..=last).map(|at| shared(program(at))).collect();
        let adapt = method
            .adapts_at_test()
            .then(|| Stages(eval.iter().map(|n| row(&|at| plans.adapt_after(&[], *n, at))).collect()));
        let beside = plans.model.needs_support();
        let evaluate = |n: usize| row(&|at| plans.evaluate_after(&[], n, *query, at));
        let evaluate = if beside { eval.iter().map(|n| evaluate(*n)).collect() } else { vec![evaluate(0)] };
        Alone { train, adapt, evaluate: Stages(evaluate), beside }
    }

    fn gradient(&self, thread: usize, state: &State, rate: f32, work: &mut TaskWork) -> Result<()> {
        let Some(training) = &self.train else {
            return Err(Error::Run(format!("{} is not trained", state.method.word())));
        };
        let theta = &state.theta[..];
        let TaskWork { support, query, gradient, loss, .. } = work;
        gradient.resize(theta.len(), 0.0);
        match training {
            Training::Adapting(program) => {
                let points: [&[f32]; 4] = [&support.x, &support.y, &query.x, &query.y];
                program.run(thread, &Of { theta, rate, points }, gradient, loss)
            }
            Training::Ordinary(program) => {
                let outputs: &mut [&mut [f32]] = &mut [gradient, std::slice::from_mut(loss)];
                program.run(thread, &[theta, &support.x, &support.y], outputs)
            }
        }
    }

    fn curve(
        &self,
        thread: usize,
        theta: &[f32],
        curve: &Curve,
        rates: impl Fn(usize) -> f32,
        mut each: impl FnMut(usize, f32, &[f32]),
    ) -> Result<()> {
        let Curve { which, steps, support, query } = *curve;
        let mut theta = theta.to_vec();
        let mut next = theta.clone();
        let (mut loss, mut ignored) = ([0.0f32], [0.0f32]);
        let mut predicted = vec![0.0; query.y.len()];
        let steps = if self.adapt.is_none() { 0 } else { steps };
        for step in 0..=steps {
            let outputs: &mut [&mut [f32]] = &mut [&mut loss, &mut predicted];
            let mut inputs: Vec<&[f32]> = vec![&theta, &support.x, &query.x, &query.y];
            if !self.beside {
                inputs.remove(1);
            }
            self.evaluate.at(which, step).run(thread, &inputs, outputs)?;
            each(step, loss[0], &predicted);
            if let (true, Some(adapt)) = (step < steps, &self.adapt) {
                let rate = [rates(step)];
                let outputs: &mut [&mut [f32]] = &mut [&mut next, &mut ignored];
                let inputs: [&[f32]; 4] = [&theta, &rate, &support.x, &support.y];
                adapt.at(which, step).run(thread, &inputs, outputs)?;
                std::mem::swap(&mut theta, &mut next);
            }
        }
        Ok(())
    }
}

/// One update of θ from the sum of the gradients of a batch of tasks (Algorithm 2, line 10).
pub fn outer_step(
    spec: &Spec,
    layout: &Layout,
    (batch, mut gradient): (&[TaskWork], Vec<f32>),
    state: &mut State,
    train: &mut TrainRow,
) -> Result<()> {
    let tasks = batch.len();
    gradient.iter_mut().for_each(|g| *g /= tasks as f32);
    let losses: Vec<f64> = batch.iter().map(|work| f64::from(work.loss)).collect();
    let mut optimizer = GradientOptimizer::new(&spec.outer.optimizer, state.theta.len())
        .ok_or_else(|| Error::Input("outer.optimizer: trpo trains policies; use adam or sgd here".into()))?;
    if !state.optimizer.is_empty() {
        optimizer.restore(&state.optimizer)?;
    }
    layout.settle(&mut state.theta, &mut gradient, AVERAGE_WEIGHT);
    optimizer.step(&mut state.theta, &gradient)?;
    birth::finite_parameters(state, layout)?;
    state.optimizer = optimizer.to_bytes();
    state.tasks_seen += tasks as u64;
    state.iteration += 1;
    train.loss_outer = Some((sum_values(&losses) / tasks as f64) as f32);
    Ok(())
}

/// Share of points whose largest prediction is at the one-hot label's place.
pub fn accuracy(predicted: &[f32], y: &[f32], points: usize) -> f32 {
    let width = y.len() / points;
    let right = predicted.chunks(width).zip(y.chunks(width)).filter(|(p, y)| best(p) == best(y)).count();
    right as f32 / points as f32
}

/// The place of a row's largest number.
pub fn best(row: &[f32]) -> Option<usize> {
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]))
}
