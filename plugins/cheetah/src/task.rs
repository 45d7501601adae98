//! The two task families and the two sets of conventions under which the literature runs them.

use mamlx_plugin::{Rng, normal, uniform};

use crate::model::DOFS;
use crate::view::{Coordinates, View};
use crate::world::Physics;

/// What the robot is asked to do. The task vector has one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Run at the speed of the task vector, m/s.
    Velocity,
    /// Run forward (+1) or backward (−1) as fast as possible.
    Direction,
}

impl Family {
    /// The reward without the control cost: −|v − goal|, or goal · v (paper, section 5.3; protocol A.5).
    pub fn reward(self, velocity: f32, goal: f32) -> f32 {
        match self {
            Family::Velocity => -(velocity - goal).abs(),
            Family::Direction => goal * velocity,
        }
    }

    /// Draws a task: uniform over [`low`, `high`] for a velocity, a fair coin for a direction (protocol A.5; rllab's
    /// uniform(0, 2) with threshold 1 is the same law).
    pub fn draw(self, rng: &mut Rng, low: f32, high: f32) -> f32 {
        match self {
            Family::Velocity => uniform(rng, low, high),
            Family::Direction if uniform(rng, 0.0, 1.0) < 0.5 => -1.0,
            Family::Direction => 1.0,
        }
    }

    /// Refuses what cannot be a task.
    pub fn check(self, goal: f32) -> Result<(), String> {
        match self {
            Family::Velocity if goal.is_finite() => Ok(()),
            Family::Velocity => Err(format!("the goal velocity is {goal}; expected a finite speed in m/s")),
            Family::Direction if goal.abs() == 1.0 => Ok(()),
            Family::Direction => {
                Err(format!("the direction is {goal}; expected 1 (forward) or -1 (backward)"))
            }
        }
    }
}

/// A code base's conventions. Returns under one are not on the scale of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// rllab as in the paper: 0.01 s a step, the speed of the whole robot's centre of mass.
    Rllab,
    /// The later code bases on Gym's model: 0.05 s a step, the displacement of the torso.
    Gym,
}

impl Preset {
    /// Simulation steps of 0.01 s per control.
    pub fn frame_skip(self) -> u32 {
        match self {
            Preset::Rllab => 1,
            Preset::Gym => 5,
        }
    }

    /// The start of an episode: zero, plus 0.01·N(0, 1) (rllab) or U(−0.1, 0.1) (gym) on the positions, plus
    /// 0.1·N(0, 1) on the velocities.
    pub fn start(self, rng: &mut Rng) -> Coordinates {
        let mut start = Coordinates { position: [0.0; DOFS], velocity: [0.0; DOFS] };
        start.position.fill_with(|| match self {
            Preset::Rllab => 0.01 * normal(rng),
            Preset::Gym => uniform(rng, -0.1, 0.1),
        });
        start.velocity.fill_with(|| 0.1 * normal(rng));
        start
    }

    /// The forward velocity that is rewarded, m/s: that of the whole robot's centre of mass after the step (rllab), or
    /// the displacement of the torso's frame over the step (gym).
    pub fn forward_velocity(self, before: &View, after: &View, physics: &Physics) -> f32 {
        match self {
            Preset::Rllab => after.com_velocity[0],
            Preset::Gym => {
                (after.coordinates.position[0] - before.coordinates.position[0]) / physics.control_secs()
            }
        }
    }

    /// Name of the point whose position ends the observation.
    pub fn point_name(self) -> &'static str {
        match self {
            Preset::Rllab => "com",
            Preset::Gym => "torso",
        }
    }

    /// That point, (x, z) in metres from the floor: the whole robot's centre of mass, or the torso frame's origin.
    pub fn point(self, view: &View) -> [f32; 2] {
        match self {
            Preset::Rllab => view.com,
            Preset::Gym => {
                let [x, z, ..] = view.coordinates.position;
                [x, z + crate::model::TORSO_HEIGHT]
            }
        }
    }
}
