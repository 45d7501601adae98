//! What rapier was given against numbers of the MJCF file that the tables do not hold.

use rapier2d::math::Vector;

use crate::model::{BODY, LINKS, SHAPES, TOTAL_MASS};
use crate::view::Coordinates;
use crate::world::{Physics, World};

#[test]
fn it_weighs_14_kg_and_balances_where_mujoco_s_does() {
    assert!((TOTAL_MASS - 14.0).abs() < 1e-3, "{TOTAL_MASS}");
    let com = World::new(Physics::new(1, 2), &Coordinates::default()).view().com;
    assert!((com[0] - 0.0378).abs() < 1e-4 && (com[1] - 0.5510).abs() < 1e-4, "{com:?}");
}

/// The hinges in the world at zero angles, summed by hand along the tree.
#[test]
fn the_hinges_are_where_the_model_has_them() {
    const HINGES: [[f32; 2]; LINKS] =
        [[0.0, 0.7], [-0.5, 0.7], [-0.34, 0.45], [-0.62, 0.31], [0.5, 0.7], [0.36, 0.46], [0.49, 0.28]];
    let motions = World::new(Physics::new(1, 2), &Coordinates::default()).motions();
    for ((motion, link), expected) in motions.iter().zip(&BODY).zip(HINGES) {
        let hinge = motion.pose * -Vector::from(link.com);
        assert!(
            (hinge - Vector::from(expected)).length() < 1e-5,
            "{}: {hinge} is not {expected:?}",
            link.name
        );
    }
}

/// The MJCF file gives a capsule as centre, rotation about +y (which turns +z towards +x) and half length.
#[test]
fn the_capsules_are_those_of_the_model() {
    const GEOMS: [([f32; 2], f32, f32); 8] = [
        ([0.0, 0.0], std::f32::consts::FRAC_PI_2, 0.5),
        ([0.6, 0.1], 0.87, 0.15),
        ([0.1, -0.13], -3.8, 0.145),
        ([-0.14, -0.07], -2.03, 0.15),
        ([0.03, -0.097], -0.27, 0.094),
        ([-0.07, -0.12], 0.52, 0.133),
        ([0.065, -0.09], -0.6, 0.106),
        ([0.045, -0.07], -0.6, 0.07),
    ];
    for (shape, (centre, angle, half)) in SHAPES.iter().zip(GEOMS) {
        let reach = half * Vector::new(angle.sin(), angle.cos());
        let (a, b) = (Vector::from(centre) - reach, Vector::from(centre) + reach);
        let ends = [Vector::from(shape.a), Vector::from(shape.b)];
        let error = |p: Vector, q: Vector| (ends[0] - p).length() + (ends[1] - q).length();
        assert!(error(a, b).min(error(b, a)) < 1e-4, "capsule of link {}: {shape:?}", shape.link);
    }
}
