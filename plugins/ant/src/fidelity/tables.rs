//! What rapier was given against numbers of the MJCF file, as MuJoCo compiles them.

use rapier3d::math::Vector;

use crate::model::{self, LINKS, link_mass};
use crate::task::Preset;
use crate::view::Coordinates;
use crate::world::World;

#[test]
fn masses_and_moments_are_mujoco_s() {
    let total: f32 = (0..LINKS).map(link_mass).sum();
    assert!((total - 0.91088).abs() < 2e-5, "{total}");
    let (torso, moments) = model::torso();
    assert!((torso - 0.48389).abs() < 2e-5, "{torso}");
    // The sphere's own 0.00818, and four capsules half a segment away.
    let expected = Vector::new(0.011128, 0.011128, 0.013593);
    assert!((moments - expected).abs().max_element() < 2e-5, "{moments}");
    for (capsule, mass, transverse, axial) in
        [(model::segment(), 0.03916, 0.00057, 0.00012), (model::shin(), 0.06759, 0.00267, 0.00021)]
    {
        assert!((capsule.mass - mass).abs() < 1e-5, "{capsule:?}");
        assert!((capsule.transverse - transverse).abs() < 1e-5, "{capsule:?}");
        assert!((capsule.axial - axial).abs() < 1e-5, "{capsule:?}");
    }
}

/// Hips at (±0.2, ±0.2), ankles at (±0.4, ±0.4), straight legs level with the torso's centre.
#[test]
fn the_hinges_are_where_the_model_has_them() {
    let mut start = Coordinates::default();
    start.position[2] = 5.0;
    let motions = World::new(Preset::Rllab.physics(4), &start).motions();
    for (link, motion) in motions.iter().enumerate().skip(1) {
        let hinge = motion.pose * model::anchors(link).1;
        let [x, y] = model::LEGS[(link - 1) / 2].side;
        let along = if link % 2 == 1 { 0.2 } else { 0.4 };
        let expected = Vector::new(along * x, along * y, 5.0);
        assert!((hinge - expected).length() < 1e-5, "link {link}: {hinge} is not {expected}");
    }
}

/// In the paper's start every shin points down and outward: a positive angle does so on the legs at positive x.
#[test]
fn the_starting_ankles_put_the_feet_down() {
    let motions = World::new(Preset::Rllab.physics(4), &Preset::Rllab.pose()).motions();
    for leg in 0..4 {
        let (hip, ankle) = (motions[1 + 2 * leg].pose, motions[2 + 2 * leg].pose);
        let tip = ankle * (0.2 * model::outward(2 + 2 * leg));
        let expected = 0.55 - 0.4 * std::f32::consts::SQRT_2 * 1f32.sin();
        assert!((tip.z - expected).abs() < 1e-4, "leg {leg}: the foot is at {tip}");
        assert!(tip.length() > hip.translation.length(), "leg {leg} points outward");
    }
}
