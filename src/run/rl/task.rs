//! One task of a meta-iteration, on one thread.

use super::environment::Environments;
use super::estimator::Outcome;
use super::programs::Programs;
use super::sampling;
use super::steps::Steps;
use crate::error::Result;
use crate::lower::Executable;
use crate::lower::executable::Kept;
use crate::random::{Purpose, seed_at};
use crate::run::baseline::{LinearBaseline, task_advantages};
use crate::run::birth::{not_finite, replay};
use crate::run::rollout::{Batch, Collector, Draws, Tasks, VectorEnv};
use crate::spec::{Estimator, Outer, Sampling};
use std::time::{Duration, Instant};

/// A thread's own environment and buffers.
pub struct Bench {
    pub env: Environments,
    /// Seconds spent on this thread since they were last read.
    pub spent: Spent,
}

/// Where a thread's time went.
#[derive(Clone, Copy, Default)]
pub struct Spent {
    pub physics: Duration,
    pub policy: Duration,
    pub fit: Duration,
    pub inner: Duration,
}

/// What one task keeps from sampling to the end of the outer step.
#[derive(Default)]
pub struct TaskWork {
    /// The task's parameters, and what it was drawn from.
    pub task: Vec<f32>,
    pub seed: u64,
    /// Parameters before and after each inner step: θ₀ … θ_K.
    pub thetas: Vec<Vec<f32>>,
    /// Data collected at θ₀ … θ_K.
    pub steps: Vec<Steps>,
    /// Mean return at θ₀ … θ_K.
    pub returns: Vec<f64>,
    /// Environment steps in the batches.
    pub env_steps: u64,
    /// Tasks that these steps were taken in.
    pub tasks_seen: u64,
    /// The distribution that sampled the last batch.
    pub(super) old: Distribution,
    /// Which derivative [`TaskWork::outer_gradient`] takes through the inner steps.
    pub estimator: Estimator,
    /// What the last batch was worth, and c of E-MAML's term, which follows from it and the other tasks'.
    pub outcome: Outcome,
    pub credit: f32,
    /// Result of the latest pass, one number per parameter.
    pub out: Vec<f32>,
    pub loss: f64,
    pub kl: f64,
    curvature: Vec<Vec<Kept>>,
    fisher: Vec<Kept>,
    piece_out: Vec<f32>,
}

/// Of the actions of a batch: means of every piece, and a log standard deviation.
#[derive(Default)]
pub struct Distribution {
    means: Vec<Vec<f32>>,
    log_std: Vec<f32>,
}

impl Distribution {
    pub fn piece(&self, number: usize) -> [&[f32]; 2] {
        [&self.means[number], &self.log_std]
    }
}

impl AsRef<[f32]> for TaskWork {
    fn as_ref(&self) -> &[f32] {
        &self.out
    }
}

/// How a batch is collected.
#[derive(Clone, Copy)]
pub struct Collect<'a> {
    pub episodes: usize,
    pub horizon: usize,
    pub sampling: Sampling,
    /// The policy also sees the task (the oracle).
    pub task_input: bool,
    pub tasks: TaskSource<'a>,
    pub draws: Draws,
    /// Discount and λ of the advantages.
    pub outer: &'a Outer,
}

/// The tasks of a batch's episodes.
#[derive(Clone, Copy)]
pub enum TaskSource<'a> {
    One(&'a [f32]),
    /// Every episode draws its own training task.
    Redraw,
}

impl Collect<'_> {
    /// The tasks of `episodes` episodes from number `first` on, `[episodes, task]`.
    fn tasks(&self, env: &mut Environments, first: u32) -> Result<Vec<f32>> {
        let mut tasks = vec![0.0; self.episodes * env.task_dim()];
        for (number, task) in tasks.chunks_mut(env.task_dim().max(1)).enumerate() {
            let (at, episode) = (&self.draws, first + number as u32);
            match self.tasks {
                TaskSource::One(one) => task.copy_from_slice(one),
                TaskSource::Redraw => {
                    let seed = seed_at(at.seed, Purpose::TrainTask, at.iteration, at.task, episode);
                    env.instance.sample_task(seed, task)?;
                }
            }
        }
        Ok(tasks)
    }
}

