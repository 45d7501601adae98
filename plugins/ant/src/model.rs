//! The ant as tables: links, collision shapes, joints, actuators.
//!
//! The numbers are those of the MJCF model that rllab and Gymnasium share (`ant.xml`). Lengths are in metres, masses in
//! kilograms, angles in radians; x is forward and z is up. Joint angles have MuJoCo's sign, which in three dimensions
//! is rapier's too: right-handed about the axis.

use rapier3d::prelude::{AngVector, Vector};

/// Links of the multibody: the torso, then hip and ankle of each leg, so parents come before children.
pub const LINKS: usize = 1 + 2 * LEGS.len();

/// Actuated hinges, one for each link but the torso, in MuJoCo's joint order: hip 1, ankle 1, hip 2, …
pub const HINGES: usize = LINKS - 1;

/// Degrees of freedom of the free root: three translations and three rotations.
pub const ROOT_DOFS: usize = 6;

/// Degrees of freedom.
pub const DOFS: usize = ROOT_DOFS + HINGES;

/// Numbers of a position: x, y, z, quaternion w, x, y, z, then the hinges (`qpos`).
pub const COORDINATES: usize = DOFS + 1;

/// Density of every geom, kg/m³ (MJCF default class).
pub const DENSITY: f32 = 5.0;

/// Radius of the torso's sphere (MJCF geom size).
pub const TORSO_RADIUS: f32 = 0.25;

/// Radius of every capsule (MJCF geom size).
pub const CAPSULE_RADIUS: f32 = 0.08;

/// Sliding friction of the pair robot–floor (MJCF default class, element-wise maximum of the two).
pub const FRICTION: f32 = 1.0;

/// Rotor inertia that every hinge adds to its own coordinate, kg·m² (MJCF default class). It is a hundred times the
/// legs' own inertia, and what keeps them stable under full torque.
pub const ARMATURE: f32 = 1.0;

/// Damper of every hinge, N·m·s/rad (MJCF default class). The free root has none.
pub const DAMPING: f32 = 1.0;

/// Torque of a control of 1, N·m: the range of the motors in rllab's file, the gear in Gymnasium's.
pub const GEAR: f32 = 150.0;

/// Along one axis: from the torso's centre to a hip, and from a hip to its ankle.
pub const SEGMENT: f32 = 0.2;

/// Along one axis: from an ankle to the tip of its leg.
pub const SHIN: f32 = 0.4;

/// A leg: a capsule welded to the torso, a hip that turns about z, and an ankle.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    /// Suffix of the leg's joints in the MJCF file.
    pub number: usize,
    /// Signs of the direction along x and y that the leg points to.
    pub side: [f32; 2],
    /// Axis of the ankle along x and y, not normalised.
    pub ankle_axis: [f32; 2],
    /// Lowest and highest angle of the ankle, degrees.
    pub ankle_range: [f32; 2],
    /// Angle of the ankle in the file's `init_qpos`, rad.
    pub ankle_start: f32,
}

/// Front left, front right, back, right back, as the MJCF file names them.
pub const LEGS: [Leg; 4] = [
    leg(1, [1.0, 1.0], [-1.0, 1.0], [30.0, 70.0], 1.0),
    leg(2, [-1.0, 1.0], [1.0, 1.0], [-70.0, -30.0], -1.0),
    leg(3, [-1.0, -1.0], [-1.0, 1.0], [-70.0, -30.0], -1.0),
    leg(4, [1.0, -1.0], [1.0, 1.0], [30.0, 70.0], 1.0),
];

const fn leg(number: usize, side: [f32; 2], axis: [f32; 2], range: [f32; 2], start: f32) -> Leg {
    Leg { number, side, ankle_axis: axis, ankle_range: range, ankle_start: start }
}

/// Lowest and highest angle of every hip, degrees.
pub const HIP_RANGE: [f32; 2] = [-30.0, 30.0];

/// Hinge that each actuator drives, as an index in joint order: the file lists the fourth leg's actuators first.
pub const ACTUATORS: [usize; HINGES] = [6, 7, 0, 1, 2, 3, 4, 5];

/// Name of the hinge at an index in joint order.
pub fn hinge_name(hinge: usize) -> String {
    let joint = if hinge.is_multiple_of(2) { "hip" } else { "ankle" };
    format!("{joint}_{}", LEGS[hinge / 2].number)
}

/// Parent of a link: the torso of a hip, the hip of an ankle. The torso's is its own: the world has no row.
pub const fn parent(link: usize) -> usize {
    if link == 0 || link % 2 == 1 { 0 } else { link - 1 }
}

