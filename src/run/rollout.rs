//! Collecting the trajectories of one task: policy, action noise, environment, flat buffers.
//!
//! All episodes of the task move together, one policy call per time step. Each episode draws from its own two
//! streams, so its trajectory depends on its task, its indices and the policy, never on how many others there are.

use crate::error::{Error, Result};
use crate::random::{Purpose, Stream, seed_at, stream};
use crate::run::returns::Episodes;
use rand_distr::{Distribution, StandardNormal};
use std::time::{Duration, Instant};

/// Environments that move together; every buffer is owned by the caller and has one row per listed slot.
pub trait VectorEnv {
    /// Numbers per observation.
    fn observation_dim(&self) -> usize;
    /// Numbers per action.
    fn action_dim(&self) -> usize;
    /// Numbers per task.
    fn task_dim(&self) -> usize;
    /// Lower bound of each action, `[action_dim]`; −∞ where there is none.
    fn action_low(&self) -> &[f32];
    /// Upper bound of each action, `[action_dim]`; +∞ where there is none.
    fn action_high(&self) -> &[f32];
    /// Slots that exist; they are numbered from 0.
    fn capacity(&self) -> usize;

    /// Starts an episode in each of `slots` `[n]`, from `seeds` `[n]`, under `tasks` `[n, task_dim]`, and
    /// writes `observations` `[n, observation_dim]`.
    fn reset(&mut self, slots: &[u32], seeds: &[u64], tasks: &[f32], observations: &mut [f32]) -> Result<()>;

    /// Moves each of `slots` `[n]` by one step with `actions` `[n, action_dim]`, inside their bounds, and writes
    /// `observations` `[n, observation_dim]`, `rewards` `[n]` and `terminated` `[n]` (0 or 1).
    fn step(
        &mut self,
        slots: &[u32],
        actions: &[f32],
        observations: &mut [f32],
        rewards: &mut [f32],
        terminated: &mut [u8],
    ) -> Result<()>;
}

/// Where the random numbers of a batch come from (see [`crate::random`]).
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    pub seed: u64,
    /// Purpose of the reset seeds.
    pub reset: Purpose,
    /// Purpose of the action noise.
    pub action: Purpose,
    /// Meta-iteration in training, support size in evaluation.
    pub iteration: u64,
    pub task: u32,
    /// Index of the batch's first episode: batches of one task (before and after each update) follow each other.
    pub first_episode: u32,
}

