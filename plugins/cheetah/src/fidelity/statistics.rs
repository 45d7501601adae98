//! Statistics of ten-second episodes under random actions, the part of the behaviour that chaos leaves comparable.
//!
//! The definitions are those under which MuJoCo 4.0.0 gives the reference values (2,000 episodes: flip share 0.167,
//! median |pitch| 0.101, rms v_x 0.756, worst limit violation 0.20): 200 controls per episode, each drawn uniformly from
//! [-1, 1] and held for 0.05 s; starts as in the gym preset; a *flip* is an episode in which |pitch| exceeds π/2 after
//! any control; the median and the mean run over all steps of all episodes; v_x is the velocity of the torso frame.

use std::f32::consts::FRAC_PI_2;
use std::ops::Range;

use mamlx_plugin::{rng, uniform};
use rapier2d::dynamics::SpringCoefficients;

use crate::model::{ARMATURE, BODY, JOINTS};
use crate::task::Preset;
use crate::view::Coordinates;
use crate::world::{Physics, World};

const STEPS: usize = 200;

#[derive(Default)]
struct Statistics {
    episodes: usize,
    flips: usize,
    pitches: Vec<f32>,
    squared_speeds: f64,
    limit_violation: f32,
    root_speed: f32,
    hinge_rate: f32,
    height: [f32; 2],
    energy: f32,
}

impl Statistics {
    fn episode(&mut self, physics: Physics, seed: u64) {
        let random = &mut rng(seed);
        let mut world = World::new(physics, &Preset::Gym.start(random));
        let mut steepest = 0.0f32;
        for _ in 0..STEPS {
            let controls = std::array::from_fn(|_| uniform(random, -1.0, 1.0));
            world.step(&controls).expect("nothing is quarantined");
            let view = world.view();
            assert!(view.is_finite(), "seed {seed}: {view:?}");
            let Coordinates { position, velocity } = view.coordinates;
            steepest = steepest.max(position[2].abs());
            self.pitches.push(position[2].abs());
            self.squared_speeds += (velocity[0] as f64).powi(2);
            for (angle, joint) in position[3..].iter().zip(&JOINTS) {
                let [low, high] = joint.range;
                self.limit_violation = self.limit_violation.max(low - angle).max(angle - high);
            }
            self.root_speed = self.root_speed.max(velocity[0].hypot(velocity[1]));
            self.hinge_rate = velocity[3..].iter().fold(self.hinge_rate, |top, rate| top.max(rate.abs()));
            self.height = [self.height[0].min(position[1]), self.height[1].max(position[1])];
            self.energy = self.energy.max(energy(&world));
        }
        self.episodes += 1;
        self.flips += usize::from(steepest > FRAC_PI_2);
    }

    fn merge(mut self, other: Self) -> Self {
        self.episodes += other.episodes;
        self.flips += other.flips;
        self.pitches.extend(other.pitches);
        self.squared_speeds += other.squared_speeds;
        self.limit_violation = self.limit_violation.max(other.limit_violation);
        self.root_speed = self.root_speed.max(other.root_speed);
        self.hinge_rate = self.hinge_rate.max(other.hinge_rate);
        self.height = [self.height[0].min(other.height[0]), self.height[1].max(other.height[1])];
        self.energy = self.energy.max(other.energy);
        self
    }

    /// Every bound that does not hold: of MuJoCo's statistics first, then of stability.
    fn complaints(&mut self) -> Vec<String> {
        self.pitches.sort_by(f32::total_cmp);
        let median = self.pitches[self.pitches.len() / 2] as f64;
        let speed = (self.squared_speeds / self.pitches.len() as f64).sqrt();
        let bounds = [
            ("flip share", self.flips as f64 / self.episodes as f64, 0.10..=0.27),
            ("median |pitch|", median, 0.075..=0.11),
            ("rms v_x", speed, 0.70..=0.80),
            ("worst limit violation", self.limit_violation as f64, 0.0..=0.10),
            ("root speed", self.root_speed as f64, 0.0..=12.0),
            ("hinge rate", self.hinge_rate as f64, 0.0..=40.0),
            ("lowest root z", self.height[0] as f64, -0.6..=0.0),
            ("highest root z", self.height[1] as f64, 0.0..=0.5),
            ("energy", self.energy as f64, 0.0..=1500.0),
        ];
        println!("{} episodes: {bounds:.3?}", self.episodes);
        bounds
            .into_iter()
            .filter(|(_, value, range)| !range.contains(value))
            .map(|(name, value, range)| format!("{name} is {value:.3}, not in {range:?}"))
            .collect()
    }
}

/// Kinetic, of the armatures, of the springs, and potential above the floor, in joules.
fn energy(world: &World) -> f32 {
    let links = world.motions();
    let bodies = links.iter().zip(&BODY).map(|(motion, link)| {
        let kinetic = link.mass * motion.velocity.length_squared() + link.inertia * motion.spin * motion.spin;
        0.5 * kinetic + 9.81 * link.mass * motion.pose.translation.y
    });
    let Coordinates { position, velocity } = world.view().coordinates;
    let hinges = JOINTS.iter().enumerate().map(|(i, joint)| {
        0.5 * (ARMATURE * velocity[3 + i].powi(2) + joint.stiffness * position[3 + i].powi(2))
    });
    bodies.chain(hinges).sum()
}

fn random_episodes(physics: Physics, episodes: Range<u64>) -> Statistics {
    let run = |episodes: Range<u64>| {
        let mut statistics = Statistics::default();
        episodes.for_each(|seed| statistics.episode(physics, seed));
        statistics
    };
    let middle = (episodes.start + episodes.end) / 2;
    std::thread::scope(|scope| {
        let first = scope.spawn(|| run(episodes.start..middle));
        let second = run(middle..episodes.end);
        first.join().expect("no step fails").merge(second)
    })
}

/// The physics of every return that this plugin reports, with the gym preset's control period.
fn physics() -> Physics {
    Physics::new(5, crate::SOLVER_ITERATIONS as usize)
}

/// 500 episodes are 100,000 controls.
#[test]
fn the_default_behaves_like_mujoco() {
    assert_eq!(random_episodes(physics(), 0..500).complaints(), [""; 0]);
}

/// One substep of 0.01 s lets a hinge run past its limit before it is stopped.
#[test]
fn one_solver_iteration_does_not_pass() {
    let complaints = random_episodes(Physics { solver_iterations: 1, ..physics() }, 0..60).complaints();
    assert!(complaints.iter().any(|text| text.starts_with("worst limit violation")), "{complaints:?}");
}

/// On a floor that gives like MuJoCo's `solref` (8 Hz, critically damped) the robot flips too rarely.
#[test]
fn soft_contacts_do_not_pass() {
    let contact = SpringCoefficients { natural_frequency: 8.0, damping_ratio: 1.0 };
    let complaints = random_episodes(Physics { contact, ..physics() }, 0..500).complaints();
    assert!(complaints.iter().any(|text| text.starts_with("flip share")), "{complaints:?}");
}
