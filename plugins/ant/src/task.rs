//! The three task families and the two sets of conventions under which the literature runs them.

use mamlx_plugin::{Field, Rng, normal, uniform};

use crate::model::{HINGES, LEGS};
use crate::view::{Coordinates, View};
use crate::world::Physics;

/// What every living step is worth (rllab's `survive_reward`; protocol A.5).
pub const SURVIVAL: f32 = 0.05;

/// The robot lives while its torso's height is in this range (protocol A.5).
pub const HEIGHTS: [f32; 2] = [0.2, 1.0];

/// Cost per step of the squared contact forces, each clipped to ±1 (protocol A.5).
pub const CONTACT_COST: f32 = 0.0005;

/// What the robot is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Run at the speed of the task vector, m/s.
    Velocity,
    /// Run forward (+1) or backward (−1) as fast as possible.
    Direction,
    /// Be at the place of the task vector, m.
    Goal,
}

impl Family {
    /// The reward without costs and survival (protocol A.5; the authors' offsets of 1 and 4 included): 1 − |v − v*|,
    /// d · v, or 4 − (|x − x*| + |y − y*|).
    pub fn reward(self, velocity: f32, place: [f32; 2], task: &[f32; 2]) -> f32 {
        match self {
            Family::Velocity => 1.0 - (velocity - task[0]).abs(),
            Family::Direction => task[0] * velocity,
            Family::Goal => 4.0 - (place[0] - task[0]).abs() - (place[1] - task[1]).abs(),
        }
    }

    /// Entries of the task vector.
    pub fn fields(self, range: [f32; 2], limit: f32) -> Vec<Field> {
        match self {
            Family::Velocity => vec![Field::new("velocity", "m/s").bounds(range[0], range[1])],
            Family::Direction => vec![Field::new("direction", "").bounds(-1.0, 1.0)],
            Family::Goal => {
                ["goal_x", "goal_y"].map(|name| Field::new(name, "m").bounds(-limit, limit)).into()
            }
        }
    }

    /// Draws a task: uniform over the range for a velocity and over the square for a goal, a fair coin for a direction
    /// (protocol A.5; rllab's uniform(0, 3) with threshold 1.5 is the same law).
    pub fn draw(self, rng: &mut Rng, range: [f32; 2], limit: f32, task: &mut [f32]) {
        match self {
            Family::Velocity => task[0] = uniform(rng, range[0], range[1]),
            Family::Direction => task[0] = if uniform(rng, 0.0, 1.0) < 0.5 { -1.0 } else { 1.0 },
            Family::Goal => task.fill_with(|| uniform(rng, -limit, limit)),
        }
    }

    /// Refuses what cannot be a task.
    pub fn check(self, task: &[f32]) -> Result<[f32; 2], String> {
        let (first, second) = (task[0], task.get(1).copied().unwrap_or(0.0));
        match self {
            Family::Direction if first.abs() != 1.0 => {
                Err(format!("the direction is {first}; expected 1 (forward) or -1 (backward)"))
            }
            Family::Velocity if !first.is_finite() => {
                Err(format!("the goal velocity is {first}; expected a finite speed in m/s"))
            }
            Family::Goal if !(first.is_finite() && second.is_finite()) => {
                Err(format!("the goal is at ({first}, {second}); expected finite metres"))
            }
            _ => Ok([first, second]),
        }
    }
}

/// A code base's conventions. Returns under one are not on the scale of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// rllab as in the paper: 0.02 s a step, the speed of the whole robot's centre of mass.
    Rllab,
    /// The later code bases on Gym's model: five steps of 0.01 s, the displacement of the torso.
    Gym,
}

impl Preset {
    /// The clock: rllab's `ant.xml` steps by 0.02 s, Gymnasium's by 0.01 s, five times for each control.
    pub fn physics(self, solver_iterations: usize) -> Physics {
        let (dt_secs, frame_skip) = match self {
            Preset::Rllab => (0.02, 1),
            Preset::Gym => (0.01, 5),
        };
        Physics { dt_secs, frame_skip, solver_iterations, gravity: 9.81 }
    }

    /// The pose that starts vary: the file's `init_qpos` (rllab), or all zeros at the file's height, which puts the
    /// ankles outside their range (Gymnasium ignores `init_qpos`).
    pub fn pose(self) -> Coordinates {
        let mut pose = Coordinates::default();
        match self {
            Preset::Rllab => {
                pose.position[2] = 0.55;
                for (leg, row) in LEGS.iter().enumerate() {
                    pose.position[7 + 2 * leg + 1] = row.ankle_start;
                }
            }
            Preset::Gym => pose.position[2] = 0.75,
        }
        pose
    }

    /// The start of an episode: the pose, plus 0.01·N(0, 1) (rllab) or U(−0.1, 0.1) (gym) on every position, the
    /// quaternion's included, plus 0.1·N(0, 1) on the velocities.
    pub fn start(self, rng: &mut Rng) -> Coordinates {
        let mut start = self.pose();
        for position in &mut start.position {
            *position += match self {
                Preset::Rllab => 0.01 * normal(rng),
                Preset::Gym => uniform(rng, -0.1, 0.1),
            };
        }
        start.velocity.fill_with(|| 0.1 * normal(rng));
        start
    }

    /// The forward velocity that is rewarded, m/s: that of the whole robot's centre of mass after the step (rllab), or
    /// the displacement of the torso over the step (gym).
    pub fn forward_velocity(self, before: &View, after: &View, physics: &Physics) -> f32 {
        match self {
            Preset::Rllab => after.com_velocity[0],
            Preset::Gym => {
                (after.coordinates.position[0] - before.coordinates.position[0]) / physics.control_secs()
            }
        }
    }

    /// Name of the point that ends the paper's observation and that goals are measured from.
    pub fn point_name(self) -> &'static str {
        match self {
            Preset::Rllab => "com",
            Preset::Gym => "torso",
        }
    }

    /// That point: the whole robot's centre of mass, or the torso's centre.
    pub fn point(self, view: &View) -> [f32; 3] {
        match self {
            Preset::Rllab => view.com,
            Preset::Gym => view.coordinates.torso().to_array(),
        }
    }
}

/// Σ a², of controls in [−1, 1].
pub fn effort(controls: &[f32; HINGES]) -> f32 {
    controls.iter().map(|a| a * a).sum()
}