impl TaskWork {
    /// Collects trajectories with `theta`, fits the baseline, and stores data and return as number `phase`.
    pub fn collect(
        &mut self,
        programs: &Programs,
        thread: usize,
        bench: &mut Bench,
        phase: usize,
        theta: &[f32],
        how: Collect,
    ) -> Result<()> {
        let policy = &programs.policy;
        let (width, actions) = (policy.observations(), policy.actions());
        let mut batch = Batch::new(0, how.horizon, width, actions);
        let mut collector = Collector::new(&bench.env, how.episodes, how.task_input);
        let act = &programs.act[&how.episodes];
        let mut scratch = act.scratch(thread);
        let mut log_std = vec![0.0; actions];
        let mut mean = vec![0.0; how.episodes * actions];
        // The standard deviation does not depend on the observation, so any observation gives it.
        act.program.run(
            &mut scratch,
            &[theta, &vec![0.0; how.episodes * width]],
            &mut [&mut mean, &mut log_std],
        )?;
        let mut ignored = log_std.clone();
        let decide = |observations: &[f32], means: &mut [f32]| {
            act.program.run(&mut scratch, &[theta, observations], &mut [means, &mut ignored])?;
            if means.iter().all(|mean| mean.is_finite()) {
                return Ok(());
            }
            let born = replay("the policy", &policy.act(&[], how.episodes), &[theta, observations]);
            Err(not_finite("the policy's action", born.map(drop)))
        };
        let mut decide = decide;
        let mut draws = how.draws;
        loop {
            let tasks = how.tasks(&mut bench.env, draws.first_episode)?;
            let mut round = Batch::new(how.episodes, how.horizon, width, actions);
            collector.collect(
                &mut bench.env,
                &mut decide,
                &log_std,
                Tasks::Each(&tasks),
                &draws,
                &mut round,
            )?;
            self.tasks_seen += if matches!(how.tasks, TaskSource::Redraw) { how.episodes as u64 } else { 0 };
            batch.append(round);
            let target = how.episodes * how.horizon;
            if let Some(kept) = sampling::complete(how.sampling, &batch.lengths, how.episodes, target) {
                batch.keep(&kept);
                break;
            }
            draws.first_episode += how.episodes as u32;
        }
        bench.spent.physics += collector.physics;
        bench.spent.policy += collector.policy;
        let began = Instant::now();
        let mut advantages = vec![0.0; batch.weights.len()];
        let mut baseline = LinearBaseline::new(width);
        let deviation = task_advantages(
            &mut baseline,
            &batch.observations,
            &batch.rewards,
            batch.episodes(),
            how.outer.discount,
            how.outer.gae_lambda,
            &mut advantages,
        )?;
        if self.steps.len() <= phase {
            self.steps.resize_with(phase + 1, Steps::default);
            self.returns.resize(phase + 1, 0.0);
        }
        self.steps[phase].fill(&batch, &advantages, programs.rows);
        self.returns[phase] = batch.mean_return();
        self.outcome = Outcome::of(&batch, deviation, how.outer.discount);
        self.env_steps += batch.episodes().real_steps() as u64;
        bench.spent.fit += began.elapsed();
        Ok(())
    }

    /// θ − rate ∇L(θ) on the data of a phase; what the policy does not adapt stays.
    pub fn adapt(
        &mut self,
        programs: &Programs,
        thread: usize,
        phase: usize,
        theta: &[f32],
        rate: f32,
    ) -> Result<Vec<f32>> {
        let mut adapted = theta.to_vec();
        let mut gradient = vec![0.0; theta.len()];
        let mut loss = [0.0];
        for number in 0..self.steps[phase].pieces() {
            let piece = self.steps[phase].piece(number);
            programs.policy_gradient.run(thread, &piece.inputs(theta), &mut [&mut gradient, &mut loss])?;
            programs.layout.hold(&mut gradient);
            add_scaled(&mut adapted, -rate, &gradient);
        }
        Ok(adapted)
    }

    /// As [`adapt`](Self::adapt), and keeps what the products with this step's curvature share.
    pub fn adapt_and_keep(
        &mut self,
        programs: &Programs,
        thread: usize,
        phase: usize,
        theta: &[f32],
        rate: f32,
    ) -> Result<Vec<f32>> {
        let program = &programs.policy_curvature;
        let mut adapted = theta.to_vec();
        self.piece_out.resize(theta.len(), 0.0);
        if self.curvature.len() <= phase {
            self.curvature.resize_with(phase + 1, Vec::new);
        }
        let kept = &mut self.curvature[phase];
        resize(kept, self.steps[phase].pieces(), &program.program)?;
        for (number, kept) in kept.iter_mut().enumerate() {
            let piece = self.steps[phase].piece(number).inputs(theta);
            let inputs = [&piece[..], &[&[]]].concat();
            let outputs: &mut [&mut [f32]] = &mut [&mut [], &mut self.piece_out];
            program.program.prepare(&mut program.scratch(thread), kept, &inputs, outputs)?;
            programs.layout.hold(&mut self.piece_out);
            add_scaled(&mut adapted, -rate, &self.piece_out);
        }
        Ok(adapted)
    }

