//! What the floor exerts on the robot, as MuJoCo's `cfrc_ext` has it.

use rapier3d::prelude::*;
use rapier3d::utils::OrthonormalBasis;

use crate::assembly::MJCF_BODIES;

/// Numbers of the whole block: torque and force for every body of the MJCF file.
pub const CONTACT_NUMBERS: usize = 6 * MJCF_BODIES;

/// Torque about the robot's centre of mass and force on each body in the last simulation step, `[CONTACT_NUMBERS]`, N·m
/// and N. The world's row stays zero, as in MuJoCo. `shapes` are the robot's, each with its body's row.
pub fn contact_forces(
    narrow_phase: &NarrowPhase,
    colliders: &ColliderSet,
    shapes: &[(ColliderHandle, usize)],
    com: Vector,
    dt_secs: f32,
) -> [f32; CONTACT_NUMBERS] {
    let mut rows = [0.0; CONTACT_NUMBERS];
    for &(shape, row) in shapes {
        for pair in narrow_phase.contact_pairs_with(shape) {
            let first = pair.collider1 == shape;
            let place = colliders[shape].position();
            for manifold in pair.manifolds() {
                // The directions of rapier's solver, which pushes the first body against the normal.
                let push = -manifold.data.normal;
                let along = push.orthonormal_vector();
                let across = push.cross(along);
                for point in &manifold.points {
                    let friction = point.data.tangent_impulse;
                    let impulse = point.data.impulse * push + friction.x * along + friction.y * across;
                    let force = if first { impulse } else { -impulse } / dt_secs;
                    let local = if first { point.local_p1 } else { point.local_p2 };
                    let at = *place * local;
                    let torque = (at - com).cross(force);
                    let numbers = torque.to_array().into_iter().chain(force.to_array());
                    rows[6 * row..].iter_mut().zip(numbers).for_each(|(sum, x)| *sum += x);
                }
            }
        }
    }
    rows
}
