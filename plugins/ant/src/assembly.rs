//! Putting the model's tables into rapier.
//!
//! rapier 0.36.1 integrates a free multibody root wrongly when its local centre of mass is not zero, so the origin of
//! every link is put at its centre of mass. The torso's is there by symmetry.

use rapier3d::prelude::*;

use crate::model::{
    self, ARMATURE, CAPSULE_RADIUS, DAMPING, DOFS, FRICTION, HINGES, LEGS, LINKS, ROOT_DOFS, SEGMENT,
    TORSO_RADIUS, anchors, axis, half_along, outward, parent,
};
use crate::view::Coordinates;

/// Index of rapier's rotation about a hinge's axis among its six spatial coordinates.
pub const HINGE_AXIS: usize = 3;

/// Bodies of the MJCF file: the world, the torso, and of each leg the welded part, the hip and the ankle.
pub const MJCF_BODIES: usize = 2 + 3 * LEGS.len();

fn mass_properties(link: usize) -> MassProperties {
    if link == 0 {
        let (mass, moments) = model::torso();
        return MassProperties::new(Vector::ZERO, mass, moments);
    }
    let capsule = if link % 2 == 1 { model::segment() } else { model::shin() };
    // The principal frame has its x along the capsule.
    let along = Rotation::from_rotation_arc(Vector::X, outward(link) * std::f32::consts::FRAC_1_SQRT_2);
    let moments = AngVector::new(capsule.axial, capsule.transverse, capsule.transverse);
    MassProperties::with_principal_inertia_frame(Vector::ZERO, capsule.mass, moments, along)
}

/// Bodies and hinges. The torso is placed here; hinge angles are generalized coordinates and come later.
pub fn insert_links(
    bodies: &mut RigidBodySet,
    joints: &mut MultibodyJointSet,
    start: &Coordinates,
) -> [RigidBodyHandle; LINKS] {
    let torso = Pose::from_parts(start.torso(), start.rotation());
    let links = std::array::from_fn(|link| {
        let body = RigidBodyBuilder::dynamic()
            .pose(torso)
            .additional_mass_properties(mass_properties(link))
            .can_sleep(false);
        bodies.insert(body.build())
    });
    for link in 1..LINKS {
        let (to_hinge, from_hinge) = anchors(link);
        let hinge = RevoluteJointBuilder::new(axis(link))
            .local_anchor1(to_hinge)
            .local_anchor2(from_hinge)
            .limits(model::range(link - 1))
            .contacts_enabled(false);
        joints.insert(links[parent(link)], links[link], hinge, false).expect("the links form a tree");
    }
    links
}

/// Dampers, armatures, and the starting angles and rates.
pub fn configure(robot: &mut Multibody, start: &Coordinates) {
    robot.set_self_contacts_enabled(false);
    // rapier damps every angle by 0.1 unless told otherwise, the free root's included.
    robot.damping_mut().fill(0.0);
    robot.armature_mut().fill(0.0);
    let mut displacement = [0.0; DOFS];
    for hinge in 0..HINGES {
        robot.damping_mut()[ROOT_DOFS + hinge] = DAMPING;
        robot.armature_mut()[ROOT_DOFS + hinge] = ARMATURE;
        displacement[ROOT_DOFS + hinge] = start.hinges()[hinge];
    }
    robot.apply_displacements(&displacement);
    // MuJoCo's free joint turns in the body's frame, rapier's in the world's.
    let mut rates = start.velocity;
    let [x, y, z] = [rates[3], rates[4], rates[5]];
    rates[3..ROOT_DOFS].copy_from_slice(&(start.rotation() * Vector::new(x, y, z)).to_array());
    robot.generalized_velocity_mut().copy_from_slice(&rates);
}

/// The floor and the robot's shapes, which touch nothing but the floor (MJCF `conaffinity` 0). The handles are those of
/// the robot's, each with its body's row in the MJCF file. Masses are on the links, so the shapes have no density.
pub fn insert_shapes(
    bodies: &mut RigidBodySet,
    links: &[RigidBodyHandle; LINKS],
) -> (ColliderSet, Vec<(ColliderHandle, usize)>) {
    let robot = InteractionGroups::new(Group::GROUP_1, Group::GROUP_2, InteractionTestMode::And);
    let floor = InteractionGroups::new(Group::GROUP_2, Group::GROUP_1, InteractionTestMode::And);
    let mut colliders = ColliderSet::with_capacity(MJCF_BODIES);
    colliders.insert(
        ColliderBuilder::new(SharedShape::halfspace(Vector::Z))
            .friction(FRICTION)
            .friction_combine_rule(CoefficientCombineRule::Max)
            .collision_groups(floor),
    );
    let mut rows = Vec::with_capacity(MJCF_BODIES - 1);
    let mut insert = |shape: ColliderBuilder, link: usize, row: usize| {
        let shape = shape
            .density(0.0)
            .friction(FRICTION)
            .friction_combine_rule(CoefficientCombineRule::Max)
            .collision_groups(robot);
        rows.push((colliders.insert_with_parent(shape, links[link], bodies), row));
    };
    insert(ColliderBuilder::ball(TORSO_RADIUS), 0, 1);
    for leg in 0..LEGS.len() {
        let (hip, ankle) = (1 + 2 * leg, 2 + 2 * leg);
        let welded =
            ColliderBuilder::capsule_from_endpoints(Vector::ZERO, SEGMENT * outward(hip), CAPSULE_RADIUS);
        insert(welded, 0, 2 + 3 * leg);
        for (link, row) in [(hip, 3 + 3 * leg), (ankle, 4 + 3 * leg)] {
            let end = half_along(link) * outward(link);
            insert(ColliderBuilder::capsule_from_endpoints(-end, end, CAPSULE_RADIUS), link, row);
        }
    }
    (colliders, rows)
}
