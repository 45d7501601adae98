//! Single motions whose outcome is known.

use rapier3d::math::Vector;

use crate::model::{ACTUATORS, DOFS, HINGES, LINKS, ROOT_DOFS, link_mass, range};
use crate::task::Preset;
use crate::view::Coordinates;
use crate::world::{Physics, World};

/// The default physics with controls every 0.02 s.
fn physics() -> Physics {
    Preset::Rllab.physics(crate::SOLVER_ITERATIONS as usize)
}

fn weightless() -> Physics {
    Physics { gravity: 0.0, ..physics() }
}

/// The paper's pose high above the floor, turned, with some velocities.
fn flying() -> Coordinates {
    let mut start = Preset::Rllab.pose();
    start.position[2] = 5.0;
    start.position[3..7].copy_from_slice(&[0.9, 0.2, -0.3, 0.25]);
    start.velocity[..ROOT_DOFS].copy_from_slice(&[0.5, -0.3, 0.1, 1.0, -2.0, 1.5]);
    start
}

/// A world starts with exactly the coordinates that it was given, the quaternion normalised.
#[test]
fn what_goes_in_comes_out() {
    let mut start = flying();
    (0..DOFS).for_each(|i| start.velocity[i] = 0.3 * i as f32 - 2.0);
    (0..HINGES).for_each(|i| start.position[7 + i] = 0.3 - 0.07 * i as f32);
    let view = World::new(physics(), &start).view().coordinates;
    let length = start.position[3..7].iter().map(|x| x * x).sum::<f32>().sqrt();
    start.position[3..7].iter_mut().for_each(|x| *x /= length);
    for (seen, given) in view.position.iter().zip(&start.position) {
        assert!((seen - given).abs() < 1e-6, "{view:?}");
    }
    for (seen, given) in view.velocity.iter().zip(&start.velocity) {
        assert!((seen - given).abs() < 1e-5, "{view:?}");
    }
}

/// The rates that are shown are those by which the coordinates change; the quaternion's follow q̇ = ½ q ω with ω in the
/// torso's own frame, which is MuJoCo's convention.
#[test]
fn positions_follow_velocities() {
    let mut start = flying();
    start.velocity[7] = -2.0;
    let mut world = World::new(Physics { dt_secs: 1e-3, ..weightless() }, &start);
    for _ in 0..100 {
        let before = world.view();
        world.step(&[0.1; HINGES]).unwrap();
        let after = world.view();
        let (old, new) = (&before.coordinates, &after.coordinates);
        let rate = |i: usize| (new.position[i] - old.position[i]) / 1e-3;
        let mean = |i: usize| (new.velocity[i] + old.velocity[i]) / 2.0;
        for axis in 0..3 {
            assert!(
                (rate(axis) - mean(axis)).abs() < 0.05,
                "axis {axis}: {} is not {}",
                rate(axis),
                mean(axis)
            );
            let com = (after.com[axis] - before.com[axis]) / 1e-3;
            assert!((com - after.com_velocity[axis]).abs() < 0.02, "centre of mass: {before:?} {after:?}");
        }
        for hinge in 0..HINGES {
            let (angle, spin) = (rate(7 + hinge), mean(ROOT_DOFS + hinge));
            assert!((angle - spin).abs() < 0.1, "hinge {hinge}: {angle} is not {spin}");
        }
        let q = old.rotation();
        let [x, y, z] = [mean(3), mean(4), mean(5)];
        let expected = [
            -0.5 * (q.x * x + q.y * y + q.z * z),
            0.5 * (q.w * x + q.y * z - q.z * y),
            0.5 * (q.w * y + q.z * x - q.x * z),
            0.5 * (q.w * z + q.x * y - q.y * x),
        ];
        for (part, expected) in expected.into_iter().enumerate() {
            assert!(
                (rate(3 + part) - expected).abs() < 0.02,
                "quaternion {part}: {} is not {expected}",
                rate(3 + part)
            );
        }
    }
}

/// With the root's origin off its centre of mass, rapier 0.36.1 would carry the robot the wrong way.
#[test]
fn a_spinning_robot_flies_straight() {
    let mut world = World::new(weightless(), &flying());
    let before = world.view();
    for _ in 0..50 {
        world.step(&[0.0; HINGES]).unwrap();
    }
    let moved = Vector::from(world.view().com) - Vector::from(before.com);
    let expected = Vector::from(before.com_velocity);
    assert!((moved - expected).length() < 0.02 * expected.length(), "{moved} is not {expected}");
}

