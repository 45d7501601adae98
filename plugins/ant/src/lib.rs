//! The four-legged ant of the paper's section 5.3 in rapier3d.
//!
//! | module | what is in it |
//! |---|---|
//! | [`model`] | links, shapes, joints and actuators as tables |
//! | [`assembly`] | the tables put into rapier |
//! | [`world`] | one robot on a floor, stepped |
//! | [`view`] | its state in MuJoCo's coordinates |
//! | [`contact`] | what the floor exerts on it |
//! | [`layout`] | which of that the policy sees |
//! | `picture` | the robot as shapes, from above |
//! | [`task`] | tasks, rewards, and the conventions of rllab and Gym |
//! | this file | the plugin: parameters, spaces, reset and step |

use mamlx_plugin::{Descriptor, EnvSpaces, Environment, Field, Parameter, Params, Step, rng};

pub mod assembly;
pub mod contact;
#[cfg(test)]
mod fidelity;
pub mod layout;
pub mod model;
mod picture;
pub mod task;
pub mod view;
pub mod world;

use contact::CONTACT_NUMBERS;
use layout::Layout;
use model::{ACTUATORS, HINGES, hinge_name};
use task::{CONTACT_COST, Family, HEIGHTS, Preset, SURVIVAL, effort};
use view::View;
use world::{Physics, World};

/// The fewest solver iterations that keep hinges within 0.10 rad of their limits over 100,000 random steps: two let one
/// go 0.12 rad beyond.
const SOLVER_ITERATIONS: i64 = 3;

/// One ant and its task.
pub struct Ant {
    family: Family,
    preset: Preset,
    layout: Layout,
    goal_range: [f32; 2],
    goal_limit: f32,
    control_cost: f32,
    contact_cost: f32,
    /// The policy sees contact forces.
    shows_contacts: bool,
    physics: Physics,
    world: World,
    seen: View,
    /// Clipped to ±1.
    touched: [f32; CONTACT_NUMBERS],
    task: [f32; 2],
    /// Steps of the episode so far.
    age: u32,
}

impl Environment for Ant {
    const DESCRIPTOR: Descriptor = Descriptor {
        id: "ant",
        version: env!("CARGO_PKG_VERSION"),
        dynamics_version: 1,
        doc: "Four-legged ant, section 5.3 of the MAML paper: run at a goal velocity, in a goal direction, or to a goal \
              position. Physics engine: rapier3d 0.36.1, not MuJoCo.",
        parameters: &[
            Parameter::text("task", "velocity").choices(&["velocity", "direction", "goal"]).doc(
                "velocity: keep to a speed; direction: run forward or backward, the faster the better; goal: go to a place.",
            ),
            Parameter::text("preset", "rllab").choices(&["rllab", "gym"]).doc(
                "rllab: the paper's 0.02 s a step and centre-of-mass velocity; gym: 0.05 s and the torso's displacement.",
            ),
            Parameter::text("observation", "paper").choices(Layout::WORDS).doc(
                "paper: all 125 entries; bare: 41, without contact forces; state: 29, positions and velocities; local: 27, \
                 without x and y.",
            ),
            Parameter::text("contacts", "zero").choices(&["zero", "measured"]).doc(
                "The paper's 84 contact entries: zero, as later code bases had them (MuJoCo 2 stopped filling them in), or \
                 measured, as the paper had them.",
            ),
            Parameter::float("goal_low", 0.0).range(-20.0, 20.0).unit("m/s").doc("Lowest goal velocity that is drawn."),
            Parameter::float("goal_high", 3.0)
                .range(-20.0, 20.0)
                .unit("m/s")
                .doc("Highest goal velocity that is drawn."),
            Parameter::float("goal_limit", 3.0)
                .range(0.0, 100.0)
                .unit("m")
                .doc("Goal positions are drawn from the square of this half-width around the start."),
            Parameter::float("ctrl_cost", 0.005)
                .at_least(0.0)
                .doc("Cost per step of the sum of the squared actions."),
            Parameter::bool("contact_cost", false)
                .doc("Charge 0.0005 per step for the sum of the squared contact forces, each clipped to ±1."),
            Parameter::int("solver_iterations", SOLVER_ITERATIONS)
                .range(1.0, 16.0)
                .doc("rapier's substeps per simulation step; the fidelity test fails with 2."),
        ],
    };

