//! The promise: an outer step of all tasks at once is that of each task by itself. On the processor, where a launch has one
//! task; the launches of devices are checked against the same plans.

use super::noise;
use mamlx::lower::Device;
use mamlx::nn::mlp::Mlp;
use mamlx::nn::{Activation, Policy};
use mamlx::run::rl::programs::{Programs, Wanted};
use mamlx::run::rl::steps::Steps;
use mamlx::run::rl::task::TaskWork;
use mamlx::run::rl::together::{Sizes, Together};
use mamlx::run::rollout::Batch;

const ROWS: usize = 24;
const RATE: f32 = 0.1;
const OBSERVATION: usize = 3;
const ACTION: usize = 2;

fn policy(context: usize) -> Policy {
    let mlp = Mlp::new(OBSERVATION + context, &[5, 4], ACTION, Activation::Tanh);
    Policy { mlp, context, init_std: 0.8, min_std: 1e-6 }
}

/// Time steps of one episode after the other.
fn steps(seed: u64, lengths: &[usize]) -> Steps {
    let horizon = lengths.iter().copied().max().unwrap();
    let mut batch = Batch::new(lengths.len(), horizon, OBSERVATION, ACTION);
    batch.lengths.copy_from_slice(lengths);
    let all = lengths.len() * horizon;
    for (episode, length) in lengths.iter().enumerate() {
        batch.weights[episode * horizon..][..*length].fill(1.0);
    }
    batch.observations = noise(seed, all * OBSERVATION);
    batch.actions = noise(seed + 1000, all * ACTION);
    let mut steps = Steps::default();
    steps.fill(&batch, &noise(seed + 2000, all), ROWS);
    steps
}

/// Tasks with `steps` inner steps on at most 24 time steps; the last have up to 40, which are two pieces of one program.
fn batch(seed: u64, phases: usize) -> Vec<TaskWork> {
    let task = |number: u64| {
        let at = |phase: usize| seed + 10 * number + phase as u64;
        let mut work = TaskWork::default();
        work.steps = (0..phases).map(|phase| steps(at(phase), &[11, 12 - number as usize])).collect();
        work.steps.push(steps(at(phases), &[20, 1, 19 - 2 * number as usize]));
        work
    };
    (0..3).map(task).collect()
}

fn near(found: &[f32], expected: &[f32], what: &str) {
    let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest > 0.0 && apart <= 2e-5 * largest, "{what}: {apart:e} of {largest:e}");
}

/// The sum over tasks of what each left, and losses and divergences.
fn left(batch: &[TaskWork]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let mut sum = vec![0.0; batch[0].out.len()];
    batch.iter().for_each(|work| sum.iter_mut().zip(&work.out).for_each(|(sum, x)| *sum += x));
    let of = |of: fn(&TaskWork) -> f64| batch.iter().map(|work| of(work) as f32).collect();
    (sum, of(|work| work.loss), of(|work| work.kl))
}

#[test]
fn all_at_once_is_each_by_itself() {
    for (context, phases, through) in [(0, 2, true), (0, 1, false), (2, 1, true), (0, 0, false)] {
        let what = format!("context {context}, {phases} inner steps, through {through}");
        let policy = policy(context);
        let programs =
            Programs::new(policy.clone(), ROWS, &[], Wanted::default(), (&Device::cpu(), 1)).unwrap();
        let sizes = Sizes { tasks: 3, support: ROWS, query: 40, steps: phases, through, trust_region: true };
        let mut together = Together::new(&Device::cpu(), &policy, sizes).unwrap();
        assert!(together.bytes_per_task() > 0);
        let size = policy.layout().size();
        let vector = noise(8, size);
        // A second meta-batch takes the place of the first.
        for seed in [100, 500] {
            let theta: Vec<f32> = noise(seed + 7, size).iter().map(|x| 0.5 * x).collect();
            let candidate: Vec<f32> = theta.iter().zip(&vector).map(|(x, d)| x + 0.05 * d).collect();
            let (mut alone, mut all) = (batch(seed, phases), batch(seed, phases));
            together.load(&all);
            for work in &mut alone {
                work.thetas = vec![theta.clone()];
                for phase in 0..phases {
                    let before = work.thetas[phase].clone();
                    let adapted = work.adapt_and_keep(&programs, 0, phase, &before, RATE).unwrap();
                    work.thetas.push(adapted);
                }
                work.remember_policy(&programs, 0).unwrap();
                work.outer_gradient(&programs, 0, RATE, through).unwrap();
                work.prepare_fisher(&programs, 0).unwrap();
            }
            let (sum, losses, _) = left(&alone);
            near(&together.gradient(&theta, RATE, &mut all).unwrap(), &sum, &format!("gradient, {what}"));
            near(&left(&all).1, &losses, &format!("loss, {what}"));
            assert!(all.iter().all(|work| work.kl == 0.0));
            together.prepare(&theta, RATE).unwrap();
            for vector in [&vector, &candidate] {
                for work in &mut alone {
                    work.curvature_product(&programs, 0, vector, RATE, through).unwrap();
                }
                near(&together.product(vector).unwrap(), &left(&alone).0, &format!("product, {what}"));
            }
            for work in &mut alone {
                work.try_parameters(&programs, 0, &candidate, RATE).unwrap();
            }
            together.try_parameters(&candidate, RATE, &mut all).unwrap();
            let (_, losses, divergences) = left(&alone);
            near(&left(&all).1, &losses, &format!("a candidate's loss, {what}"));
            near(&left(&all).2, &divergences, &format!("a candidate's divergence, {what}"));
        }
    }
}

#[test]
#[should_panic(expected = "floats of a task in place of")]
fn a_task_with_more_time_steps_than_there_is_room_for_is_refused() {
    let sizes = Sizes { tasks: 3, support: ROWS, query: 40, steps: 1, through: true, trust_region: false };
    let mut together = Together::new(&Device::cpu(), &policy(0), sizes).unwrap();
    let mut tasks = batch(1, 1);
    together.load(&tasks);
    tasks[1].steps[0] = steps(3, &[20, 5]);
    together.load(&tasks);
}
