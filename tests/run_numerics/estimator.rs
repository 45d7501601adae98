//! The promise: `outer.estimator` takes the derivative that it says. Against f64 objectives differentiated by differences,
//! and, where the expectation over trajectories can be written down, against the derivative of the expectation itself.

use super::noise;
use mamlx::lower::Device;
use mamlx::nn::mlp::Mlp;
use mamlx::nn::{Activation, Policy};
use mamlx::run::rl::estimator::{Outcome, credit};
use mamlx::run::rl::programs::{Programs, Wanted};
use mamlx::run::rl::steps::Steps;
use mamlx::run::rl::task::TaskWork;
use mamlx::run::rollout::Batch;
use mamlx::spec::Estimator;

const ROWS: usize = 64;
/// Numbers of the policy 1 → 2 → 1: weights, biases, weights, bias, logarithm of the deviation.
const SIZE: usize = 8;
const MEAN: usize = 6;
const LOG_STD: usize = 7;

fn programs() -> Programs {
    let policy =
        Policy { mlp: Mlp::new(1, &[2], 1, Activation::Tanh), context: 0, init_std: 1.0, min_std: 1e-6 };
    assert_eq!(policy.layout().size(), SIZE);
    let wanted = Wanted { scores: true, ..Wanted::default() };
    Programs::new(policy, ROWS, &[], wanted, (&Device::cpu(), 1)).unwrap()
}

/// Trajectories of one number per observation and action.
struct Data {
    batch: Batch,
    advantages: Vec<f32>,
}

impl Data {
    fn new(lengths: &[usize], horizon: usize, numbers: impl Fn(usize, usize) -> [f32; 3]) -> Data {
        let mut batch = Batch::new(lengths.len(), horizon, 1, 1);
        batch.lengths.copy_from_slice(lengths);
        let mut advantages = vec![0.0; lengths.len() * horizon];
        for (episode, &length) in lengths.iter().enumerate() {
            for t in 0..length {
                let at = episode * horizon + t;
                batch.weights[at] = 1.0;
                [batch.observations[at], batch.actions[at], advantages[at]] = numbers(episode, t);
            }
        }
        Data { batch, advantages }
    }

    fn steps(&self) -> Steps {
        let mut steps = Steps::default();
        steps.fill(&self.batch, &self.advantages, ROWS);
        steps
    }
}

fn work(estimator: Estimator, thetas: &[&[f32]], data: &[&Data], programs: &Programs) -> TaskWork {
    let mut work = TaskWork::default();
    work.estimator = estimator;
    work.thetas = thetas.iter().map(|theta| theta.to_vec()).collect();
    work.steps = data.iter().map(|data| data.steps()).collect();
    work.remember_policy(programs, 0).unwrap();
    // Prepares the curvature of the inner steps; where they lead is given.
    for (phase, theta) in thetas[..thetas.len() - 1].iter().enumerate() {
        work.adapt_and_keep(programs, 0, phase, theta, 0.0).unwrap();
    }
    work
}

/// ln π(a|o), independently.
fn log_density(theta: &[f64], observation: f64, action: f64) -> f64 {
    let hidden = |k: usize| (observation * theta[k] + theta[2 + k]).tanh() * theta[4 + k];
    let z = (action - hidden(0) - hidden(1) - theta[MEAN]) * (-theta[LOG_STD]).exp();
    -0.5 * z * z - theta[LOG_STD] - 0.5 * (2.0 * std::f64::consts::PI).ln()
}

fn differences(f: impl Fn(&[f64]) -> f64, at: &[f64], step: f64) -> Vec<f64> {
    let moved = |k: usize, by: f64| {
        let mut x = at.to_vec();
        x[k] += by;
        f(&x)
    };
    (0..at.len()).map(|k| (moved(k, step) - moved(k, -step)) / (2.0 * step)).collect()
}

/// For every episode the sums of log π up to each step.
fn sums(data: &Data, theta: &[f64]) -> Vec<Vec<f64>> {
    let batch = &data.batch;
    let mut all = vec![];
    for range in batch.episodes().ranges() {
        let mut sum = 0.0;
        let up_to = range.map(|t| {
            sum += log_density(theta, f64::from(batch.observations[t]), f64::from(batch.actions[t]));
            sum
        });
        all.push(up_to.collect());
    }
    all
}