    fn create(params: &Params) -> Result<Self, String> {
        let preset = if params.text("preset") == "gym" { Preset::Gym } else { Preset::Rllab };
        let family = match params.text("task") {
            "direction" => Family::Direction,
            "goal" => Family::Goal,
            _ => Family::Velocity,
        };
        let goal_range = [params.float("goal_low") as f32, params.float("goal_high") as f32];
        if goal_range[0] > goal_range[1] {
            return Err(format!(
                "`goal_low` is {} and `goal_high` is {}; expected goal_low ≤ goal_high",
                goal_range[0], goal_range[1]
            ));
        }
        let layout = Layout::of(params.text("observation"));
        let measured = params.text("contacts") == "measured";
        if measured && !layout.has_contacts() {
            return Err(format!(
                "`contacts` is measured, but the observation `{}` has no contact forces; use `observation: paper`",
                params.text("observation")
            ));
        }
        let contact_cost = if params.bool("contact_cost") { CONTACT_COST } else { 0.0 };
        let physics = preset.physics(params.int("solver_iterations") as usize);
        let world = World::new(physics, &preset.pose());
        Ok(Self {
            family,
            preset,
            layout,
            goal_range,
            goal_limit: params.float("goal_limit") as f32,
            control_cost: params.float("ctrl_cost") as f32,
            contact_cost,
            shows_contacts: measured,
            physics,
            seen: world.view(),
            world,
            touched: [0.0; CONTACT_NUMBERS],
            task: [0.0; 2],
            age: 0,
        })
    }

    fn describe(&self) -> EnvSpaces {
        EnvSpaces {
            observation: self.layout.fields(self.preset),
            action: ACTUATORS.iter().map(|&i| Field::new(hinge_name(i), "").bounds(-1.0, 1.0)).collect(),
            task: self.family.fields(self.goal_range, self.goal_limit),
        }
    }

    fn sample_task(&self, seed: u64, task: &mut [f32]) {
        self.family.draw(&mut rng(seed), self.goal_range, self.goal_limit, task);
    }

    fn reset(&mut self, seed: u64, task: &[f32], obs: &mut [f32]) -> Result<(), String> {
        self.task = self.family.check(task)?;
        self.world = World::new(self.physics, &self.preset.start(&mut rng(seed)));
        self.seen = self.world.view();
        self.touched = [0.0; CONTACT_NUMBERS];
        self.age = 0;
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, String> {
        let mut controls = [0.0; HINGES];
        for ((control, &asked), &hinge) in controls.iter_mut().zip(action).zip(&ACTUATORS) {
            if !asked.is_finite() {
                let name = hinge_name(hinge);
                return Err(format!("the action of `{name}` is {asked}; expected a number in [-1, 1]"));
            }
            *control = asked.clamp(-1.0, 1.0);
        }
        let before = self.seen;
        self.age += 1;
        let stepped = self.world.step(&controls);
        self.seen = self.world.view();
        if stepped.is_err() || !self.seen.is_finite() {
            return Err(format!(
                "the physics diverged: the robot's state is no longer finite; raise `solver_iterations`, which is {}",
                self.physics.solver_iterations
            ));
        }
        if self.shows_contacts || self.contact_cost > 0.0 {
            self.touched = self.world.contact_forces(self.seen.com).map(|x| x.clamp(-1.0, 1.0));
        }
        self.observe(obs);
        Ok(Step { reward: self.reward(&before, &controls), terminated: !self.lives() })
    }
}

impl Ant {
    /// In the paper's setting [125]: qpos, qvel, contact forces, the torso's rotation, the centre of mass (protocol A.5).
    fn observe(&self, obs: &mut [f32]) {
        // Forces that are only charged for stay unseen.
        let unseen = [0.0; CONTACT_NUMBERS];
        let contacts = if self.shows_contacts { &self.touched } else { &unseen };
        self.layout.write(&self.seen, contacts, self.preset.point(&self.seen), obs);
    }

    fn reward(&self, before: &View, controls: &[f32; HINGES]) -> f32 {
        let velocity = self.preset.forward_velocity(before, &self.seen, &self.physics);
        let [x, y, _] = self.preset.point(&self.seen);
        let contact: f32 = self.contact_cost * self.touched.iter().map(|f| f * f).sum::<f32>();
        self.family.reward(velocity, [x, y], &self.task) + SURVIVAL
            - self.control_cost * effort(controls)
            - contact
    }

    fn lives(&self) -> bool {
        let height = self.seen.coordinates.position[2];
        (HEIGHTS[0]..=HEIGHTS[1]).contains(&height)
    }
}

mamlx_plugin::export_env!(Ant, render);
