use super::bits;
use mamlx::error::Result;
use mamlx::random::{Purpose, seed_at, stream};
use mamlx::run::returns::{AfterLast, discounted_returns};
use mamlx::run::rollout::{Batch, Collector, Draws, Tasks, VectorEnv, kl_divergence, log_density, to_bounds};
use rand_distr::{Distribution, StandardNormal};

/// A point on a line. Task: (goal, steps until the episode terminates; 0 for never). The reset seed sets the start,
/// the action moves the point, the reward is the goal minus the steps taken so far.
struct Line {
    slots: Vec<(f32, f32, f32, f32)>,
    /// Slots of every call, to see which are skipped.
    stepped: Vec<Vec<u32>>,
    actions: Vec<f32>,
    seeds: Vec<u64>,
    /// The step number whose reward is NaN.
    broken_at: f32,
}

impl Line {
    fn new(slots: usize) -> Self {
        Line {
            slots: vec![(0.0, 0.0, 0.0, 0.0); slots],
            stepped: vec![],
            actions: vec![],
            seeds: vec![],
            broken_at: -1.0,
        }
    }
}

impl VectorEnv for Line {
    fn observation_dim(&self) -> usize {
        2
    }
    fn action_dim(&self) -> usize {
        1
    }
    fn task_dim(&self) -> usize {
        2
    }
    fn action_low(&self) -> &[f32] {
        &[-0.1]
    }
    fn action_high(&self) -> &[f32] {
        &[0.1]
    }
    fn capacity(&self) -> usize {
        self.slots.len()
    }
    fn reset(&mut self, slots: &[u32], seeds: &[u64], tasks: &[f32], observations: &mut [f32]) -> Result<()> {
        self.seeds.extend_from_slice(seeds);
        for (i, &slot) in slots.iter().enumerate() {
            let start = (seeds[i] % 1000) as f32 / 1000.0;
            self.slots[slot as usize] = (start, 0.0, tasks[2 * i], tasks[2 * i + 1]);
            observations[2 * i..][..2].copy_from_slice(&[start, 0.0]);
        }
        Ok(())
    }
    fn step(
        &mut self,
        slots: &[u32],
        actions: &[f32],
        observations: &mut [f32],
        rewards: &mut [f32],
        terminated: &mut [u8],
    ) -> Result<()> {
        assert_eq!((actions.len(), rewards.len(), terminated.len()), (slots.len(), slots.len(), slots.len()));
        self.stepped.push(slots.to_vec());
        self.actions.extend_from_slice(actions);
        for (i, &slot) in slots.iter().enumerate() {
            let (position, count, goal, life) = &mut self.slots[slot as usize];
            *position += actions[i];
            *count += 1.0;
            observations[2 * i..][..2].copy_from_slice(&[*position, *count]);
            rewards[i] = if *count == self.broken_at { f32::NAN } else { *goal - *count };
            terminated[i] = u8::from(*count == *life);
        }
        Ok(())
    }
}

const DRAWS: Draws = Draws {
    seed: 5,
    reset: Purpose::TrainReset,
    action: Purpose::TrainAction,
    iteration: 3,
    task: 2,
    first_episode: 0,
};

/// A policy that depends on everything it sees, row by row.
fn policy(observations: &[f32], mean: &mut [f32]) -> Result<()> {
    let width = observations.len() / mean.len();
    for (mean, row) in mean.iter_mut().zip(observations.chunks_exact(width)) {
        *mean = row.iter().enumerate().map(|(i, o)| o * 0.3 / (i + 1) as f32).sum::<f32>() - 0.2;
    }
    Ok(())
}

fn collect(episodes: usize, horizon: usize, tasks: Tasks<'_>, draws: &Draws) -> (Batch, Line) {
    let mut env = Line::new(episodes);
    let mut batch = Batch::new(episodes, horizon, 2, 1);
    let mut collector = Collector::new(&env, episodes, false);
    collector.collect(&mut env, policy, &[-0.5], tasks, draws, &mut batch).unwrap();
    (batch, env)
}

