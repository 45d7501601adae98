//! Meta-iterations and evaluations over many tasks.

use super::birth::{Suspect, What};
use super::environment::Environments;
use super::estimator;
use super::evaluation::Evaluation;
use super::programs::{Programs, Wanted, by_differences, piece_rows};
use super::task::{Bench, Collect, Spent, TaskSource, TaskWork};
use super::together::{Sizes, Together};
use crate::error::{Error, Result};
use crate::lower::Device;
use crate::meta::build;
use crate::nn::Layout;
use crate::plugin::Plugin;
use crate::random::{Purpose, seed_at};
use crate::record::row::{EvalRow, TimingRow, TrainRow};
use crate::run::birth::{self, Failed};
use crate::run::learner::{Learner, Split, State};
use crate::run::optimizer::GradientOptimizer;
use crate::run::reduce::{sum_rows, sum_values};
use crate::run::rollout::{Draws, VectorEnv};
use crate::run::test_tasks;
use crate::run::trust_region::TrustRegion;
use crate::run::workers::Workers;
use crate::spec::{Estimator, Method, Order, Spec, Word};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Reinforcement meta-learning of one spec.
pub struct Reinforcement {
    spec: Spec,
    horizon: usize,
    workers: Workers<Bench>,
    programs: BTreeMap<Sight, Programs>,
    test_tasks: Vec<Vec<f32>>,
    /// Validation tasks; none where the spec does not select by them.
    val_tasks: Vec<Vec<f32>>,
    task_names: Vec<String>,
    batch: Vec<TaskWork>,
    /// Whose programs the batch's storage was made by.
    batch_of: Option<Sight>,
    device: Device,
    /// The outer step of all tasks at once, and whom it was made for.
    together: Option<(Manner, Together)>,
}

/// Numbers of the episodes before and after each update start this far apart: more than a batch ever has.
pub(super) const EPISODES_APART: u32 = 1 << 24;

/// What a method's policy sees.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sight {
    Observation,
    /// The task too (the oracle).
    Task,
    /// A context vector too.
    Context,
}

impl Sight {
    fn of(method: Method) -> Sight {
        match method {
            Method::Oracle => Sight::Task,
            Method::Context => Sight::Context,
            _ => Sight::Observation,
        }
    }
}

/// An outer step.
#[derive(Clone, Copy)]
struct Update<'a> {
    /// Before the step.
    state: &'a State,
    manner: Manner,
    rate: f32,
    /// Whether derivatives go through the inner steps.
    through: bool,
    trust_region: Option<TrustRegion>,
    /// Curvature products are differences of gradients.
    differences: bool,
}

/// How a method samples and learns.
#[derive(Clone, Copy, PartialEq)]
struct Manner {
    /// Inner steps during training.
    inner_steps: usize,
    /// Trajectories of the last batch, from which the outer step learns.
    episodes: usize,
    /// Every episode draws its own task (protocol A.0 row 20).
    redraw: bool,
    second_order: bool,
    sight: Sight,
}

impl Manner {
    fn of(method: Method, spec: &Spec) -> Manner {
        let (support, query, steps) = (spec.task.support, spec.task.query, spec.inner.steps);
        match method {
            Method::Maml | Method::Fomaml | Method::Context | Method::Random => Manner {
                inner_steps: steps,
                episodes: query,
                redraw: false,
                second_order: !matches!(method, Method::Fomaml | Method::Random)
                    && spec.inner.order == Order::Second,
                sight: Sight::of(method),
            },
            // As many environment steps an iteration as the adapted methods take. (The spec room lets none but the first
            // two of these train policies.)
            Method::Pretrained
            | Method::Oracle
            | Method::Finetune
            | Method::NearestNeighbour
            | Method::Averaged
            | Method::AveragedL2
            | Method::AveragedToMean => Manner {
                inner_steps: 0,
                episodes: support * steps + query,
                redraw: true,
                second_order: false,
                sight: Sight::of(method),
            },
        }
    }
}