    /// Remembers the distribution that sampled the last batch.
    pub fn remember_policy(&mut self, programs: &Programs, thread: usize) -> Result<()> {
        let (theta, steps) = (&self.thetas[self.thetas.len() - 1], &self.steps[self.steps.len() - 1]);
        let actions = programs.policy.actions();
        self.old.log_std.resize(actions, 0.0);
        self.old.means.resize_with(steps.pieces(), Vec::new);
        for (number, mean) in self.old.means.iter_mut().enumerate() {
            mean.resize(programs.rows * actions, 0.0);
            let inputs = [&theta[..], steps.piece(number).observation];
            programs.means.run(thread, &inputs, &mut [mean, &mut self.old.log_std])?;
        }
        Ok(())
    }

    /// Gradient of the outer objective with respect to the initial parameters, into `out`: ∇S at θ_K pulled back
    /// through the inner steps, which were taken by [`adapt_and_keep`](Self::adapt_and_keep).
    pub fn outer_gradient(
        &mut self,
        programs: &Programs,
        thread: usize,
        rate: f32,
        through: bool,
    ) -> Result<()> {
        let phases = self.thetas.len() - 1;
        self.out.clear();
        self.out.resize(programs.layout.size(), 0.0);
        self.piece_out.resize(self.out.len(), 0.0);
        (self.loss, self.kl) = (0.0, 0.0);
        for number in 0..self.steps[phases].pieces() {
            let (mut loss, mut kl) = ([0.0], [0.0]);
            let piece = self.steps[phases].piece(number).inputs(&self.thetas[phases]);
            let inputs = [&piece[..], &self.old.piece(number)].concat();
            let outputs: &mut [&mut [f32]] = &mut [&mut loss, &mut kl, &mut self.piece_out];
            programs.surrogate_gradient.run(thread, &inputs, outputs)?;
            add_scaled(&mut self.out, 1.0, &self.piece_out);
            self.loss += f64::from(loss[0]);
            self.kl += f64::from(kl[0]);
        }
        if through {
            for phase in (0..phases).rev() {
                self.through_step(programs, thread, phase, rate, true)?;
                if self.estimator == Estimator::Emaml {
                    self.add_credit(programs, thread, phase)?;
                }
            }
        }
        Ok(())
    }

    /// Computes once what the Fisher products of this iteration share.
    pub fn prepare_fisher(&mut self, programs: &Programs, thread: usize) -> Result<()> {
        let phases = self.thetas.len() - 1;
        let (program, theta) = (&programs.fisher, &self.thetas[phases]);
        resize(&mut self.fisher, self.steps[phases].pieces(), &program.program)?;
        for (number, kept) in self.fisher.iter_mut().enumerate() {
            let piece = self.steps[phases].piece(number);
            let inputs: [&[f32]; 4] = [theta, piece.observation, piece.weight, &[]];
            program.program.prepare(&mut program.scratch(thread), kept, &inputs, &mut [&mut []])?;
        }
        Ok(())
    }

    /// The Jacobian of inner step `phase` or its transpose times `out`, into `out`. With M, which keeps what the policy
    /// adapts and zeroes the rest, the Jacobian is I − rate M ∇²L(θ_k), and the Hessian is symmetric. By DiCE with the
    /// derivative of the sampling.
    fn through_step(
        &mut self,
        programs: &Programs,
        thread: usize,
        phase: usize,
        rate: f32,
        transposed: bool,
    ) -> Result<()> {
        let program = &programs.policy_curvature;
        let mut scratch = program.scratch(thread);
        let mut vector = self.out.clone();
        if transposed {
            programs.layout.hold(&mut vector);
        }
        for (number, kept) in self.curvature[phase].iter().enumerate() {
            let piece = self.steps[phase].piece(number).inputs(&self.thetas[phase]);
            let inputs = [&piece[..], &[&vector]].concat();
            program.program.apply(&mut scratch, kept, &inputs, &mut [&mut self.piece_out, &mut []])?;
            if !transposed {
                programs.layout.hold(&mut self.piece_out);
            }
            add_scaled(&mut self.out, -rate, &self.piece_out);
        }
        drop(scratch);
        match self.estimator {
            Estimator::Dice => self.through_sampling(programs, thread, phase, (&vector, transposed), rate),
            Estimator::Maml | Estimator::Emaml => Ok(()),
        }
    }

