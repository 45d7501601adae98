//! The rapier world that holds one ant: built, driven, stepped.

use rapier3d::prelude::*;

use crate::assembly;
use crate::contact::{CONTACT_NUMBERS, contact_forces};
use crate::model::{ACTUATORS, GEAR, HINGES, LINKS, parent};
use crate::view::{self, Coordinates, Geometry, Motion, View};

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
}

impl Physics {
    /// Time between two controls.
    pub fn control_secs(&self) -> f32 {
        self.dt_secs * self.frame_skip as f32
    }

    /// No continuous collision detection, which a half-space does not need, and no reuse of contacts, which may be
    /// stale by up to 5 cm. Contacts keep the stiffness that rapier gives them on static ground.
    fn parameters(&self) -> IntegrationParameters {
        IntegrationParameters {
            dt: self.dt_secs,
            num_solver_iterations: self.solver_iterations,
            contact_softness: SpringCoefficients::contact_static_defaults(),
            static_contact_softness: SpringCoefficients::contact_static_defaults(),
            max_ccd_substeps: 0,
            contact_recycling: false,
            ..IntegrationParameters::default()
        }
    }
}

/// The state is no longer finite; nothing that this world says from now on means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diverged;

/// One robot on an endless floor. There is no way back to a start: an episode begins with a new world, which leaves
/// nothing of the last one behind.
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
    /// The robot's shapes, each with its body's row in the MJCF file.
    shapes: Vec<(ColliderHandle, usize)>,
    robot: MultibodyIndex,
    geometry: [Geometry; LINKS],
}

impl World {
    /// The robot at the given coordinates with the motors off.
    pub fn new(physics: Physics, start: &Coordinates) -> Self {
        let mut bodies = RigidBodySet::with_capacity(LINKS);
        let mut multibody_joints = MultibodyJointSet::new();
        let links = assembly::insert_links(&mut bodies, &mut multibody_joints, start);
        let robot = multibody_joints.rigid_body_link(links[0]).expect("the torso was just joined").multibody;
        let multibody = multibody_joints.get_multibody_mut(robot).expect("the robot was just inserted");
        assembly::configure(multibody, start);
        multibody.forward_kinematics(&bodies, true);
        multibody.update_rigid_bodies(&mut bodies, true);
        let (colliders, shapes) = assembly::insert_shapes(&mut bodies, &links);
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
            shapes,
            robot,
            geometry: view::geometry(),
        }
    }

    /// Holds the torques `GEAR · control` for one control period (`frame_skip` simulation steps).
    ///
    /// `controls` is `[HINGES]` in the actuators' order, in [-1, 1] and finite. rapier takes a body whose state is not
    /// finite out of the simulation and goes on without a word, so the list of such bodies is read after every step; a
    /// NaN torque can escape that list, which is why the caller must have refused it.
    pub fn step(&mut self, controls: &[f32; HINGES]) -> Result<(), Diverged> {
        for _ in 0..self.physics.frame_skip {
            self.drive(controls);
            self.pipeline.step(
                Vector::new(0.0, 0.0, -self.physics.gravity),
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

    /// Two opposite torques on a link and its parent project onto exactly the hinge between them. The axis turns with
    /// the robot, so they are computed anew in every simulation step.
    fn drive(&mut self, controls: &[f32; HINGES]) {
        let mut torques = [Vector::ZERO; LINKS];
        for (&hinge, control) in ACTUATORS.iter().zip(controls) {
            let link = hinge + 1;
            let axis = self.geometry[link].axis_in_world(*self.bodies[self.links[link]].rotation());
            let torque = GEAR * control * axis;
            torques[link] += torque;
            torques[parent(link)] -= torque;
        }
        for (&handle, torque) in self.links.iter().zip(torques) {
            let body = &mut self.bodies[handle];
            body.reset_torques(false);
            body.add_torque(torque, false);
        }
    }

    /// The state after the last step, or the start.
    pub fn view(&self) -> View {
        view::view(self.robot(), &self.geometry)
    }

    /// Where each link is and how it moves.
    pub fn motions(&self) -> [Motion; LINKS] {
        view::motions(self.robot(), &self.geometry)
    }

    /// What the floor exerted on each body of the MJCF file in the last simulation step; see [`contact_forces`].
    pub fn contact_forces(&self, com: [f32; 3]) -> [f32; CONTACT_NUMBERS] {
        contact_forces(&self.narrow_phase, &self.colliders, &self.shapes, com.into(), self.physics.dt_secs)
    }

    fn robot(&self) -> &Multibody {
        self.multibody_joints.get_multibody(self.robot).expect("nothing removes the robot")
    }
}
