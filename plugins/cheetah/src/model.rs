//! The planar half-cheetah as tables: links, capsules, joints.
//!
//! The numbers are those of the MJCF model that rllab and Gymnasium share (`half_cheetah.xml`; masses and
//! inertias as MuJoCo compiles them after it rescales the total to 14 kg). Lengths are in metres, masses in
//! kilograms, angles in radians. The plane is (x forward, z up); rapier2d calls these x and y. Joint angles,
//! limits and torques here have MuJoCo's sign, whose hinge axis +y makes a positive pitch tip the nose *down*;
//! the world flips them for rapier, where a positive angle is anticlockwise.

/// Links of the multibody, the torso first, parents before children.
pub const LINKS: usize = 7;

/// Actuated hinges, one for each link but the torso.
pub const HINGES: usize = LINKS - 1;

/// Degrees of freedom: root x, root z, root pitch, then the hinges.
pub const DOFS: usize = 3 + HINGES;

/// Height of the torso frame above the floor when the coordinate `rootz` is zero (MJCF body position).
pub const TORSO_HEIGHT: f32 = 0.7;

/// Radius of every capsule (MJCF geom size).
pub const CAPSULE_RADIUS: f32 = 0.046;

/// Sliding friction of the pair robot–floor (MJCF default class, element-wise maximum of the two).
pub const FRICTION: f32 = 0.4;

/// Rotor inertia that every hinge adds to its own coordinate, kg·m² (MJCF default class). It is what keeps the
/// light feet stable: full torque without it would be tens of thousands of rad/s².
pub const ARMATURE: f32 = 0.1;

/// A rigid link. Its frame has its origin at the hinge that connects it to its parent, and is aligned with the
/// world at zero joint angles.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Name in the MJCF file.
    pub name: &'static str,
    /// Row of the parent in [`BODY`]. The torso's is its own: the world has no row.
    pub parent: usize,
    /// Position of the hinge in the parent's frame, (x, z) in metres; the torso's in the world.
    pub hinge: [f32; 2],
    /// Mass in kilograms.
    pub mass: f32,
    /// Centre of mass in the link's own frame, (x, z) in metres.
    pub com: [f32; 2],
    /// Moment of inertia about the centre of mass, kg·m².
    pub inertia: f32,
}

const fn link(
    name: &'static str,
    parent: usize,
    hinge: [f32; 2],
    mass: f32,
    com: [f32; 2],
    inertia: f32,
) -> Link {
    Link { name, parent, hinge, mass, com, inertia }
}

/// The seven links: name, parent, hinge, mass, centre of mass, inertia. The head is welded to the torso and counted
/// in it.
pub const BODY: [Link; LINKS] = [
    link("torso", 0, [0.0, 0.7], 6.25021, [0.15239, 0.0254], 0.897118),
    link("bthigh", 0, [-0.5, 0.0], 1.54351, [0.1, -0.13], 0.016844),
    link("bshin", 1, [0.16, -0.25], 1.58745, [-0.14, -0.07], 0.018267),
    link("bfoot", 2, [-0.28, -0.14], 1.0954, [0.03, -0.097], 0.006352),
    link("fthigh", 0, [0.5, 0.0], 1.43808, [-0.07, -0.12], 0.01374),
    link("fshin", 4, [-0.14, -0.24], 1.20084, [0.065, -0.09], 0.008222),
    link("ffoot", 5, [0.13, -0.18], 0.88452, [0.045, -0.07], 0.003529),
];

/// Mass of the whole robot in kilograms, 14 to rounding (MJCF `settotalmass`).
pub const TOTAL_MASS: f32 = {
    let (mut sum, mut i) = (0.0, 0);
    while i < LINKS {
        sum += BODY[i].mass;
        i += 1;
    }
    sum
};

/// A collision shape: the segment from `a` to `b` in the link's frame, fattened by [`CAPSULE_RADIUS`].
#[derive(Clone, Copy, Debug)]
pub struct Capsule {
    /// Row of the link in [`BODY`].
    pub link: usize,
    /// First end of the centre line, (x, z) in metres.
    pub a: [f32; 2],
    /// Second end of the centre line, (x, z) in metres.
    pub b: [f32; 2],
}

/// The eight capsules: torso, head, and one for each leg segment.
pub const SHAPES: [Capsule; 8] = [
    Capsule { link: 0, a: [-0.5, 0.0], b: [0.5, 0.0] },
    Capsule { link: 0, a: [0.48535, 0.00328], b: [0.71465, 0.19672] },
    Capsule { link: 1, a: [0.01128, -0.01531], b: [0.18872, -0.24469] },
    Capsule { link: 2, a: [-0.00554, -0.00351], b: [-0.27446, -0.13649] },
    Capsule { link: 3, a: [0.05507, -0.18759], b: [0.00493, -0.00641] },
    Capsule { link: 4, a: [-0.13609, -0.23542], b: [-0.00391, -0.00458] },
    Capsule { link: 5, a: [0.12485, -0.17749], b: [0.00515, -0.00251] },
    Capsule { link: 6, a: [0.08452, -0.12777], b: [0.00548, -0.01223] },
];

/// A sprung, damped, limited and actuated hinge between a link and its parent. The spring rests at angle 0.
#[derive(Clone, Copy, Debug)]
pub struct Hinge {
    /// Lowest and highest angle, rad.
    pub range: [f32; 2],
    /// Spring, N·m/rad.
    pub stiffness: f32,
    /// Damper, N·m·s/rad.
    pub damping: f32,
    /// Torque of a control of 1, N·m.
    pub gear: f32,
}

/// The hinge of link `i + 1`, in the order of the actions and of the observation.
pub const JOINTS: [Hinge; HINGES] = [
    Hinge { range: [-0.52, 1.05], stiffness: 240.0, damping: 6.0, gear: 120.0 },
    Hinge { range: [-0.785, 0.785], stiffness: 180.0, damping: 4.5, gear: 90.0 },
    Hinge { range: [-0.4, 0.785], stiffness: 120.0, damping: 3.0, gear: 60.0 },
    Hinge { range: [-1.0, 0.7], stiffness: 180.0, damping: 4.5, gear: 120.0 },
    Hinge { range: [-1.2, 0.87], stiffness: 120.0, damping: 3.0, gear: 60.0 },
    Hinge { range: [-0.5, 0.5], stiffness: 60.0, damping: 1.5, gear: 30.0 },
];