    /// Jᵀ F J `vector` into `out`: the Hessian of this task's post-adaptation divergence along a direction.
    pub fn curvature_product(
        &mut self,
        programs: &Programs,
        thread: usize,
        vector: &[f32],
        rate: f32,
        through: bool,
    ) -> Result<()> {
        let phases = self.thetas.len() - 1;
        self.out.clear();
        self.out.extend_from_slice(vector);
        if through {
            for phase in 0..phases {
                self.through_step(programs, thread, phase, rate, false)?;
            }
        }
        let tangent = std::mem::replace(&mut self.out, vec![0.0; vector.len()]);
        let program = &programs.fisher;
        {
            let mut scratch = program.scratch(thread);
            for (number, kept) in self.fisher.iter().enumerate() {
                let piece = self.steps[phases].piece(number);
                let inputs: [&[f32]; 4] = [&self.thetas[phases], piece.observation, piece.weight, &tangent];
                program.program.apply(&mut scratch, kept, &inputs, &mut [&mut self.piece_out])?;
                add_scaled(&mut self.out, 1.0, &self.piece_out);
            }
        }
        for phase in (0..phases).rev().filter(|_| through) {
            self.through_step(programs, thread, phase, rate, true)?;
        }
        Ok(())
    }

    /// Gradient of this task's post-adaptation divergence with respect to the initial parameters, at `start` instead of
    /// θ₀, into `out`.
    pub fn divergence_gradient(
        &mut self,
        programs: &Programs,
        thread: usize,
        start: &[f32],
        rate: f32,
        through: bool,
    ) -> Result<()> {
        let phases = self.thetas.len() - 1;
        let here = std::mem::replace(&mut self.thetas, vec![start.to_vec()]);
        for phase in 0..phases {
            let theta = self.thetas[phase].clone();
            let adapted = match through {
                true => self.adapt_and_keep(programs, thread, phase, &theta, rate)?,
                false => self.adapt(programs, thread, phase, &theta, rate)?,
            };
            self.thetas.push(adapted);
        }
        self.out.fill(0.0);
        let program = programs.divergence_gradient.as_ref().expect("lowered for this kind of products");
        for number in 0..self.steps[phases].pieces() {
            let piece = self.steps[phases].piece(number);
            let old = self.old.piece(number);
            let inputs = [&self.thetas[phases], piece.observation, piece.weight, old[0], old[1]];
            program.run(thread, &inputs, &mut [&mut self.piece_out])?;
            add_scaled(&mut self.out, 1.0, &self.piece_out);
        }
        if through {
            for phase in (0..phases).rev() {
                self.through_step(programs, thread, phase, rate, true)?;
            }
        }
        self.thetas = here;
        Ok(())
    }

    /// Outer loss and divergence if the initial parameters were `theta`, on the stored data.
    pub fn try_parameters(
        &mut self,
        programs: &Programs,
        thread: usize,
        theta: &[f32],
        rate: f32,
    ) -> Result<()> {
        let phases = self.thetas.len() - 1;
        let mut adapted = theta.to_vec();
        (self.loss, self.kl) = (0.0, 0.0);
        for phase in 0..phases {
            let (next, charge) = self.adapt_candidate(programs, thread, phase, &adapted, rate)?;
            adapted = next;
            self.loss += charge;
        }
        for number in 0..self.steps[phases].pieces() {
            let (mut loss, mut kl) = ([0.0], [0.0]);
            let piece = self.steps[phases].piece(number).inputs(&adapted);
            let inputs = [&piece[..], &self.old.piece(number)].concat();
            programs.surrogate.run(thread, &inputs, &mut [&mut loss, &mut kl])?;
            self.loss += f64::from(loss[0]);
            self.kl += f64::from(kl[0]);
        }
        Ok(())
    }
}

/// As much storage as there are pieces.
fn resize(kept: &mut Vec<Kept>, pieces: usize, program: &Executable) -> Result<()> {
    kept.truncate(pieces);
    while kept.len() < pieces {
        kept.push(program.kept()?);
    }
    Ok(())
}

pub(super) fn add_scaled(sum: &mut [f32], factor: f32, term: &[f32]) {
    sum.iter_mut().zip(term).for_each(|(s, t)| *s += factor * t);
}