/// The inner loss as a function of θ, for trajectories that `sampled` sampled.
fn inner_loss(data: &Data, estimator: Estimator, theta: &[f64], sampled: &[f64]) -> f64 {
    let steps = data.batch.episodes().real_steps() as f64;
    let (now, then) = (sums(data, theta), sums(data, sampled));
    let mut loss = 0.0;
    for (episode, range) in data.batch.episodes().ranges().enumerate() {
        for (t, at) in range.enumerate() {
            let up_to = |sums: &[Vec<f64>], t: Option<usize>| t.map_or(0.0, |t| sums[episode][t]);
            let ratio = |t: Option<usize>| (up_to(&now, t) - up_to(&then, t)).exp();
            let before = t.checked_sub(1);
            let term = match estimator {
                Estimator::Dice => ratio(Some(t)) - ratio(before),
                Estimator::Maml | Estimator::Emaml => up_to(&now, Some(t)) - up_to(&now, before),
            };
            loss -= term * f64::from(data.advantages[at]) / steps;
        }
    }
    loss
}

/// The outer loss as a function of θ, with both inner steps repeated from it.
fn outer_loss(
    data: &[Data],
    estimator: Estimator,
    theta: &[f64],
    thetas: &[Vec<f64>],
    credit: f64,
    rate: f64,
) -> f64 {
    let (mut adapted, mut charge) = (theta.to_vec(), 0.0);
    for (phase, data) in data[..data.len() - 1].iter().enumerate() {
        if estimator == Estimator::Emaml {
            let last = |theta: &[f64]| -> f64 { sums(data, theta).iter().filter_map(|s| s.last()).sum() };
            charge -= credit * (last(&adapted) - last(&thetas[phase]));
        }
        let loss = |theta: &[f64]| inner_loss(data, estimator, theta, &thetas[phase]);
        let gradient = differences(loss, &adapted, 1e-4);
        adapted.iter_mut().zip(gradient).for_each(|(x, g)| *x -= rate * g);
    }
    let (data, batch) = (&data[data.len() - 1], &data[data.len() - 1].batch);
    let steps = batch.episodes().real_steps() as f64;
    let terms = batch.episodes().ranges().flatten().map(|t| {
        let of =
            |theta: &[f64]| log_density(theta, f64::from(batch.observations[t]), f64::from(batch.actions[t]));
        -(of(&adapted) - of(&thetas[thetas.len() - 1])).exp() * f64::from(data.advantages[t]) / steps
    });
    terms.sum::<f64>() + charge
}