impl Reinforcement {
    pub fn new(spec: &Spec, plugin: &Plugin, spec_folder: &Path, threads: usize) -> Result<Reinforcement> {
        let horizon =
            spec.task.horizon.ok_or_else(|| Error::Input("task.horizon: an environment needs one".into()))?;
        let manners: Vec<Manner> = spec.methods.iter().map(|m| Manner::of(*m, spec)).collect();
        let mut trajectories: Vec<usize> = spec.eval.support.clone();
        trajectories.push(spec.task.support);
        trajectories.extend(manners.iter().map(|m| m.episodes));
        trajectories.sort_unstable();
        trajectories.dedup();
        let slots = trajectories[trajectories.len() - 1];
        let bench = |_| {
            let instance = plugin.env(&spec.task.params, slots as u32)?;
            Ok(Bench { env: Environments::new(instance), spent: Spent::default() })
        };
        let benches: Vec<Bench> = (0..threads).map(bench).collect::<Result<_>>()?;
        let first = &benches[0].env;
        let task_names = first.task_names();
        let (observation, action, task) = (first.observation_dim(), first.action_dim(), first.task_dim());
        let mut sampler = plugin.env(&spec.task.params, 1)?;
        let test_tasks =
            test_tasks::of(spec, spec_folder, &task_names, |seed, out| sampler.sample_task(seed, out))?;
        let val_tasks =
            test_tasks::validation(spec, &task_names, |seed, out| sampler.sample_task(seed, out))?;
        let device = crate::run::device(spec)?;
        let mut programs = BTreeMap::new();
        for manner in &manners {
            if programs.contains_key(&manner.sight) {
                continue;
            }
            let inputs = observation + if manner.sight == Sight::Task { task } else { 0 };
            let context = spec.model.context.filter(|_| manner.sight == Sight::Context);
            let policy = build::policy(&spec.model, inputs, action, context.unwrap_or(0));
            // A GPU takes the whole batch in one launch.
            let rows = if device.batches() { spec.task.support * horizon } else { piece_rows(spec) };
            let on = (&device, threads);
            let made = Programs::new(policy, rows, &trajectories, Wanted::by(spec), on)?;
            programs.insert(manner.sight, made);
        }
        Ok(Reinforcement {
            spec: spec.clone(),
            horizon,
            workers: Workers::new(benches)?,
            programs,
            test_tasks,
            val_tasks,
            task_names,
            batch: (0..spec.outer.tasks).map(|_| TaskWork::default()).collect(),
            batch_of: None,
            device,
            together: None,
        })
    }

