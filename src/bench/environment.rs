//! Environment steps through the plugin interface, observations included: with actions drawn beforehand, or chosen by a
//! policy as in training.

use super::workload::Environment as Sizes;
use super::{Work, arrays::Like};
use crate::error::{Error, Result};
use crate::lower::lower;
use crate::nn::init::{Draw, initial};
use crate::nn::mlp::Mlp;
use crate::nn::{Activation, Policy};
use crate::plugin::SearchPath;
use crate::random::{Purpose, seed_at, stream};
use crate::record::weights::Tensor;
use crate::run::rl::environment::Environments;
use crate::run::rollout::{Batch, Collector, Draws, Tasks, VectorEnv};
use crate::run::workers::{Shared, Workers};
use crate::spec::ParamValue;
use std::time::Duration;

/// Trajectories that move together on one thread (paper: 20 for each task).
const SLOTS: usize = 20;
/// Seed of tasks, starts and actions.
const SEED: u64 = 0;
/// Units of the policy's two hidden layers (paper, section 5.3).
const HIDDEN: usize = 100;

pub struct EnvironmentWork {
    workers: Workers<Environments>,
    /// One for each thread: the steps of its latest batch.
    taken: Vec<u64>,
    horizon: usize,
    /// `[horizon, SLOTS, action]`, within the bounds.
    actions: Vec<f32>,
    /// The program, its parameters and the logarithm of the deviation.
    policy: Option<(Shared, Vec<f32>, Vec<f32>)>,
}

impl EnvironmentWork {
    pub fn new(sizes: &Sizes, threads: usize) -> Result<EnvironmentWork> {
        let plugin = SearchPath::new(&[]).load(sizes.plugin)?;
        let params = sizes.params.iter().map(|(name, value)| (name.to_string(), ParamValue::Int(*value)));
        let params = params.collect();
        let one = |_| Ok(Environments::new(plugin.env(&params, SLOTS as u32)?));
        let seats: Vec<Environments> = (0..threads).map(one).collect::<Result<_>>()?;
        let (width, dim) = (seats[0].observation_dim(), seats[0].action_dim());
        let mut actions = Like::Uniform(-1.0, 1.0).draw(&mut source(0), sizes.horizon * SLOTS * dim);
        for action in actions.chunks_mut(dim) {
            let bounds = seats[0].action_low().iter().zip(seats[0].action_high());
            action.iter_mut().zip(bounds).for_each(|(a, (low, high))| *a = a.clamp(*low, *high));
        }
        let policy = sizes.policy.then(|| {
            let mlp = Mlp::new(width, &[HIDDEN, HIDDEN], dim, Activation::Relu);
            let policy = Policy { mlp, context: 0, init_std: 1.0, min_std: 1e-6 };
            let theta = initial(&policy.layout(), Draw::Xavier, &mut source(1));
            (Shared::new(lower(policy.act(&[], SLOTS)), threads), theta, vec![0.0; dim])
        });
        let (workers, taken) = (Workers::new(seats)?, vec![0; threads]);
        Ok(EnvironmentWork { workers, taken, horizon: sizes.horizon, actions, policy })
    }
}

fn source(number: u64) -> crate::random::Stream {
    stream(SEED, Purpose::Certificate, number, 0, 0)
}

/// One episode in every slot; an episode that ends makes room for nothing.
fn play(env: &mut Environments, tasks: &[f32], actions: &[f32], horizon: usize) -> Result<u64> {
    let (width, dim) = (env.observation_dim(), env.action_dim());
    let mut slots: Vec<u32> = (0..SLOTS as u32).collect();
    let seeds: Vec<u64> = (0..SLOTS as u32).map(|k| seed_at(SEED, Purpose::TrainReset, 0, 0, k)).collect();
    let (mut seen, mut rewards, mut ended) = (vec![0.0; SLOTS * width], [0.0; SLOTS], [0; SLOTS]);
    env.reset(&slots, &seeds, tasks, &mut seen)?;
    let mut taken = 0;
    for t in 0..horizon {
        let n = slots.len();
        let actions = &actions[t * SLOTS * dim..][..n * dim];
        env.step(&slots, actions, &mut seen[..n * width], &mut rewards[..n], &mut ended[..n])?;
        taken += n as u64;
        let mut at = 0..n;
        slots.retain(|_| at.next().is_some_and(|i| ended[i] == 0));
        if slots.is_empty() {
            break;
        }
    }
    Ok(taken)
}

impl Work for EnvironmentWork {
    fn step(&mut self) -> Result<()> {
        let EnvironmentWork { workers, taken, horizon, actions, policy } = self;
        let (policy, actions) = (policy.as_ref(), &actions[..]);
        workers.each(taken, |thread, env, _, taken| {
            let mut tasks = vec![0.0; SLOTS * env.task_dim()];
            let one = env.task_dim().max(1);
            for (number, task) in tasks.chunks_mut(one).enumerate() {
                let seed = seed_at(SEED, Purpose::TrainTask, 0, 0, number as u32);
                env.instance.sample_task(seed, task)?;
            }
            let Some((program, theta, log_std)) = policy else {
                *taken = play(env, &tasks, actions, *horizon)?;
                return Ok(());
            };
            let mut batch = Batch::new(SLOTS, *horizon, env.observation_dim(), env.action_dim());
            let mut ignored = log_std.clone();
            let decide = |observations: &[f32], means: &mut [f32]| {
                program.run(thread, &[theta, observations], &mut [means, &mut ignored])
            };
            let (reset, action) = (Purpose::TrainReset, Purpose::TrainAction);
            let draws = Draws { seed: SEED, reset, action, iteration: 0, task: 0, first_episode: 0 };
            let mut collector = Collector::new(env, SLOTS, false);
            collector.collect(env, decide, log_std, Tasks::Each(&tasks), &draws, &mut batch)?;
            *taken = batch.episodes().real_steps() as u64;
            Ok(())
        })
    }

    fn answer(&mut self) -> Result<Vec<Tensor>> {
        Err(Error::Input("--save: trajectories are no gradient; there is nothing to write".into()))
    }

    fn profile(&mut self) -> Result<Vec<(String, Duration)>> {
        Ok(vec![])
    }

    fn bytes_per_task(&self) -> usize {
        4 * self.actions.len()
    }

    fn env_steps(&self) -> Option<u64> {
        Some(self.taken.iter().sum())
    }
}
