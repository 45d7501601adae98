//! Reading the robot's state out of rapier, in MuJoCo's coordinates.
//!
//! After a step, the velocities that rapier 0.36.1 stores on the bodies of a multibody are one solver substep old;
//! only the generalized velocities are current. Everything here is computed from those and the links' poses.

use rapier3d::prelude::*;

use crate::assembly::HINGE_AXIS;
use crate::model::{COORDINATES, DOFS, LINKS, ROOT_DOFS, anchors, axis, parent};

/// The robot's coordinates in MuJoCo's convention. Metres, radians, seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    /// `qpos`: the torso's x, y, z, its orientation as a quaternion w, x, y, z, then the hinges. `[COORDINATES]`
    pub position: [f32; COORDINATES],
    /// `qvel`: the torso's velocity in the world's frame, its angular velocity in its own, then the hinges. `[DOFS]`
    pub velocity: [f32; DOFS],
}

impl Default for Coordinates {
    /// Upright at the origin with straight legs, at rest.
    fn default() -> Self {
        let mut position = [0.0; COORDINATES];
        position[3] = 1.0;
        Self { position, velocity: [0.0; DOFS] }
    }
}

impl Coordinates {
    /// Where the torso's centre is.
    pub fn torso(&self) -> Vector {
        let [x, y, z, ..] = self.position;
        Vector::new(x, y, z)
    }

    /// How the torso is turned. Starts have noise on the quaternion, which MuJoCo normalises as this does.
    pub fn rotation(&self) -> Rotation {
        let [_, _, _, w, x, y, z, ..] = self.position;
        Rotation::from_xyzw(x, y, z, w).normalize()
    }

    /// Angles of the hinges, in joint order.
    pub fn hinges(&self) -> &[f32] {
        &self.position[ROOT_DOFS + 1..]
    }
}

/// What can be seen of the robot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Generalized coordinates and velocities.
    pub coordinates: Coordinates,
    /// The torso's rotation matrix, row by row.
    pub rotation: [f32; 9],
    /// Centre of mass of the whole robot, metres.
    pub com: [f32; 3],
    /// Velocity of that centre of mass, m/s.
    pub com_velocity: [f32; 3],
}

impl View {
    /// Whether every number is. rapier's own check misses a hinge angle that became NaN.
    pub fn is_finite(&self) -> bool {
        let Coordinates { position, velocity } = &self.coordinates;
        position.iter().chain(velocity).chain(&self.com).chain(&self.com_velocity).all(|x| x.is_finite())
    }
}

/// Where one link is and how it moves.
#[derive(Clone, Copy, Debug)]
pub struct Motion {
    /// The centre of mass and the orientation.
    pub pose: Pose,
    /// rad/s, in the world's frame.
    pub spin: Vector,
    /// Velocity of the centre of mass, m/s.
    pub velocity: Vector,
}

/// What of a link never changes, computed once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Geometry {
    to_hinge: Vector,
    from_hinge: Vector,
    axis: Vector,
    /// Share of the robot's mass.
    share: f32,
}

/// The geometry of every link.
pub fn geometry() -> [Geometry; LINKS] {
    let total: f32 = (0..LINKS).map(crate::model::link_mass).sum();
    std::array::from_fn(|link| {
        let share = crate::model::link_mass(link) / total;
        if link == 0 {
            return Geometry { share, ..Geometry::default() };
        }
        let (to_hinge, from_hinge) = anchors(link);
        Geometry { to_hinge, from_hinge, axis: axis(link), share }
    })
}

impl Geometry {
    /// The hinge's axis in the world, given how the link is turned.
    pub fn axis_in_world(&self, rotation: Rotation) -> Vector {
        rotation * self.axis
    }
}

/// Velocities from the root outwards: a hinge moves with both of its links.
pub fn motions(robot: &Multibody, geometry: &[Geometry; LINKS]) -> [Motion; LINKS] {
    let rates = robot.generalized_velocity();
    let root = Motion {
        pose: *robot.root().local_to_world(),
        velocity: Vector::new(rates[0], rates[1], rates[2]),
        spin: Vector::new(rates[3], rates[4], rates[5]),
    };
    let mut motions = [root; LINKS];
    for (link, body) in robot.links().enumerate().skip(1) {
        let (pose, fixed) = (*body.local_to_world(), &geometry[link]);
        let above = motions[parent(link)];
        let spin = above.spin + rates[ROOT_DOFS + link - 1] * fixed.axis_in_world(pose.rotation);
        let hinge = above.velocity + above.spin.cross(above.pose.rotation * fixed.to_hinge);
        let velocity = hinge - spin.cross(pose.rotation * fixed.from_hinge);
        motions[link] = Motion { pose, spin, velocity };
    }
    motions
}

/// The whole state in MuJoCo's convention.
pub fn view(robot: &Multibody, geometry: &[Geometry; LINKS]) -> View {
    let motions = motions(robot, geometry);
    let (mut com, mut com_velocity) = (Vector::ZERO, Vector::ZERO);
    for (fixed, motion) in geometry.iter().zip(&motions) {
        com += fixed.share * motion.pose.translation;
        com_velocity += fixed.share * motion.velocity;
    }
    let torso = &motions[0];
    let turned = torso.pose.rotation;
    let mut coordinates = Coordinates::default();
    let Coordinates { position, velocity } = &mut coordinates;
    position[..3].copy_from_slice(&torso.pose.translation.to_array());
    position[3..7].copy_from_slice(&[turned.w, turned.x, turned.y, turned.z]);
    velocity[..3].copy_from_slice(&torso.velocity.to_array());
    velocity[3..6].copy_from_slice(&(turned.inverse() * torso.spin).to_array());
    let rates = robot.generalized_velocity();
    for (link, body) in robot.links().enumerate().skip(1) {
        position[ROOT_DOFS + link] = body.joint().coords()[HINGE_AXIS];
        velocity[ROOT_DOFS + link - 1] = rates[ROOT_DOFS + link - 1];
    }
    let columns = [Vector::X, Vector::Y, Vector::Z].map(|axis| (turned * axis).to_array());
    let rotation = std::array::from_fn(|k| columns[k % 3][k / 3]);
    View { coordinates, rotation, com: com.to_array(), com_velocity: com_velocity.to_array() }
}