/// The tasks of a batch's episodes.
#[derive(Clone, Copy, Debug)]
pub enum Tasks<'a> {
    /// One task for all episodes, `[task_dim]`.
    Same(&'a [f32]),
    /// One task per episode, `[episodes, task_dim]`; the pretrained baseline draws them so (protocol A.0 row 20).
    Each(&'a [f32]),
}

/// The trajectories of one task, padded with zeros after each episode's last step.
#[derive(Clone, Debug)]
pub struct Batch {
    pub horizon: usize,
    /// Numbers per row of `observations`: those of the environment, then the task's if it is appended.
    pub observation_width: usize,
    pub action_dim: usize,
    /// What the policy saw before each step, `[episodes, horizon, observation_width]`.
    pub observations: Vec<f32>,
    /// The sampled actions in the policy's scale, before mapping and clipping, `[episodes, horizon, action_dim]`.
    pub actions: Vec<f32>,
    /// The policy's mean for each action, `[episodes, horizon, action_dim]`.
    pub means: Vec<f32>,
    /// `[episodes, horizon]`.
    pub rewards: Vec<f32>,
    /// 1 for a real step, 0 for padding, `[episodes, horizon]`.
    pub weights: Vec<f32>,
    /// Real steps of each episode, `[episodes]`.
    pub lengths: Vec<usize>,
    /// Whether the environment ended the episode, rather than the horizon, `[episodes]`.
    pub terminated: Vec<bool>,
    /// Undiscounted return of each episode, `[episodes]`.
    pub returns: Vec<f64>,
}

impl Batch {
    /// Zeroed buffers for `episodes` × `horizon` steps.
    pub fn new(episodes: usize, horizon: usize, observation_width: usize, action_dim: usize) -> Self {
        let steps = episodes * horizon;
        Batch {
            horizon,
            observation_width,
            action_dim,
            observations: vec![0.0; steps * observation_width],
            actions: vec![0.0; steps * action_dim],
            means: vec![0.0; steps * action_dim],
            rewards: vec![0.0; steps],
            weights: vec![0.0; steps],
            lengths: vec![0; episodes],
            terminated: vec![false; episodes],
            returns: vec![0.0; episodes],
        }
    }

    /// Which entries are real.
    pub fn episodes(&self) -> Episodes<'_> {
        Episodes::new(&self.lengths, self.horizon)
    }

    /// Mean undiscounted return over the episodes.
    pub fn mean_return(&self) -> f64 {
        self.returns.iter().sum::<f64>() / self.returns.len() as f64
    }

    /// Weights that turn a weighted sum over steps into their mean: 1/N on each of the N real steps, 0 in the padding,
    /// `[episodes, horizon]` (protocol A.4, inner objective: the mean is over all time steps).
    pub fn mean_weights(&self) -> Vec<f32> {
        let share = (1.0 / self.episodes().real_steps().max(1) as f64) as f32;
        self.weights.iter().map(|weight| weight * share).collect()
    }

    /// Adds the episodes of another batch of the same widths and horizon.
    pub fn append(&mut self, other: Batch) {
        self.observations.extend(other.observations);
        self.actions.extend(other.actions);
        self.means.extend(other.means);
        self.rewards.extend(other.rewards);
        self.weights.extend(other.weights);
        self.lengths.extend(other.lengths);
        self.terminated.extend(other.terminated);
        self.returns.extend(other.returns);
    }

    /// Drops the episodes that are not marked.
    pub fn keep(&mut self, kept: &[bool]) {
        fn rows<T: Copy>(buffer: &mut Vec<T>, kept: &[bool]) {
            let width = buffer.len() / kept.len().max(1);
            let mut at = 0..buffer.len();
            buffer.retain(|_| at.next().is_some_and(|i| kept[i / width]));
        }
        assert_eq!(kept.len(), self.lengths.len());
        if kept.iter().all(|&kept| kept) {
            return;
        }
        rows(&mut self.observations, kept);
        rows(&mut self.actions, kept);
        rows(&mut self.means, kept);
        rows(&mut self.rewards, kept);
        rows(&mut self.weights, kept);
        rows(&mut self.lengths, kept);
        rows(&mut self.terminated, kept);
        rows(&mut self.returns, kept);
    }

    fn clear(&mut self) {
        for buffer in [&mut self.observations, &mut self.actions, &mut self.means, &mut self.rewards] {
            buffer.fill(0.0);
        }
        self.weights.fill(0.0);
        self.lengths.fill(0);
        self.terminated.fill(false);
        self.returns.fill(0.0);
    }
}

/// The buffers of the moment, reusable from batch to batch; nothing is allocated per step.
pub struct Collector {
    append_task: bool,
    low: Vec<f32>,
    high: Vec<f32>,
    /// Slots whose episode goes on, ascending; the first entries of the buffers below are theirs, in this order.
    live: Vec<u32>,
    env_actions: Vec<f32>,
    env_observations: Vec<f32>,
    env_rewards: Vec<f32>,
    env_terminated: Vec<u8>,
    /// Latest policy input of every episode, finished ones included, `[episodes, observation_width]`.
    current: Vec<f32>,
    /// `[episodes, action_dim]`.
    mean: Vec<f32>,
    deviation: Vec<f32>,
    /// `[episodes, task_dim]`.
    tasks: Vec<f32>,
    seeds: Vec<u64>,
    noise: Vec<Stream>,
    /// Time spent in the environment since the collector was made.
    pub physics: Duration,
    /// Time spent in the policy since the collector was made.
    pub policy: Duration,
}

impl Collector {
    /// Buffers for `episodes` simultaneous episodes of `env`. With `append_task` the policy sees the task's
    /// numbers after the environment's (the oracle: protocol A.5, oracle input).
    pub fn new(env: &dyn VectorEnv, episodes: usize, append_task: bool) -> Self {
        let width = env.observation_dim() + if append_task { env.task_dim() } else { 0 };
        Collector {
            append_task,
            low: env.action_low().to_vec(),
            high: env.action_high().to_vec(),
            live: Vec::with_capacity(episodes),
            env_actions: vec![0.0; episodes * env.action_dim()],
            env_observations: vec![0.0; episodes * env.observation_dim()],
            env_rewards: vec![0.0; episodes],
            env_terminated: vec![0; episodes],
            current: vec![0.0; episodes * width],
            mean: vec![0.0; episodes * env.action_dim()],
            deviation: vec![0.0; env.action_dim()],
            tasks: vec![0.0; episodes * env.task_dim()],
            seeds: vec![0; episodes],
            noise: Vec::with_capacity(episodes),
            physics: Duration::ZERO,
            policy: Duration::ZERO,
        }
    }

