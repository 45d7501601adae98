//! Putting the model's tables into rapier.
//!
//! rapier 0.36.1 integrates a free multibody root wrongly when its local centre of mass is not zero, so the origin of
//! every link is put at its centre of mass, and the hinges and capsules are moved by as much.

use rapier2d::prelude::*;

use crate::model::{ARMATURE, BODY, CAPSULE_RADIUS, FRICTION, JOINTS, LINKS, SHAPES, TORSO_HEIGHT};
use crate::view::Coordinates;
use crate::world::Physics;

/// Index of the angle among rapier2d's three spatial axes, and of the pitch among the coordinates: the coordinate of
/// the hinge of link i is `ANGLE_AXIS + i`.
pub const ANGLE_AXIS: usize = 2;

/// ω × r in the plane.
pub fn cross(spin: f32, lever: Vector) -> Vector {
    Vector::new(-spin * lever.y, spin * lever.x)
}

/// The hinge of link `i` as seen from the centres of mass of its parent and of itself. Not for the torso.
pub fn anchors(i: usize) -> (Vector, Vector) {
    let link = &BODY[i];
    (Vector::from(link.hinge) - Vector::from(BODY[link.parent].com), -Vector::from(link.com))
}

/// Bodies and hinges. The torso is placed here; hinge angles are generalized coordinates and come later.
pub fn insert_links(
    bodies: &mut RigidBodySet,
    joints: &mut MultibodyJointSet,
    start: &Coordinates,
) -> [RigidBodyHandle; LINKS] {
    let [x, z, pitch, ..] = start.position;
    let lever = Rotation::new(-pitch) * Vector::from(BODY[0].com);
    let torso = Pose::new(Vector::new(x, z + TORSO_HEIGHT) + lever, -pitch);
    let links = BODY.map(|link| {
        let mass = MassProperties::new(Vector::ZERO, link.mass, link.inertia);
        bodies.insert(
            RigidBodyBuilder::dynamic().pose(torso).additional_mass_properties(mass).can_sleep(false).build(),
        )
    });
    for (i, joint) in JOINTS.iter().enumerate() {
        let (to_hinge, from_hinge) = anchors(i + 1);
        let [low, high] = joint.range;
        let hinge = RevoluteJointBuilder::new()
            .local_anchor1(to_hinge)
            .local_anchor2(from_hinge)
            .limits([-high, -low])
            .contacts_enabled(false);
        let parent = links[BODY[i + 1].parent];
        joints.insert(parent, links[i + 1], hinge, false).expect("the links form a tree");
    }
    links
}

/// Springs, dampers, armature, and the starting angles and rates.
///
/// MuJoCo's Euler step takes the spring at the old angle q and the damper at the new rate v⁺: the force is
/// −k·q − d·v⁺. rapier takes the spring at the new angle too, −k·(q + h·v⁺) − d·v⁺ with the substep h, which is the same
/// thing with k·h added to the damper: a fifth of it at the MJCF values and two substeps. The damper here is less by
/// k·h, so rapier's step is MuJoCo's. d = k/40 s in every hinge, so this stays positive up to h = 0.025 s.
pub fn configure(robot: &mut Multibody, physics: &Physics, start: &Coordinates) {
    robot.set_self_contacts_enabled(false);
    // rapier damps every angle by 0.1 unless told otherwise, the free root's included.
    robot.damping_mut().fill(0.0);
    robot.armature_mut().fill(0.0);
    let substep_secs = physics.dt_secs / physics.solver_iterations as f32;
    for (i, joint) in JOINTS.iter().enumerate() {
        robot.damping_mut()[ANGLE_AXIS + 1 + i] = joint.damping - joint.stiffness * substep_secs;
        robot.armature_mut()[ANGLE_AXIS + 1 + i] = ARMATURE;
        let link = robot.link_mut(i + 1).expect("a link for every hinge");
        link.joint.set_spring(ANGLE_AXIS, joint.stiffness, 0.0);
    }
    // rapier reads the root's position from the torso's pose, but goes on from the root's own angle: it is displaced
    // together with the hinges.
    let mut displacement = start.position.map(|angle| -angle);
    displacement[..ANGLE_AXIS].fill(0.0);
    robot.apply_displacements(&displacement);

    let lever = Rotation::new(-start.position[ANGLE_AXIS]) * Vector::from(BODY[0].com);
    let mut rates = start.velocity.map(|rate| -rate);
    let torso = Vector::new(start.velocity[0], start.velocity[1]) + cross(rates[ANGLE_AXIS], lever);
    [rates[0], rates[1]] = torso.into();
    robot.generalized_velocity_mut().copy_from_slice(&rates);
}

/// The floor and the capsules. The robot touches nothing but the floor (MJCF `conaffinity` 0). Its shapes have no
/// density, because rapier2d would give them the masses of areas.
pub fn insert_shapes(bodies: &mut RigidBodySet, links: &[RigidBodyHandle; LINKS]) -> ColliderSet {
    let robot = InteractionGroups::new(Group::GROUP_1, Group::GROUP_2, InteractionTestMode::And);
    let floor = InteractionGroups::new(Group::GROUP_2, Group::GROUP_1, InteractionTestMode::And);
    let mut colliders = ColliderSet::with_capacity(SHAPES.len() + 1);
    colliders.insert(
        ColliderBuilder::new(SharedShape::halfspace(Vector::Y))
            .friction(FRICTION)
            .friction_combine_rule(CoefficientCombineRule::Max)
            .collision_groups(floor),
    );
    for shape in SHAPES {
        let com = Vector::from(BODY[shape.link].com);
        let (a, b) = (Vector::from(shape.a) - com, Vector::from(shape.b) - com);
        let capsule = ColliderBuilder::capsule_from_endpoints(a, b, CAPSULE_RADIUS)
            .density(0.0)
            .friction(FRICTION)
            .friction_combine_rule(CoefficientCombineRule::Max)
            .collision_groups(robot);
        colliders.insert_with_parent(capsule, links[shape.link], bodies);
    }
    colliders
}