    /// How a method adapts to the tasks of a split with one of the spec's support sizes.
    pub fn evaluation(&self, split: Split, method: Method, which: usize) -> Evaluation<'_> {
        let sight = Sight::of(method);
        let (spec, programs, horizon) = (&self.spec, &self.programs[&sight], self.horizon);
        let task_input = sight == Sight::Task;
        let names = &self.task_names;
        Evaluation { spec, programs, horizon, split, names, method, task_input, which }
    }

    /// The tasks of evaluations, in the order of their numbers.
    pub fn test_tasks(&self) -> &[Vec<f32>] {
        &self.test_tasks
    }

    /// Mean over tasks of the outer loss and the divergence.
    fn means(&self) -> (f64, f64) {
        let mean = |of: fn(&TaskWork) -> f64| {
            sum_values(&self.batch.iter().map(of).collect::<Vec<_>>()) / self.batch.len() as f64
        };
        (mean(|work| work.loss), mean(|work| work.kl))
    }

    /// Mean over tasks of every task's result vector.
    fn mean_result(&self, size: usize) -> Vec<f32> {
        let mut sum = vec![0.0; size];
        sum_rows(&self.batch, &mut sum);
        sum.iter_mut().for_each(|x| *x /= self.batch.len() as f32);
        sum
    }

    /// Algorithm 3, lines 3 to 9: for every task trajectories, adaptation, trajectories again.
    fn sample(&mut self, state: &State, manner: Manner) -> Result<()> {
        let (spec, horizon, names) = (&self.spec, self.horizon, &self.task_names);
        let programs = &self.programs[&manner.sight];
        let together = self.goes_together(manner);
        let none: Vec<f32> = vec![];
        self.workers.each(&mut self.batch, |thread, bench, number, work| {
            let mut task = vec![0.0; names.len()];
            work.seed = seed_at(spec.seed, Purpose::TrainTask, state.iteration, number as u32, 0);
            if !manner.redraw {
                bench.env.instance.sample_task(work.seed, &mut task)?;
            }
            work.task.clone_from(if manner.redraw { &none } else { &task });
            work.estimator = if manner.second_order { spec.outer.estimator } else { Estimator::Maml };
            work.tasks_seen = if manner.redraw { 0 } else { 1 };
            work.env_steps = 0;
            work.steps.truncate(manner.inner_steps + 1);
            work.returns.truncate(manner.inner_steps + 1);
            work.thetas.clear();
            work.thetas.push(state.theta.clone());
            for phase in 0..=manner.inner_steps {
                let last = phase == manner.inner_steps;
                let how = Collect {
                    episodes: if last { manner.episodes } else { spec.task.support },
                    horizon,
                    task_input: manner.sight == Sight::Task,
                    sampling: spec.task.sampling,
                    tasks: if manner.redraw { TaskSource::Redraw } else { TaskSource::One(&task) },
                    draws: Draws {
                        seed: spec.seed,
                        reset: Purpose::TrainReset,
                        action: Purpose::TrainAction,
                        iteration: state.iteration,
                        task: number as u32,
                        first_episode: phase as u32 * EPISODES_APART,
                    },
                    outer: &spec.outer,
                };
                let theta = work.thetas[phase].clone();
                work.collect(programs, thread, bench, phase, &theta, how).map_err(|error| {
                    let failed = failed(number, work, names, manner);
                    birth::at(&birth::place(state, Some(&failed)), error)
                })?;
                if !last {
                    let began = Instant::now();
                    let rate = spec.inner.rate as f32;
                    let adapted = match manner.second_order && !together {
                        true => work.adapt_and_keep(programs, thread, phase, &theta, rate)?,
                        false => work.adapt(programs, thread, phase, &theta, rate)?,
                    };
                    let finite = adapted.iter().all(|x| x.is_finite());
                    work.thetas.push(adapted);
                    bench.spent.inner += began.elapsed();
                    if !finite {
                        break;
                    }
                }
            }
            Ok(())
        })?;
        self.finite((state, manner), &state.theta, What::Adapted, |work| {
            work.thetas.last().is_some_and(|theta| all_finite(theta))
        })
    }

    /// Errors: [`Error::Run`] where a task's numbers are not finite, with where that began. They were computed from the
    /// initial parameters `start`.
    fn finite(
        &self,
        (state, manner): (&State, Manner),
        start: &[f32],
        what: What,
        of: impl Fn(&TaskWork) -> bool,
    ) -> Result<()> {
        let Some(number) = self.batch.iter().position(|work| !of(work)) else { return Ok(()) };
        let work = &self.batch[number];
        let through = manner.second_order && manner.inner_steps > 0;
        let suspect = Suspect { start, rate: self.spec.inner.rate as f32, through, what };
        let born = work.birth(&self.programs[&manner.sight], suspect);
        let failed = failed(number, work, &self.task_names, manner);
        Err(birth::stopped(state, Some(&failed), what.name(), born))
    }

    /// Whether the outer step takes all tasks at once: on a device, where it is the paper's with exact products.
    fn goes_together(&self, manner: Manner) -> bool {
        let papers = !manner.second_order || self.spec.outer.estimator == Estimator::Maml;
        self.device.batches() && papers && !by_differences(&self.spec)
    }

    /// Takes the sampled batch over for an outer step of all tasks at once. The programs have room for what is asked for,
    /// or, since sampling plays episodes to their end, for the next multiple that there was need of so far.
    fn load(&mut self, update: Update) -> Result<()> {
        let (manner, horizon) = (update.manner, self.horizon);
        let [support, query] = [self.spec.task.support, manner.episodes].map(|episodes| episodes * horizon);
        let kept = self.together.take().filter(|(of, _)| *of == manner).map(|(_, together)| together);
        let mut sizes = kept.as_ref().map_or_else(
            || Sizes {
                tasks: self.batch.len(),
                support,
                query,
                steps: manner.inner_steps,
                through: update.through,
                trust_region: update.trust_region.is_some(),
            },
            Together::sizes,
        );
        for (phase, steps) in self.batch.iter().flat_map(|work| work.steps.iter().enumerate()) {
            let last = phase == manner.inner_steps;
            let (room, unit) = if last { (&mut sizes.query, query) } else { (&mut sizes.support, support) };
            let [.., weights] = steps.whole();
            *room = (*room).max(weights.len().next_multiple_of(unit));
        }
        // Programs that no longer serve give their memory back first.
        let mut together = match kept.filter(|together| together.sizes() == sizes) {
            Some(together) => together,
            None => Together::new(&self.device, &self.programs[&manner.sight].policy, sizes)?,
        };
        together.load(&self.batch);
        self.together = Some((manner, together));
        Ok(())
    }

    /// The mean outer gradient, with what the products share; each task's loss in its place. Also whether the step goes on
    /// with all tasks together: a number that is not finite is looked for task by task.
    fn outer_gradient(&mut self, update: Update) -> Result<(Vec<f32>, bool)> {
        let Update { state, manner, rate, trust_region, .. } = update;
        let together = self.goes_together(manner);
        if together {
            self.load(update)?;
        }
        if let (true, Some((_, all))) = (together, &mut self.together) {
            let mut gradient = all.gradient(&state.theta, rate, &mut self.batch)?;
            if all_finite(&gradient) && self.batch.iter().all(|work| work.loss.is_finite()) {
                if trust_region.is_some() {
                    all.prepare(&state.theta, rate)?;
                }
                gradient.iter_mut().for_each(|x| *x /= self.batch.len() as f32);
                return Ok((gradient, true));
            }
        }
        self.outer_gradients(update, together)?;
        self.finite((state, manner), &state.theta, What::Outer, |work| {
            work.loss.is_finite() && all_finite(&work.out)
        })?;
        Ok((self.mean_result(state.theta.len()), false))
    }

    /// Every task's outer gradient by itself, and what its products share. Where `anew`, the inner steps are taken again
    /// for what their curvature shares.
    fn outer_gradients(&mut self, update: Update, anew: bool) -> Result<()> {
        let Update { manner, rate, through, trust_region, differences, .. } = update;
        let programs = &self.programs[&manner.sight];
        self.workers.each(&mut self.batch, |thread, _, _, work| {
            for phase in (0..manner.inner_steps).filter(|_| anew && through) {
                let theta = work.thetas[phase].clone();
                work.adapt_and_keep(programs, thread, phase, &theta, rate)?;
            }
            work.remember_policy(programs, thread)?;
            work.outer_gradient(programs, thread, rate, through)?;
            if trust_region.is_some() && !differences {
                work.prepare_fisher(programs, thread)?;
            }
            Ok(())
        })
    }

    /// The Hessian of the mean divergence times `vector`.
    fn product(&mut self, update: Update, vector: &[f32], together: bool) -> Result<Vec<f32>> {
        let Update { state, manner, rate, through, .. } = update;
        if update.differences {
            return self.difference_product(&state.theta, vector, manner, rate, through);
        }
        if let (true, Some((_, all))) = (together, &mut self.together) {
            let mut product = all.product(vector)?;
            if all_finite(&product) {
                product.iter_mut().for_each(|x| *x /= self.batch.len() as f32);
                return Ok(product);
            }
            self.outer_gradients(update, true)?;
        }
        let programs = &self.programs[&manner.sight];
        self.workers.each(&mut self.batch, |thread, _, _, work| {
            work.curvature_product(programs, thread, vector, rate, through)
        })?;
        self.finite((state, manner), &state.theta, What::Product(vector), |work| all_finite(&work.out))?;
        Ok(self.mean_result(vector.len()))
    }

    /// Mean over tasks of the outer loss and the divergence if the initial parameters were `theta`.
    fn candidate(&mut self, update: Update, theta: &[f32], together: bool) -> Result<(f64, f64)> {
        let Update { state, manner, rate, .. } = update;
        // What overflows only turns the candidate down.
        let judged = |work: &TaskWork| !work.loss.is_nan() && !work.kl.is_nan();
        if let (true, Some((_, all))) = (together, &mut self.together) {
            all.try_parameters(theta, rate, &mut self.batch)?;
            if self.batch.iter().all(judged) {
                return Ok(self.means());
            }
            self.outer_gradients(update, true)?;
        }
        let programs = &self.programs[&manner.sight];
        self.workers
            .each(&mut self.batch, |thread, _, _, work| work.try_parameters(programs, thread, theta, rate))?;
        self.finite((state, manner), theta, What::Outer, judged)?;
        Ok(self.means())
    }

    /// The Hessian of the mean divergence times `vector` by symmetric differences of its gradient. The step is the
    /// released code's, 1/(‖θ‖ + 1e-8): its constructor passes the number of slices, 1, where the nominal 1e-8 belongs
    /// (protocol A.0 row 18).
    fn difference_product(
        &mut self,
        theta: &[f32],
        vector: &[f32],
        manner: Manner,
        rate: f32,
        through: bool,
    ) -> Result<Vec<f32>> {
        let norm = theta.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let step = (1.0 / (norm + 1e-8)) as f32;
        let mut gradient_at = |sign: f32| {
            let start: Vec<f32> = theta.iter().zip(vector).map(|(t, v)| t + sign * step * v).collect();
            let programs = &self.programs[&manner.sight];
            self.workers.each(&mut self.batch, |thread, _, _, work| {
                work.divergence_gradient(programs, thread, &start, rate, through)
            })?;
            Ok::<_, Error>(self.mean_result(theta.len()))
        };
        let (ahead, behind) = (gradient_at(1.0)?, gradient_at(-1.0)?);
        Ok(ahead.iter().zip(&behind).map(|(a, b)| (a - b) / (2.0 * step)).collect())
    }

    /// Seconds of thread time since the last call, as seconds of the whole machine.
    fn spent(&self) -> Result<Spent> {
        let mut total = Spent::default();
        let threads = self.workers.count() as u32;
        self.workers.visit(|bench| {
            let spent = std::mem::take(&mut bench.spent);
            total.physics += spent.physics / threads;
            total.policy += spent.policy / threads;
            total.fit += spent.fit / threads;
            total.inner += spent.inner / threads;
        });
        Ok(total)
    }
}