/// Torques between links are the robot's own: they do not move its centre of mass. What does is the error of the
/// integrator, which a shorter step takes away.
#[test]
fn motors_push_on_nothing_outside_the_robot() {
    let speed = |dt_secs: f32| {
        let mut start = Preset::Rllab.pose();
        start.position[2] = 5.0;
        let mut world = World::new(Physics { dt_secs, ..weightless() }, &start);
        let per_half = (0.2 / dt_secs).round() as usize;
        for step in 0..5 * per_half {
            let control = if (step / per_half).is_multiple_of(2) { 0.3 } else { -0.3 };
            world.step(&[control; HINGES]).unwrap();
        }
        Vector::from(world.view().com_velocity).length()
    };
    let (coarse, fine) = (speed(0.02), speed(0.002));
    assert!(coarse < 0.12 && fine < coarse / 5.0, "{coarse} m/s, and {fine} m/s with a tenth of the step");
}

/// Full control of one motor for one step of 0.02 s in zero gravity. Armature 1, damping 1 and the links' own small
/// inertia I leave 150 · 0.02 / (1 + I + 0.02) = 2.9 rad/s on that hinge, and the sign is the control's.
#[test]
fn every_actuator_turns_its_own_hinge_forward() {
    for (actuator, &hinge) in ACTUATORS.iter().enumerate() {
        for sign in [1.0, -1.0] {
            let mut start = Preset::Rllab.pose();
            start.position[2] = 5.0;
            // Away from the limits, so that none of them is felt.
            for k in 0..HINGES {
                let [low, high] = range(k);
                start.position[7 + k] = (low + high) / 2.0;
            }
            let mut world = World::new(weightless(), &start);
            let mut controls = [0.0; HINGES];
            controls[actuator] = sign;
            world.step(&controls).unwrap();
            let rates = world.view().coordinates.velocity;
            let (own, others) = (rates[ROOT_DOFS + hinge] * sign, &rates[ROOT_DOFS..]);
            assert!((2.75..=2.95).contains(&own), "actuator {actuator}: {own} rad/s");
            for (k, other) in others.iter().enumerate() {
                assert!(
                    k == hinge || other.abs() < 0.15,
                    "actuator {actuator} turns hinge {k}: {other} rad/s"
                );
            }
        }
    }
}

/// MuJoCo and the prototype rest at 0.55 m on ankles of 0.97 to 0.99 rad.
#[test]
fn without_control_it_rests_on_its_feet() {
    let mut world = World::new(physics(), &Preset::Rllab.pose());
    for _ in 0..250 {
        world.step(&[0.0; HINGES]).unwrap();
    }
    let view = world.view();
    let Coordinates { position, velocity } = view.coordinates;
    assert!((0.5..=0.6).contains(&position[2]), "height {}", position[2]);
    for leg in 0..4 {
        let ankle = position[8 + 2 * leg].abs();
        assert!((0.95..=1.05).contains(&ankle), "ankle {leg} at {ankle} rad");
        assert!(position[7 + 2 * leg].abs() < 0.05, "hip {leg} at {} rad", position[7 + 2 * leg]);
    }
    assert!(position[3] > 0.999, "tilted: {position:?}");
    assert!(velocity.iter().all(|v| v.abs() < 0.02), "{velocity:?}");
}

/// Newton's second law for the whole robot: what the floor exerts is mass times the acceleration of the centre of mass
/// plus weight. It checks sides, friction directions and time step of the contact forces at once.
#[test]
fn the_floor_s_forces_are_those_that_move_the_robot() {
    let mass: f32 = (0..LINKS).map(link_mass).sum();
    let mut world = World::new(physics(), &Preset::Rllab.pose());
    let (mut sum, mut weight) = (Vector::ZERO, 0.0);
    let begin = world.view();
    let mut random = mamlx_plugin::rng(3);
    for _ in 0..200 {
        let before = world.view();
        let controls = std::array::from_fn(|_| mamlx_plugin::uniform(&mut random, -0.3, 0.3));
        world.step(&controls).unwrap();
        let after = world.view();
        let rows = world.contact_forces(after.com);
        let force: Vector = rows.chunks(6).map(|row| Vector::new(row[3], row[4], row[5])).sum();
        let impulse = mass * (Vector::from(after.com_velocity) - Vector::from(before.com_velocity));
        let expected = impulse / 0.02 + mass * 9.81 * Vector::Z;
        // Within a step the two differ by the integrator's own error, which is a few hundredths of the weight.
        assert!((force - expected).length() < 0.1 * mass * 9.81, "{force} is not {expected}");
        sum += force * 0.02;
        weight += mass * 9.81 * 0.02;
    }
    let gained = mass * (Vector::from(world.view().com_velocity) - Vector::from(begin.com_velocity));
    assert!((sum - gained - weight * Vector::Z).length() < 0.02 * weight, "{sum}");
}
