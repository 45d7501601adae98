//! The rapier world that holds one cheetah: built, driven, stepped.

use rapier2d::prelude::*;

use crate::assembly;
use crate::model::{BODY, HINGES, JOINTS, LINKS};
use crate::view::{self, Coordinates, Motion, View};

/// How the world is integrated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Physics {
    /// Length of one simulation step in seconds.
    pub dt_secs: f32,
    /// Simulation steps that one control is held for.
    pub frame_skip: u32,
    /// Solver iterations of a simulation step, which are rapier's substeps.
    pub solver_iterations: usize,
    /// Downward acceleration in m/s².
    pub gravity: f32,
    /// Spring of the contacts with the floor: natural frequency in Hz and damping ratio.
    pub contact: SpringCoefficients<f32>,
}

impl Physics {
    /// The MJCF file's time step of 0.01 s and gravity, and the stiffness that rapier gives contacts with static
    /// ground (60 Hz, damping ratio 10).
    pub fn new(frame_skip: u32, solver_iterations: usize) -> Self {
        Self {
            dt_secs: 0.01,
            frame_skip,
            solver_iterations,
            gravity: 9.81,
            contact: SpringCoefficients::contact_static_defaults(),
        }
    }

    /// Time between two controls.
    pub fn control_secs(&self) -> f32 {
        self.dt_secs * self.frame_skip as f32
    }

    /// No continuous collision detection, which a half-space does not need, and no reuse of contacts, which may be
    /// stale by up to 5 cm.
    fn parameters(&self) -> IntegrationParameters {
        IntegrationParameters {
            dt: self.dt_secs,
            num_solver_iterations: self.solver_iterations,
            contact_softness: self.contact,
            static_contact_softness: self.contact,
            max_ccd_substeps: 0,
            contact_recycling: false,
            ..IntegrationParameters::default()
        }
    }
}

/// The state is no longer finite; nothing that this world says from now on means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diverged;

/// One robot on an endless floor. There is no way back to a start: an episode begins with a new world, which takes
/// 7 µs and leaves nothing of the last one behind.
pub struct World {
    physics: Physics,
    parameters: IntegrationParameters,
    pipeline: PhysicsPipeline,
    islands: IslandManager,
    broad_phase: BroadPhaseBvh,
    narrow_phase: NarrowPhase,
    bodies: RigidBodySet,
    colliders: ColliderSet,
    impulse_joints: ImpulseJointSet,
    multibody_joints: MultibodyJointSet,
    soft_bodies: SoftBodySet,
    ccd: CCDSolver,
    links: [RigidBodyHandle; LINKS],
    robot: MultibodyIndex,
}

impl World {
    /// The robot at the given coordinates with the motors off.
    pub fn new(physics: Physics, start: &Coordinates) -> Self {
        let mut bodies = RigidBodySet::with_capacity(LINKS);
        let mut multibody_joints = MultibodyJointSet::new();
        let links = assembly::insert_links(&mut bodies, &mut multibody_joints, start);
        let robot = multibody_joints.rigid_body_link(links[0]).expect("the torso was just joined").multibody;
        let multibody = multibody_joints.get_multibody_mut(robot).expect("the robot was just inserted");
        assembly::configure(multibody, &physics, start);
        multibody.forward_kinematics(&bodies, true);
        multibody.update_rigid_bodies(&mut bodies, true);
        let colliders = assembly::insert_shapes(&mut bodies, &links);
        Self {
            physics,
            parameters: physics.parameters(),
            pipeline: PhysicsPipeline::new(),
            islands: IslandManager::new(),
            broad_phase: BroadPhaseBvh::new(),
            narrow_phase: NarrowPhase::new(),
            bodies,
            colliders,
            impulse_joints: ImpulseJointSet::new(),
            multibody_joints,
            soft_bodies: SoftBodySet::new(),
            ccd: CCDSolver::new(),
            links,
            robot,
        }
    }

    /// Holds the torques `gear · control` for one control period (`frame_skip` simulation steps).
    ///
    /// `controls` is `[HINGES]`, in [-1, 1] and finite. rapier takes a body whose state is not finite out of the
    /// simulation and goes on without a word, so the list of such bodies is read after every step; a NaN torque can
    /// escape that list, which is why the caller must have refused it.
    pub fn step(&mut self, controls: &[f32; HINGES]) -> Result<(), Diverged> {
        self.drive(controls);
        for _ in 0..self.physics.frame_skip {
            self.pipeline.step(
                Vector::new(0.0, -self.physics.gravity),
                &self.parameters,
                &mut self.islands,
                &mut self.broad_phase,
                &mut self.narrow_phase,
                &mut self.bodies,
                &mut self.colliders,
                &mut self.impulse_joints,
                &mut self.multibody_joints,
                &mut self.soft_bodies,
                &mut self.ccd,
                &(),
                &(),
            );
            if !self.pipeline.quarantine().is_empty() {
                return Err(Diverged);
            }
        }
        Ok(())
    }

    /// Two opposite torques on a link and its parent project onto exactly the hinge between them. rapier keeps a
    /// torque until it is reset, so once per control period is enough.
    fn drive(&mut self, controls: &[f32; HINGES]) {
        let mut torques = [0.0; LINKS];
        for (hinge, (joint, control)) in JOINTS.iter().zip(controls).enumerate() {
            let torque = -joint.gear * control;
            torques[hinge + 1] += torque;
            torques[BODY[hinge + 1].parent] -= torque;
        }
        for (&handle, torque) in self.links.iter().zip(torques) {
            let body = &mut self.bodies[handle];
            body.reset_torques(false);
            body.add_torque(torque, false);
        }
    }

    /// The state after the last step, or the start.
    pub fn view(&self) -> View {
        view::view(self.robot())
    }

    /// Where each link is and how it moves, in rapier's convention.
    pub fn motions(&self) -> [Motion; LINKS] {
        view::motions(self.robot())
    }

    fn robot(&self) -> &Multibody {
        self.multibody_joints.get_multibody(self.robot).expect("nothing removes the robot")
    }
}
