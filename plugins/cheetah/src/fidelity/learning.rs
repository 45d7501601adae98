//! Can it be learnt? Augmented random search (Mania, Guy and Recht 2018, V2-t: observations whitened, the best
//! directions only) on a linear policy.

use mamlx_plugin::{normal, rng};

use crate::model::HINGES;
use crate::task::Preset;
use crate::world::{Physics, World};

/// The observation without the point in space, which grows without bound.
const INPUTS: usize = 17;
const WEIGHTS: usize = INPUTS * HINGES;
const DIRECTIONS: usize = 16;
const BEST: usize = 8;
const STEP: f32 = 0.03;
const NOISE: f32 = 0.05;

type Weights = [f32; WEIGHTS];
type Inputs = [f64; INPUTS];

/// Count, sum and sum of squares of every input seen.
#[derive(Clone, Default)]
struct Seen(f64, Inputs, Inputs);

impl Seen {
    fn add(&mut self, inputs: &Inputs) {
        self.0 += 1.0;
        for (i, x) in inputs.iter().enumerate() {
            self.1[i] += x;
            self.2[i] += x * x;
        }
    }

    fn whiten(&self, inputs: &Inputs) -> [f32; INPUTS] {
        let n = self.0.max(1.0);
        std::array::from_fn(|i| {
            let mean = self.1[i] / n;
            let deviation = (self.2[i] / n - mean * mean).max(0.0).sqrt();
            if deviation > 1e-3 { ((inputs[i] - mean) / deviation) as f32 } else { inputs[i] as f32 }
        })
    }
}

/// Mean forward speed over an episode of 200 steps of 0.05 s, and the return: speed minus control cost.
fn episode(weights: &Weights, whitener: &Seen, seen: &mut Seen, seed: u64) -> (f32, f32) {
    let physics = Physics::new(5, crate::SOLVER_ITERATIONS as usize);
    let mut world = World::new(physics, &Preset::Gym.start(&mut rng(seed)));
    let (begin, mut cost) = (world.view().coordinates.position[0], 0.0);
    for _ in 0..200 {
        let state = world.view().coordinates;
        let mut inputs = state.position[1..].iter().chain(&state.velocity);
        let inputs: Inputs = std::array::from_fn(|_| inputs.next().map_or(0.0, |&x| x as f64));
        seen.add(&inputs);
        let inputs = whitener.whiten(&inputs);
        let controls: [f32; HINGES] = std::array::from_fn(|i| {
            let row = &weights[i * INPUTS..(i + 1) * INPUTS];
            row.iter().zip(&inputs).map(|(w, x)| w * x).sum::<f32>().clamp(-1.0, 1.0)
        });
        cost += 0.05 * controls.iter().map(|a| a * a).sum::<f32>();
        world.step(&controls).expect("the physics holds");
    }
    let distance = world.view().coordinates.position[0] - begin;
    (distance / 10.0, distance / 0.05 - cost)
}

/// Mean speed of the learnt policy over ten new episodes.
fn search(seed: u64, updates: u64) -> f32 {
    let random = &mut rng(seed);
    let mut weights: Weights = [0.0; WEIGHTS];
    let mut seen = Seen::default();
    for update in 0..updates {
        let whitener = seen.clone();
        let mut trials: Vec<(Weights, f32, f32)> = (0..DIRECTIONS as u64)
            .map(|k| {
                let delta: Weights = std::array::from_fn(|_| normal(random));
                let start = update * DIRECTIONS as u64 + k;
                let mut at = |size: f32| {
                    let moved = std::array::from_fn(|i| weights[i] + size * delta[i]);
                    episode(&moved, &whitener, &mut seen, start).1
                };
                (delta, at(NOISE), at(-NOISE))
            })
            .collect();
        trials.sort_by(|a, b| b.1.max(b.2).total_cmp(&a.1.max(a.2)));
        trials.truncate(BEST);
        let returns: Vec<f32> = trials.iter().flat_map(|(_, plus, minus)| [*plus, *minus]).collect();
        let mean = returns.iter().sum::<f32>() / returns.len() as f32;
        let spread = (returns.iter().map(|r| (r - mean).powi(2)).sum::<f32>() / returns.len() as f32).sqrt();
        for (delta, plus, minus) in &trials {
            let scale = STEP / (BEST as f32 * spread.max(1e-6)) * (plus - minus);
            weights.iter_mut().zip(delta).for_each(|(w, d)| *w += scale * d);
        }
    }
    let test = |k: u64| episode(&weights, &seen, &mut Seen::default(), 1_000_000 + k).0;
    (0..10).map(test).sum::<f32>() / 10.0
}

/// `cargo test --release -p cheetah -- --ignored --nocapture learns`: 20 s on one core.
#[test]
#[ignore = "learning takes a while"]
fn a_linear_policy_learns_to_run() {
    let speeds = [1, 2].map(|seed| search(seed, 15));
    println!("{speeds:?} m/s after {} steps", 15 * DIRECTIONS * 2 * 200);
    assert!(speeds.iter().any(|&speed| speed > 1.5), "{speeds:?} m/s");
}
