//! Random actions must neither break the robot nor throw it about.

use std::ops::Range;

use mamlx_plugin::{rng, uniform};

use crate::model::{HINGES, range};
use crate::task::{HEIGHTS, Preset};
use crate::world::World;

const STEPS: usize = 200;

/// Extremes over all steps of all episodes.
#[derive(Debug)]
struct Extremes {
    steps: usize,
    outside: usize,
    root_speed: f32,
    spin: f32,
    hinge_rate: f32,
    limit_violation: f32,
    heights: [f32; 2],
}

impl Extremes {
    fn episode(&mut self, preset: Preset, iterations: usize, seed: u64) {
        let random = &mut rng(seed);
        let mut world = World::new(preset.physics(iterations), &preset.start(random));
        for step in 0..STEPS {
            let controls = std::array::from_fn(|_| uniform(random, -1.0, 1.0));
            world.step(&controls).expect("nothing is quarantined");
            let view = world.view();
            assert!(view.is_finite(), "seed {seed}: {view:?}");
            let (position, velocity) = (view.coordinates.position, view.coordinates.velocity);
            self.steps += 1;
            self.outside += usize::from(!(HEIGHTS[0]..=HEIGHTS[1]).contains(&position[2]));
            let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
            self.root_speed = self.root_speed.max(length(&velocity[..3]));
            self.spin = self.spin.max(length(&velocity[3..6]));
            self.hinge_rate = velocity[6..].iter().fold(self.hinge_rate, |top, rate| top.max(rate.abs()));
            for hinge in 0..HINGES {
                let ([low, high], angle) = (range(hinge), position[7 + hinge]);
                // The gym preset starts outside the ankles' range; a few steps bring them in.
                if step >= 5 {
                    self.limit_violation = self.limit_violation.max(low - angle).max(angle - high);
                }
            }
            self.heights = [self.heights[0].min(position[2]), self.heights[1].max(position[2])];
            let quaternion = length(&position[3..7]);
            assert!((quaternion - 1.0).abs() < 1e-3, "seed {seed}: a quaternion of length {quaternion}");
        }
    }

    /// Every bound that does not hold. The reference's own random steps reached 5.1 m/s, 10 rad/s of spin, 16 rad/s in a
    /// hinge and 0.05 rad beyond a limit at four substeps; the bounds leave room for rarer events.
    fn complaints(&self) -> Vec<String> {
        let bounds = [
            ("root speed", self.root_speed, 8.0),
            ("spin", self.spin, 20.0),
            ("hinge rate", self.hinge_rate, 30.0),
            ("limit violation", self.limit_violation, 0.10),
            ("share of steps outside the heights", self.outside as f32 / self.steps as f32, 0.10),
            ("highest", self.heights[1], 3.0),
            ("lowest, below the floor", -self.heights[0], 0.0),
        ];
        println!("{self:.3?}");
        bounds
            .into_iter()
            .filter(|(_, value, bound)| value > bound)
            .map(|(name, value, bound)| format!("{name} is {value:.3}, above {bound}"))
            .collect()
    }
}

fn random_episodes(preset: Preset, iterations: usize, episodes: Range<u64>) -> Extremes {
    let mut extremes = Extremes {
        steps: 0,
        outside: 0,
        root_speed: 0.0,
        spin: 0.0,
        hinge_rate: 0.0,
        limit_violation: 0.0,
        heights: [f32::INFINITY, 0.0],
    };
    episodes.for_each(|seed| extremes.episode(preset, iterations, seed));
    extremes
}

#[test]
fn random_actions_keep_within_bounds() {
    let iterations = crate::SOLVER_ITERATIONS as usize;
    for (preset, episodes) in [(Preset::Rllab, 20), (Preset::Gym, 5)] {
        assert_eq!(random_episodes(preset, iterations, 0..episodes).complaints(), [""; 0], "{preset:?}");
    }
}

/// `cargo test --release -p ant -- --ignored --nocapture hundred_thousand`: half a minute on one core.
#[test]
#[ignore = "100,000 steps of each preset"]
fn a_hundred_thousand_random_steps_keep_within_bounds() {
    let iterations = crate::SOLVER_ITERATIONS as usize;
    for preset in [Preset::Rllab, Preset::Gym] {
        assert_eq!(random_episodes(preset, iterations, 0..500).complaints(), [""; 0], "{preset:?}");
    }
}

/// Root mean square over all coordinates of the difference to sixteen times as many substeps, after 12 steps (0.24 s)
/// of the same random actions from the same starts.
fn distance_from_converged(iterations: usize, episodes: u64) -> f32 {
    let (mut sum, mut count) = (0.0, 0);
    for seed in 0..episodes {
        let state = |iterations: usize| {
            let random = &mut rng(seed);
            let mut world = World::new(Preset::Rllab.physics(iterations), &Preset::Rllab.start(random));
            for _ in 0..12 {
                let controls = std::array::from_fn(|_| uniform(random, -1.0, 1.0));
                world.step(&controls).expect("nothing is quarantined");
            }
            world.view().coordinates.position
        };
        let (ours, converged) = (state(iterations), state(64));
        for (a, b) in ours.iter().zip(&converged) {
            sum += (a - b) * (a - b);
            count += 1;
        }
    }
    (sum / count as f32).sqrt()
}

/// `cargo test --release -p ant -- --ignored --nocapture substeps` prints what each number of substeps costs in fidelity.
#[test]
#[ignore = "a measurement"]
fn substeps() {
    for iterations in [1, 2, 3, 4, 6, 8] {
        let distance = distance_from_converged(iterations, 100);
        let complaints = random_episodes(Preset::Rllab, iterations, 0..100).complaints();
        println!("{iterations} substeps: {distance:.4} from converged; {complaints:?}");
    }
}