    /// Plays one episode in every slot and fills `batch`, whose shape says how many and how long.
    ///
    /// `policy` maps the inputs of all episodes, `[episodes, observation_width]`, to action means,
    /// `[episodes, action_dim]`. It always gets every row, those of finished episodes with their last
    /// observation, so its shape is fixed. `log_std` `[action_dim]` is the logarithm of the actions' standard
    /// deviation, with any floor already applied. An action is mean + deviation × noise; the batch keeps it as it
    /// is, the environment gets it mapped and clipped (see [`to_bounds`]).
    ///
    /// Fails when the policy, an observation or a reward is not finite, and on whatever `env` or `policy` fail
    /// with. Panics when the buffers' shapes disagree: no caller's input can cause that.
    pub fn collect(
        &mut self,
        env: &mut dyn VectorEnv,
        mut policy: impl FnMut(&[f32], &mut [f32]) -> Result<()>,
        log_std: &[f32],
        tasks: Tasks<'_>,
        draws: &Draws,
        batch: &mut Batch,
    ) -> Result<()> {
        let (episodes, horizon) = (batch.lengths.len(), batch.horizon);
        let (width, action_dim) = (batch.observation_width, batch.action_dim);
        assert!(episodes <= env.capacity(), "{episodes} episodes for {} slots", env.capacity());
        assert_eq!(self.current.len(), episodes * width);
        assert_eq!(self.mean.len(), episodes * action_dim);
        assert_eq!(log_std.len(), action_dim);
        batch.clear();
        for (deviation, log_std) in self.deviation.iter_mut().zip(log_std) {
            *deviation = log_std.exp();
            if !(deviation.is_finite() && *deviation > 0.0) {
                return Err(Error::Run(format!(
                    "the policy's standard deviation, `exp` of its log_std {log_std}, is {deviation}: it has diverged; \
                     lower inner.rate (or eval.rate), or the outer step size"
                )));
            }
        }
        self.start(env, tasks, draws, episodes)?;

        for t in 0..horizon {
            let began = Instant::now();
            policy(&self.current, &mut self.mean)?;
            self.sample(t, batch)?;
            let sampled = Instant::now();
            let n = self.live.len();
            env.step(
                &self.live,
                &self.env_actions[..n * action_dim],
                &mut self.env_observations[..n * env.observation_dim()],
                &mut self.env_rewards[..n],
                &mut self.env_terminated[..n],
            )?;
            self.physics += sampled.elapsed();
            self.policy += sampled - began;
            self.absorb(t, batch)?;
            if self.live.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Resets every slot and takes up the first observations.
    fn start(
        &mut self,
        env: &mut dyn VectorEnv,
        tasks: Tasks<'_>,
        draws: &Draws,
        episodes: usize,
    ) -> Result<()> {
        match tasks {
            Tasks::Same(task) => {
                assert_eq!(task.len() * episodes, self.tasks.len());
                if !task.is_empty() {
                    self.tasks.chunks_exact_mut(task.len()).for_each(|row| row.copy_from_slice(task));
                }
            }
            Tasks::Each(tasks) => self.tasks.copy_from_slice(tasks),
        }
        self.live.clear();
        self.noise.clear();
        for slot in 0..episodes as u32 {
            let episode = draws.first_episode + slot;
            self.live.push(slot);
            self.seeds[slot as usize] =
                seed_at(draws.seed, draws.reset, draws.iteration, draws.task, episode);
            self.noise.push(stream(draws.seed, draws.action, draws.iteration, draws.task, episode));
        }
        let began = Instant::now();
        env.reset(&self.live, &self.seeds, &self.tasks, &mut self.env_observations)?;
        self.physics += began.elapsed();
        let dim = env.observation_dim();
        for slot in 0..episodes {
            check_finite("observation", &self.env_observations[slot * dim..][..dim], slot, None)?;
            self.take_up(slot, slot, dim);
        }
        let (task_dim, width) = (env.task_dim(), self.current.len() / episodes.max(1));
        if self.append_task && task_dim > 0 {
            for (input, task) in self.current.chunks_exact_mut(width).zip(self.tasks.chunks_exact(task_dim)) {
                input[dim..].copy_from_slice(task);
            }
        }
        Ok(())
    }

    /// Draws the actions of step `t` and records what they were drawn from.
    fn sample(&mut self, t: usize, batch: &mut Batch) -> Result<()> {
        let (width, dim) = (batch.observation_width, batch.action_dim);
        for (row, &slot) in self.live.iter().enumerate() {
            let slot = slot as usize;
            let at = slot * batch.horizon + t;
            let mean = &self.mean[slot * dim..][..dim];
            if let Some(bad) = mean.iter().find(|m| !m.is_finite()) {
                return Err(Error::Run(format!(
                    "the policy's action mean is {bad} at step {t} of episode {slot}: its parameters have \
                     diverged; lower inner.rate (or eval.rate), or the outer step size"
                )));
            }
            batch.observations[at * width..][..width].copy_from_slice(&self.current[slot * width..][..width]);
            batch.means[at * dim..][..dim].copy_from_slice(mean);
            let actions = &mut batch.actions[at * dim..][..dim];
            let env_actions = &mut self.env_actions[row * dim..][..dim];
            for k in 0..dim {
                let noise: f32 = StandardNormal.sample(&mut self.noise[slot]);
                actions[k] = mean[k] + self.deviation[k] * noise;
                env_actions[k] = to_bounds(actions[k], self.low[k], self.high[k]);
            }
        }
        Ok(())
    }

    /// Records what step `t` led to and drops the episodes that it ended.
    fn absorb(&mut self, t: usize, batch: &mut Batch) -> Result<()> {
        let dim = self.env_observations.len() / self.seeds.len();
        for row in 0..self.live.len() {
            let slot = self.live[row] as usize;
            check_finite("observation", &self.env_observations[row * dim..][..dim], slot, Some(t))?;
            check_finite("reward", &self.env_rewards[row..=row], slot, Some(t))?;
            let at = slot * batch.horizon + t;
            batch.rewards[at] = self.env_rewards[row];
            batch.weights[at] = 1.0;
            batch.lengths[slot] = t + 1;
            batch.returns[slot] += f64::from(self.env_rewards[row]);
            batch.terminated[slot] = self.env_terminated[row] != 0;
            self.take_up(row, slot, dim);
        }
        self.live.retain(|&slot| !batch.terminated[slot as usize]);
        Ok(())
    }

    /// Copies row `row` of the environment's observations into the policy input of `slot`.
    fn take_up(&mut self, row: usize, slot: usize, dim: usize) {
        let width = self.current.len() / self.seeds.len();
        let observation = &self.env_observations[row * dim..][..dim];
        self.current[slot * width..][..dim].copy_from_slice(observation);
    }
}

/// Maps a policy's action, where ±1 stand for the bounds, to the environment's scale and clips it there (protocol
/// A.4, action path). Without two finite bounds the scale is the environment's own.
pub fn to_bounds(action: f32, low: f32, high: f32) -> f32 {
    let (middle, half) = (0.5 * (low + high), 0.5 * (high - low));
    let mapped = if half.is_finite() && middle.is_finite() { middle + half * action } else { action };
    mapped.max(low).min(high)
}

/// Log-density of `action` under the diagonal Gaussian, all `[action_dim]`:
/// Σ −(a − μ)² / 2σ² − log σ − ½ log 2π. The reference for what the graphs compute.
pub fn log_density(action: &[f32], mean: &[f32], log_std: &[f32]) -> f64 {
    let half_log_2pi = 0.5 * std::f64::consts::TAU.ln();
    let dimensions = action.iter().zip(mean).zip(log_std);
    dimensions
        .map(|((&a, &mean), &log_std)| {
            let log_std = f64::from(log_std);
            let z = (f64::from(a) - f64::from(mean)) / log_std.exp();
            -0.5 * z * z - log_std - half_log_2pi
        })
        .sum()
}

/// KL divergence from the old diagonal Gaussian to the new one, each (mean, log-deviation), all `[action_dim]`:
/// Σ log(σ′/σ) + (σ² + (μ − μ′)²) / 2σ′² − ½. The reference for what the graphs compute.
pub fn kl_divergence(old: (&[f32], &[f32]), new: (&[f32], &[f32])) -> f64 {
    let old = old.0.iter().zip(old.1);
    let new = new.0.iter().zip(new.1);
    old.zip(new)
        .map(|((&mean, &log_std), (&new_mean, &new_log_std))| {
            let (log_std, new_log_std) = (f64::from(log_std), f64::from(new_log_std));
            let shift = (f64::from(mean) - f64::from(new_mean)) / new_log_std.exp();
            let ratio = (log_std - new_log_std).exp();
            new_log_std - log_std + 0.5 * (ratio * ratio + shift * shift) - 0.5
        })
        .sum()
}

/// Refuses a number that no environment may return, and says where it came from.
fn check_finite(what: &str, values: &[f32], episode: usize, step: Option<usize>) -> Result<()> {
    let Some(at) = values.iter().position(|v| !v.is_finite()) else { return Ok(()) };
    let when = step.map_or("the reset".to_string(), |t| format!("step {t}"));
    Err(Error::Run(format!(
        "the environment returned {} as number {at} of its {what} at {when} of episode {episode}, expected a \
         finite number: this is a fault of the plugin (`mamlx plugin check` exercises it)",
        values[at]
    )))
}