/// Two inner steps on episodes of unequal length.
#[test]
fn every_estimator_differentiates_the_objective_that_its_candidates_are_judged_by() {
    const RATE: f32 = 0.1;
    let programs = programs();
    let wide = |values: &[f32]| values.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let data: Vec<Data> = (0..3u64)
        .map(|phase| {
            let numbers = noise(40 + phase, 3 * 3 * 40);
            let of = |episode: usize, t: usize| {
                let at = 3 * (40 * episode + t);
                [numbers[at], 1.5 * numbers[at + 1], numbers[at + 2]]
            };
            // More steps than one piece holds, so that an episode goes on in the next.
            Data::new(&[38, 1, 40], 40, of)
        })
        .collect();
    let mut thetas = vec![noise(7, SIZE)];
    for phase in 0..2 {
        let given: Vec<&[f32]> = thetas.iter().map(|t| &t[..]).collect();
        let mut work = work(Estimator::Maml, &given, &[&data[0], &data[1], &data[2]], &programs);
        thetas.push(work.adapt(&programs, 0, phase, &thetas[phase], RATE).unwrap());
    }
    let exact: Vec<Vec<f64>> = thetas.iter().map(|t| wide(t)).collect();
    let candidate: Vec<f32> = thetas[0].iter().zip(noise(8, SIZE)).map(|(x, d)| x + 0.02 * d).collect();
    let mut gradients = vec![];
    for estimator in [Estimator::Maml, Estimator::Emaml, Estimator::Dice] {
        let given: Vec<&[f32]> = thetas.iter().map(|t| &t[..]).collect();
        let mut work = work(estimator, &given, &[&data[0], &data[1], &data[2]], &programs);
        work.credit = 0.05;
        work.outer_gradient(&programs, 0, RATE, true).unwrap();
        let found = wide(&work.out);
        let objective = |theta: &[f64]| {
            outer_loss(&data, estimator, theta, &exact, f64::from(work.credit), f64::from(RATE))
        };
        let expected = differences(objective, &exact[0], 1e-5);
        near(&found, &expected, 2e-4, &format!("{estimator:?}: the gradient"));
        let (at, loss) = (wide(&candidate), objective(&wide(&candidate)));
        work.try_parameters(&programs, 0, &candidate, RATE).unwrap();
        assert!((work.loss - loss).abs() < 1e-5, "{estimator:?} at {at:?}: {} is not {loss}", work.loss);
        gradients.push(found);
    }
    for (k, other) in [(1, "emaml"), (2, "dice")] {
        let apart = gradients[k].iter().zip(&gradients[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart > 0.01, "{other} is the paper's estimator: {gradients:?}");
    }
}

/// Points and probabilities of a standard normal variable up to ±`reach`: the trapezoidal rule, exact to what is beyond.
fn normal_points(count: usize, reach: f64) -> Vec<[f64; 2]> {
    let step = 2.0 * reach / (count - 1) as f64;
    let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (0..count).map(|k| k as f64 * step - reach).map(|z| [z, density(z) * step]).collect()
}

/// A policy that sees nothing: mean and logarithm of the deviation are all that matters of it.
fn blind(mean: f64, log_std: f64) -> Vec<f32> {
    let mut theta = vec![0.0; SIZE];
    (theta[MEAN], theta[LOG_STD]) = (mean as f32, log_std as f32);
    theta
}

const GOAL: f64 = 1.5;
const POINTS: usize = 33;

/// All pairs of actions of two time steps under N(mean, exp(log_std)²), each with its probability. What is paid at the end
/// is −(a₁ + a₂ − 1.5)²; the advantage of both steps is that, so that the batch's mean is the expectation.
fn every_pair(mean: f64, log_std: f64) -> Data {
    let points = normal_points(POINTS, 7.5);
    let count = POINTS * POINTS;
    let action = |z: f64| mean + log_std.exp() * z;
    Data::new(&vec![2; count], 2, |episode, t| {
        let [[z1, p1], [z2, p2]] = [points[episode / POINTS], points[episode % POINTS]];
        let paid = -(action(z1) + action(z2) - GOAL).powi(2);
        let shown = if t == 0 { z1 } else { z2 };
        [0.0, action(shown) as f32, (2.0 * count as f64 * p1 * p2 * paid) as f32]
    })
}

/// The expected return of two steps is J(μ, s) = −((2μ − g)² + 2 e^{2s}), so J′ and J″ are known, and so is the gradient of
/// J(θ + α ∇J(θ)).
#[test]
fn dice_is_the_derivative_of_a_step_on_the_expected_return() {
    const RATE: f64 = 0.05;
    let (mean, log_std): (f64, f64) = (0.3, -0.2);
    let slope = |mean: f64, log_std: f64| [-4.0 * (2.0 * mean - GOAL), -4.0 * (2.0 * log_std).exp()];
    let curvature = [-8.0, -8.0 * (2.0 * log_std).exp()];
    let first = slope(mean, log_std);
    let adapted = [mean + RATE * first[0], log_std + RATE * first[1]];
    let last = slope(adapted[0], adapted[1]);
    let expected: Vec<f64> = (0..2).map(|k| -(1.0 + RATE * curvature[k]) * last[k]).collect();
    let programs = programs();
    let theta = blind(mean, log_std);
    let data = [every_pair(mean, log_std), every_pair(adapted[0], adapted[1])];
    let gradient = |estimator: Estimator| {
        let mut work =
            work(estimator, &[&theta, &blind(adapted[0], adapted[1])], &[&data[0], &data[1]], &programs);
        let stepped = work.adapt(&programs, 0, 0, &theta, RATE as f32).unwrap();
        assert!((f64::from(stepped[MEAN]) - adapted[0]).abs() < 1e-4, "{stepped:?}");
        assert!((f64::from(stepped[LOG_STD]) - adapted[1]).abs() < 1e-4, "{stepped:?}");
        work.outer_gradient(&programs, 0, RATE as f32, true).unwrap();
        vec![f64::from(work.out[MEAN]), f64::from(work.out[LOG_STD])]
    };
    near(&gradient(Estimator::Dice), &expected, 1e-3, "dice");
    let paper = gradient(Estimator::Maml);
    assert!((paper[0] - expected[0]).abs() > 0.05 * expected[0].abs(), "{paper:?} and {expected:?}");
}

/// A bandit, adapted to on a single pull: F(μ, s) = E_a[ J(θ + α ∇ log π(a) r(a)) ] with r(a) = −(a − 1.5)² and
/// J(μ, s) = −((μ − 1.5)² + e^{2s}).
#[test]
fn emaml_is_the_derivative_of_the_expected_return_after_adaptation() {
    const RATE: f64 = 0.02;
    let (mean, log_std): (f64, f64) = (0.9, -0.3);
    let paid = |action: f64| -(action - GOAL).powi(2);
    let worth = |mean: f64, log_std: f64| -((mean - GOAL).powi(2) + (2.0 * log_std).exp());
    let adapted = |[mean, log_std]: [f64; 2], action: f64| {
        let z = (action - mean) * (-log_std).exp();
        let step = RATE * paid(action);
        [mean + step * z * (-log_std).exp(), log_std + step * (z * z - 1.0)]
    };
    // Pulls further out adapt to a deviation so small that f32 no longer tells its actions apart.
    let pulls = normal_points(61, 5.0);
    let expectation = |theta: &[f64]| -> f64 {
        let each = pulls.iter().map(|[z, probability]| {
            let [mean, log_std] = adapted([theta[0], theta[1]], theta[0] + theta[1].exp() * z);
            probability * worth(mean, log_std)
        });
        -each.sum::<f64>()
    };
    let expected = differences(expectation, &[mean, log_std], 1e-4);

    let programs = programs();
    let theta = blind(mean, log_std);
    let gradient = |estimator: Estimator| {
        let mut sum = vec![0.0; 2];
        for [z, probability] in &pulls {
            let action = mean + log_std.exp() * z;
            let before = Data::new(&[1], 1, |_, _| [0.0, action as f32, paid(action) as f32]);
            let [to, to_log_std] = adapted([mean, log_std], action);
            let after = Data::new(&vec![1; 61], 1, |pull, _| {
                let [z, probability] = pulls[pull];
                let action = to + to_log_std.exp() * z;
                [0.0, action as f32, (61.0 * probability * paid(action)) as f32]
            });
            let mut work = work(estimator, &[&theta, &blind(to, to_log_std)], &[&before, &after], &programs);
            // Any constant may stand for the other tasks' mean.
            work.credit = (worth(to, to_log_std) + 0.7) as f32;
            work.outer_gradient(&programs, 0, RATE as f32, true).unwrap();
            sum[0] += probability * f64::from(work.out[MEAN]);
            sum[1] += probability * f64::from(work.out[LOG_STD]);
        }
        sum
    };
    near(&gradient(Estimator::Emaml), &expected, 1e-3, "emaml");
    let paper = gradient(Estimator::Maml);
    assert!((paper[0] - expected[0]).abs() > 0.05 * expected[0].abs(), "{paper:?} and {expected:?}");
}

/// c = (R − the others' mean) M / (N σ), by hand: returns 1 + ½·2 = 2 and 4 over 3 steps, deviation 0.5.
#[test]
fn credit_is_what_a_task_gained_over_the_others() {
    let mut batch = Batch::new(2, 2, 1, 1);
    batch.lengths = vec![2, 1];
    batch.rewards = vec![1.0, 2.0, 4.0, 9.0];
    let outcome = Outcome::of(&batch, 0.5, 0.5);
    assert_eq!(outcome, Outcome { value: 3.0, scale: 2.0 / 1.5 });
    let mut tasks: Vec<TaskWork> = [3.0, 5.0, 10.0]
        .map(|value| {
            let mut work = TaskWork::default();
            work.outcome = Outcome { value, scale: 2.0 };
            work
        })
        .into();
    credit(&mut tasks);
    assert_eq!(tasks.iter().map(|work| work.credit).collect::<Vec<f32>>(), [-9.0, -3.0, 12.0]);
    credit(&mut tasks[..1]);
    assert_eq!(tasks[0].credit, 6.0);
}

fn near(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    let largest = expected.iter().fold(0.0, |top: f64, x| top.max(x.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= tolerance * largest, "{what}: {found:?} is not {expected:?}");
    }
}
