//! Reading the robot's state out of rapier, in MuJoCo's coordinates.
//!
//! After a step, the velocities that rapier 0.36.1 stores on the bodies of a multibody are one solver substep old;
//! only the generalized velocities are current. Everything here is computed from those and the links' poses.

use rapier2d::prelude::*;

use crate::assembly::{ANGLE_AXIS, anchors, cross};
use crate::model::{BODY, DOFS, LINKS, TORSO_HEIGHT, TOTAL_MASS};

/// The robot's coordinates in MuJoCo's convention: x and z of the torso frame's origin (z relative to
/// [`TORSO_HEIGHT`]), pitch, then the six hinge angles; and their rates. Metres, radians, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coordinates {
    /// `qpos`, `[DOFS]`.
    pub position: [f32; DOFS],
    /// `qvel`, `[DOFS]`.
    pub velocity: [f32; DOFS],
}

/// What can be seen of the robot: its coordinates, and the motion of its centre of mass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Generalized coordinates and velocities.
    pub coordinates: Coordinates,
    /// Centre of mass of the whole robot, (x, z) in metres, z from the floor.
    pub com: [f32; 2],
    /// Velocity of that centre of mass, m/s.
    pub com_velocity: [f32; 2],
}

impl View {
    /// Whether every number is. rapier's own check misses a hinge angle that became NaN.
    pub fn is_finite(&self) -> bool {
        let Coordinates { position, velocity } = &self.coordinates;
        position.iter().chain(velocity).chain(&self.com).chain(&self.com_velocity).all(|x| x.is_finite())
    }
}

/// Where one link is and how it moves, in rapier's convention (angles anticlockwise).
#[derive(Clone, Copy, Debug)]
pub struct Motion {
    /// The centre of mass and the orientation.
    pub pose: Pose,
    /// rad/s.
    pub spin: f32,
    /// Velocity of the centre of mass, m/s.
    pub velocity: Vector,
}

/// Velocities from the root outwards: a hinge moves with both of its links.
pub fn motions(robot: &Multibody) -> [Motion; LINKS] {
    let rates = robot.generalized_velocity();
    let root = Motion {
        pose: *robot.root().local_to_world(),
        spin: rates[ANGLE_AXIS],
        velocity: Vector::new(rates[0], rates[1]),
    };
    let mut motions = [root; LINKS];
    for (i, link) in robot.links().enumerate().skip(1) {
        let pose = *link.local_to_world();
        let parent = motions[BODY[i].parent];
        let spin = parent.spin + rates[ANGLE_AXIS + i];
        let (to_hinge, from_hinge) = anchors(i);
        let hinge = parent.velocity + cross(parent.spin, parent.pose.rotation * to_hinge);
        motions[i] = Motion { pose, spin, velocity: hinge - cross(spin, pose.rotation * from_hinge) };
    }
    motions
}

/// The whole state in MuJoCo's convention.
pub fn view(robot: &Multibody) -> View {
    let motions = motions(robot);
    let mut com = Vector::ZERO;
    let mut com_velocity = Vector::ZERO;
    for (link, motion) in BODY.iter().zip(&motions) {
        com += link.mass * motion.pose.translation;
        com_velocity += link.mass * motion.velocity;
    }
    com /= TOTAL_MASS;
    com_velocity /= TOTAL_MASS;

    let torso = &motions[0];
    let lever = torso.pose.rotation * Vector::from(BODY[0].com);
    let origin = torso.pose.translation - lever;
    let origin_velocity = torso.velocity - cross(torso.spin, lever);
    let rates = robot.generalized_velocity();
    let mut coordinates = Coordinates::default();
    let Coordinates { position, velocity } = &mut coordinates;
    [position[0], position[1]] = [origin.x, origin.y - TORSO_HEIGHT];
    [velocity[0], velocity[1]] = origin_velocity.into();
    for (i, link) in robot.links().enumerate() {
        position[ANGLE_AXIS + i] = -link.joint().coords()[ANGLE_AXIS];
        velocity[ANGLE_AXIS + i] = -rates[ANGLE_AXIS + i];
    }
    View { coordinates, com: com.into(), com_velocity: com_velocity.into() }
}