impl Learner for Reinforcement {
    fn layout(&self, method: Method) -> &Layout {
        &self.programs[&Sight::of(method)].layout
    }

    fn task_names(&self) -> Vec<String> {
        self.task_names.clone()
    }

    fn train(&mut self, state: &mut State, train: &mut TrainRow, timing: &mut TimingRow) -> Result<()> {
        let began = Instant::now();
        let manner = Manner::of(state.method, &self.spec);
        if self.batch_of.replace(manner.sight).is_some_and(|before| before != manner.sight) {
            self.batch.fill_with(TaskWork::default);
        }
        self.sample(state, manner)?;
        let sampled = began.elapsed();
        let spent = self.spent()?;
        let (rate, through) = (self.spec.inner.rate as f32, manner.second_order && manner.inner_steps > 0);
        let (size, settings) = (state.theta.len(), self.spec.outer.optimizer);
        let trust_region = TrustRegion::from_spec(&settings);
        let differences = by_differences(&self.spec);
        estimator::credit(&mut self.batch);
        let update = Update { state, manner, rate, through, trust_region, differences };
        let (gradient, together) = self.outer_gradient(update)?;
        let (loss_before, _) = self.means();
        train.loss_outer = Some(loss_before as f32);
        let (mut products, mut line_search) = (Duration::ZERO, Duration::ZERO);
        if let Some(trust_region) = trust_region {
            let mut theta = state.theta.clone();
            // Both closures work on the same batch, one after the other.
            let this = std::cell::RefCell::new(&mut *self);
            let product = |vector: &[f32]| {
                let began = Instant::now();
                let product = this.borrow_mut().product(update, vector, together)?;
                products += began.elapsed();
                Ok(product)
            };
            let evaluate = |theta: &[f32]| {
                let began = Instant::now();
                let judged = this.borrow_mut().candidate(update, theta, together)?;
                line_search += began.elapsed();
                Ok(judged)
            };
            let step = trust_region.step(&mut theta, &gradient, loss_before, product, evaluate)?;
            state.theta = theta;
            train.kl = Some(step.kl as f32);
            train.step_accepted = Some(step.accepted);
        } else if let Some(mut optimizer) = GradientOptimizer::new(&settings, size) {
            if !state.optimizer.is_empty() {
                optimizer.restore(&state.optimizer)?;
            }
            optimizer.step(&mut state.theta, &gradient)?;
            state.optimizer = optimizer.to_bytes();
        }
        birth::finite_parameters(state, &self.programs[&manner.sight].layout)?;
        let phases = manner.inner_steps;
        let mean_return = |phase: usize| {
            let returns: Vec<f64> = self.batch.iter().map(|work| work.returns[phase]).collect();
            Some((sum_values(&returns) / returns.len() as f64) as f32)
        };
        train.return_pre = mean_return(0);
        train.return_post = if phases > 0 { mean_return(phases) } else { None };
        let env_steps: u64 = self.batch.iter().map(|work| work.env_steps).sum();
        state.env_steps += env_steps;
        state.tasks_seen += self.batch.iter().map(|work| work.tasks_seen).sum::<u64>();
        state.iteration += 1;
        let total = began.elapsed();
        *timing = TimingRow {
            total_secs: total.as_secs_f32(),
            physics_secs: Some(spent.physics.as_secs_f32()),
            policy_secs: Some(spent.policy.as_secs_f32()),
            fit_secs: Some(spent.fit.as_secs_f32()),
            inner_secs: Some(spent.inner.as_secs_f32()),
            update_secs: Some((total - sampled).as_secs_f32()),
            env_steps_per_sec: Some((env_steps as f64 / sampled.as_secs_f64()) as f32),
            products_secs: Some(products.as_secs_f32()),
            line_search_secs: Some(line_search.as_secs_f32()),
            ..std::mem::take(timing)
        };
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
        let mut rows = vec![];
        for (which, episodes) in self.spec.eval.support.iter().enumerate() {
            let evaluation = self.evaluation(split, method, which);
            let mut items: Vec<(Vec<f32>, Vec<EvalRow>)> =
                posed.iter().map(|t| (t.clone(), vec![])).collect();
            let steps = self.spec.eval.steps;
            self.workers.each(&mut items, |thread, bench, number, (task, rows)| {
                evaluation.adapt(thread, bench, (number, task), theta, steps, |step, mean_return, _| {
                    rows.push(EvalRow {
                        iteration,
                        method: method.word().into(),
                        split: split.name().into(),
                        support: *episodes as u32,
                        task: number as u32,
                        inner_step: step as u32,
                        episode_return: Some(mean_return as f32),
                        task_params: task.clone(),
                        ..EvalRow::default()
                    });
                    Ok(())
                })
            })?;
            rows.extend(items.into_iter().flat_map(|(_, rows)| rows));
        }
        self.spent()?;
        Ok(rows)
    }
}

/// What is known of a task; where every episode draws its own, that is its number.
fn failed<'a>(number: usize, work: &'a TaskWork, names: &'a [String], manner: Manner) -> Failed<'a> {
    Failed { number, task: &work.task, names, seed: (!manner.redraw).then_some(work.seed) }
}

fn all_finite(numbers: &[f32]) -> bool {
    numbers.iter().all(|x| x.is_finite())
}