#[test]
fn returns_lengths_and_padding_are_those_of_the_environment() {
    let tasks = [10.0, 2.0, 20.0, 0.0, 30.0, 3.0];
    let (batch, env) = collect(3, 4, Tasks::Each(&tasks), &DRAWS);
    assert_eq!(batch.lengths, [2, 4, 3]);
    assert_eq!(batch.terminated, [true, false, true]);
    assert_eq!(batch.rewards, [9.0, 8.0, 0.0, 0.0, 19.0, 18.0, 17.0, 16.0, 29.0, 28.0, 27.0, 0.0]);
    assert_eq!(batch.weights, [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
    let ninth = 1.0 / 9.0;
    assert_eq!(batch.mean_weights()[..6], [ninth, ninth, 0.0, 0.0, ninth, ninth]);
    assert_eq!(batch.returns, [17.0, 70.0, 84.0]);
    assert_eq!(batch.mean_return(), 57.0);
    assert_eq!(env.stepped, [vec![0, 1, 2], vec![0, 1, 2], vec![1, 2], vec![1]]);
    for (i, weight) in batch.weights.iter().enumerate() {
        assert_eq!(*weight == 0.0, batch.actions[i] == 0.0);
        if *weight == 0.0 {
            assert_eq!((batch.means[i], &batch.observations[2 * i..2 * i + 2]), (0.0, &[0.0, 0.0][..]));
        }
    }
    let mut returns = vec![0.0; 12];
    discounted_returns(&batch.rewards, batch.episodes(), 1.0, AfterLast::Zero, &mut returns);
    assert_eq!([returns[0], returns[4], returns[8]], [17.0, 70.0, 84.0]);
}

#[test]
fn collecting_stops_when_every_episode_has_ended() {
    let (batch, env) = collect(3, 50, Tasks::Same(&[0.0, 2.0]), &DRAWS);
    assert_eq!(batch.lengths, [2, 2, 2]);
    assert_eq!(env.stepped.len(), 2);
}

#[test]
fn draws_come_from_each_episodes_own_streams_in_the_order_of_steps() {
    let draws = Draws { first_episode: 40, ..DRAWS };
    let (batch, env) = collect(2, 5, Tasks::Same(&[0.0, 0.0]), &draws);
    for e in 0..2u32 {
        let seed = seed_at(5, Purpose::TrainReset, 3, 2, 40 + e);
        assert_eq!(env.seeds[e as usize], seed);
        let mut position = (seed % 1000) as f32 / 1000.0;
        let mut noise = stream(5, Purpose::TrainAction, 3, 2, 40 + e);
        for t in 0..5 {
            let at = e as usize * 5 + t;
            assert_eq!(batch.observations[2 * at..][..2], [position, t as f32]);
            let mut mean = [0.0];
            policy(&[position, t as f32], &mut mean).unwrap();
            let draw: f32 = StandardNormal.sample(&mut noise);
            assert_eq!(batch.means[at], mean[0]);
            assert_eq!(batch.actions[at], mean[0] + (-0.5f32).exp() * draw);
            // The environment gets a tenth of it, clipped; the batch keeps the sample itself.
            assert_eq!(env.actions[2 * t + e as usize], (0.1 * batch.actions[at]).clamp(-0.1, 0.1));
            position += env.actions[2 * t + e as usize];
        }
    }
    assert!(
        batch.actions.iter().any(|a| a.abs() > 1.0),
        "no action was clipped, so this test shows too little"
    );
}

/// All that one episode left in a batch, without its padding.
fn trace(batch: &Batch, e: usize) -> Vec<u32> {
    let (start, n) = (e * batch.horizon, batch.lengths[e]);
    let mut all = bits(&batch.observations[2 * start..][..2 * n]);
    for buffer in [&batch.actions, &batch.means, &batch.rewards] {
        all.extend(bits(&buffer[start..][..n]));
    }
    all
}

#[test]
fn an_episode_does_not_depend_on_the_others_or_on_their_number() {
    let tasks: Vec<f32> = (0..9).flat_map(|e| [e as f32, (e * 5 % 7) as f32]).collect();
    let (all, _) = collect(9, 12, Tasks::Each(&tasks), &DRAWS);
    for e in 0..9 {
        let draws = Draws { first_episode: e as u32, ..DRAWS };
        let (alone, _) = collect(1, 12, Tasks::Each(&tasks[2 * e..][..2]), &draws);
        assert_eq!(trace(&alone, 0), trace(&all, e));
    }
    let (four, _) = collect(4, 12, Tasks::Each(&tasks[..8]), &DRAWS);
    let (longer, _) = collect(4, 30, Tasks::Each(&tasks[..8]), &DRAWS);
    for e in 0..4 {
        assert_eq!(trace(&four, e), trace(&all, e));
        // A longer horizon lets an episode go on, but changes nothing of what it did before.
        let seen = 2 * four.lengths[e];
        assert_eq!(trace(&longer, e)[..seen], trace(&four, e)[..seen]);
    }
    assert_eq!((four.lengths[0], longer.lengths[0]), (12, 30));
    assert_ne!(trace(&all, 0), trace(&all, 7));
}

#[test]
fn used_buffers_give_the_same_batch_as_new_ones() {
    let mut env = Line::new(3);
    let mut batch = Batch::new(3, 6, 2, 1);
    let mut collector = Collector::new(&env, 3, false);
    let other = Draws { iteration: 9, ..DRAWS };
    for draws in [&other, &DRAWS] {
        let life = if draws.iteration == 9 { 0.0 } else { 4.0 };
        collector.collect(&mut env, policy, &[-0.5], Tasks::Same(&[1.0, life]), draws, &mut batch).unwrap();
    }
    let (fresh, _) = collect(3, 6, Tasks::Same(&[1.0, 4.0]), &DRAWS);
    assert_eq!(format!("{batch:?}"), format!("{fresh:?}"));
}

#[test]
fn the_oracle_sees_each_episodes_task_after_the_observation() {
    let tasks = [10.0, 2.0, 20.0, 0.0];
    let mut env = Line::new(2);
    let mut batch = Batch::new(2, 3, 4, 1);
    let mut rows = vec![];
    let seen = |observations: &[f32], mean: &mut [f32]| {
        rows.push(observations.len());
        policy(observations, mean)
    };
    let mut collector = Collector::new(&env, 2, true);
    collector.collect(&mut env, seen, &[0.0], Tasks::Each(&tasks), &DRAWS, &mut batch).unwrap();
    for (step, row) in batch.observations.chunks(4).enumerate() {
        let expected = if batch.weights[step] == 0.0 { &[0.0, 0.0] } else { &tasks[step / 3 * 2..][..2] };
        assert_eq!(&row[2..], expected, "step {step}");
    }
    assert_eq!(batch.lengths, [2, 3]);
    // The policy is asked about both rows to the end, although the first episode ends before.
    assert_eq!(rows, [8, 8, 8]);
}

#[test]
fn numbers_that_are_not_finite_are_named_by_step_and_episode() {
    let run = |broken_at: f32, log_std: f32, poison: f32| {
        let mut env = Line::new(2);
        env.broken_at = broken_at;
        let mut batch = Batch::new(2, 4, 2, 1);
        let mean = |_: &[f32], mean: &mut [f32]| {
            mean[1] = poison;
            Ok(())
        };
        let error = Collector::new(&env, 2, false)
            .collect(&mut env, mean, &[log_std], Tasks::Same(&[0.0, 0.0]), &DRAWS, &mut batch)
            .unwrap_err();
        assert_eq!(error.exit_code(), 1);
        error.to_string()
    };
    let reward = run(3.0, 0.0, 0.0);
    assert!(reward.contains("reward at step 2 of episode 0"), "{reward}");
    let mean = run(-1.0, 0.0, f32::NAN);
    assert!(mean.contains("action mean is NaN at step 0 of episode 1"), "{mean}");
    for bad in [f32::NAN, 1000.0] {
        let deviation = run(-1.0, bad, 0.0);
        assert!(deviation.contains("standard deviation"), "{deviation}");
    }
}

#[test]
fn actions_map_linearly_to_the_bounds_and_clip_there() {
    assert_eq!(
        [-2.0, -1.0, 0.0, 0.5, 1.0, 7.0].map(|a| to_bounds(a, 2.0, 6.0)),
        [2.0, 2.0, 4.0, 5.0, 6.0, 6.0]
    );
    assert_eq!(to_bounds(0.123_456_7, -1.0, 1.0), 0.123_456_7);
    assert_eq!(to_bounds(3.0, f32::NEG_INFINITY, f32::INFINITY), 3.0);
    assert_eq!([-3.0, 0.5].map(|a| to_bounds(a, 0.0, f32::INFINITY)), [0.0, 0.5]);
}

#[test]
fn densities_and_divergences_match_known_values() {
    // Standard normal at 0 and at 1; two dimensions add.
    let at_zero = -0.918_938_533_204_672_7;
    assert!((log_density(&[0.0], &[0.0], &[0.0]) - at_zero).abs() < 1e-12);
    assert!((log_density(&[1.0, 3.0], &[0.0, 3.0], &[0.0, 0.0]) - 2.0 * at_zero + 0.5).abs() < 1e-12);
    // Deviation e: the density at one deviation from the mean loses 1/2 and 1.
    let e = std::f32::consts::E;
    assert!((log_density(&[2.0 + e], &[2.0], &[1.0]) - at_zero + 1.5).abs() < 1e-6);

    let (a, b) = ((&[0.5f32, -1.0][..], &[0.0f32, -0.3][..]), (&[0.0f32, -0.8][..], &[0.2f32, 0.1][..]));
    assert_eq!(kl_divergence(a, a), 0.0);
    // The divergence is the mean of the difference of log-densities under the old distribution.
    let mut noise = stream(1, Purpose::Init, 0, 0, 0);
    let draws = 200_000;
    let mut total = 0.0;
    for _ in 0..draws {
        let x: [f32; 2] = std::array::from_fn(|k| {
            let z: f32 = StandardNormal.sample(&mut noise);
            a.0[k] + a.1[k].exp() * z
        });
        total += log_density(&x, a.0, a.1) - log_density(&x, b.0, b.1);
    }
    let estimate = total / f64::from(draws);
    let exact = kl_divergence(a, b);
    assert!(exact > 0.1 && (estimate - exact).abs() < 0.01, "{estimate} is not {exact}");
}