/// A capsule's or a sphere's mass properties about its centre of mass.
#[derive(Clone, Copy, Debug)]
pub struct Inertia {
    /// Kilograms.
    pub mass: f32,
    /// Moment about the axis of symmetry, kg·m².
    pub axial: f32,
    /// Moment about any line at right angles to it, kg·m².
    pub transverse: f32,
}

/// A capsule of the model's radius and density around a segment of this length: a cylinder and two half spheres,
/// whose transverse moment is m_c (h²/12 + r²/4) + m_s (2r²/5 + h²/4 + 3hr/8).
pub fn capsule(length: f32) -> Inertia {
    let (r, h) = (f64::from(CAPSULE_RADIUS), f64::from(length));
    let cylinder = f64::from(DENSITY) * std::f64::consts::PI * r * r * h;
    let ball = f64::from(DENSITY) * std::f64::consts::PI * 4.0 / 3.0 * r * r * r;
    Inertia {
        mass: (cylinder + ball) as f32,
        axial: (cylinder * r * r / 2.0 + ball * 2.0 / 5.0 * r * r) as f32,
        transverse: (cylinder * (h * h / 12.0 + r * r / 4.0)
            + ball * (2.0 / 5.0 * r * r + h * h / 4.0 + 3.0 / 8.0 * h * r)) as f32,
    }
}

/// Length of the diagonal whose extent along both axes is `along`.
fn diagonal(along: f32) -> f32 {
    along * std::f32::consts::SQRT_2
}

/// The capsule of a welded leg or a hip.
pub fn segment() -> Inertia {
    capsule(diagonal(SEGMENT))
}

/// The capsule of an ankle.
pub fn shin() -> Inertia {
    capsule(diagonal(SHIN))
}

/// Mass of the torso with its four welded capsules, and its moments about the axes through its centre. Their products
/// of inertia cancel, as the legs point along both diagonals of the plane.
pub fn torso() -> (f32, AngVector) {
    let ball = DENSITY * 4.0 / 3.0 * std::f32::consts::PI * TORSO_RADIUS.powi(3);
    let own = 0.4 * ball * TORSO_RADIUS * TORSO_RADIUS;
    let Inertia { mass, axial, transverse } = segment();
    // A capsule's centre lies half a segment from the torso's along x and along y.
    let away = mass * (SEGMENT / 2.0) * (SEGMENT / 2.0);
    let level = own + 4.0 * ((axial + transverse) / 2.0 + away);
    let upright = own + 4.0 * (transverse + 2.0 * away);
    (ball + 4.0 * mass, AngVector::new(level, level, upright))
}

/// Mass of a link in kilograms.
pub fn link_mass(link: usize) -> f32 {
    match link {
        0 => torso().0,
        hip if hip % 2 == 1 => segment().mass,
        _ => shin().mass,
    }
}

/// Direction of a link's capsule, in the link's frame: horizontal, of length √2.
pub fn outward(link: usize) -> Vector {
    let [x, y] = LEGS[(link - 1) / 2].side;
    Vector::new(x, y, 0.0)
}

/// Half of a link's capsule along one axis: from its hinge to its centre of mass.
pub fn half_along(link: usize) -> f32 {
    if link % 2 == 1 { SEGMENT / 2.0 } else { SHIN / 2.0 }
}

/// The hinge of a link as seen from the centres of mass of its parent and of itself. Not for the torso.
pub fn anchors(link: usize) -> (Vector, Vector) {
    let out = outward(link);
    // A hip sits a segment from the torso's centre; an ankle half a segment from the hip capsule's.
    let from_parent = if link % 2 == 1 { SEGMENT } else { SEGMENT / 2.0 };
    (from_parent * out, -half_along(link) * out)
}

/// Unit axis of the hinge of a link, the same in the frames of both of its bodies.
pub fn axis(link: usize) -> Vector {
    if link % 2 == 1 {
        return Vector::Z;
    }
    let [x, y] = LEGS[(link - 1) / 2].ankle_axis;
    Vector::new(x, y, 0.0) * std::f32::consts::FRAC_1_SQRT_2
}

/// Lowest and highest angle of the hinge at an index in joint order, rad.
pub fn range(hinge: usize) -> [f32; 2] {
    let degrees = if hinge.is_multiple_of(2) { HIP_RANGE } else { LEGS[hinge / 2].ankle_range };
    degrees.map(f32::to_radians)
}
