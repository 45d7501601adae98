//! The trait of an environment.

use crate::fields::{self, json_of, parse_description};
use crate::{Descriptor, Field, Params};

/// What an environment's vectors hold.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvSpaces {
    /// Entries of the observation, in order.
    pub observation: Vec<Field>,
    /// Entries of the action, in order, with finite bounds.
    pub action: Vec<Field>,
    /// Entries of the task vector, in order; empty when there is only one task.
    pub task: Vec<Field>,
}

impl EnvSpaces {
    /// The description as [`EnvSpaces::parse`] reads it.
    pub fn json(&self) -> String {
        serde_json::json!({
            "observation": json_of(&self.observation),
            "action": json_of(&self.action),
            "task": json_of(&self.task),
        })
        .to_string()
    }

    /// Reads the description of a foreign library; every error is a sentence about it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let description = parse_description(text)?;
        let list = |key| fields::parse(&description, key);
        let spaces =
            EnvSpaces { observation: list("observation")?, action: list("action")?, task: list("task")? };
        for (name, list) in [("observation", &spaces.observation), ("action", &spaces.action)] {
            if list.is_empty() {
                return Err(format!("the description has no {name} fields"));
            }
        }
        match spaces.action.iter().find(|f| !(f.low.is_finite() && f.high.is_finite() && f.low < f.high)) {
            Some(f) => Err(format!(
                "action `{}` has the bounds {} to {}; both must be finite",
                f.name, f.low, f.high
            )),
            None => Ok(spaces),
        }
    }
}

/// What one step brought, besides the observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Finite.
    pub reward: f32,
    /// The episode is over because of what happened in it. Running out of time is the host's business, not the
    /// plugin's: values are bootstrapped when time ends and not when an episode terminates.
    pub terminated: bool,
}

/// One environment. The SDK turns it into the batched calls of the C interface: an instance with n slots holds
/// n of these.
///
/// An instance is used by one thread at a time, which may change between calls. An `Err` or a panic stops the run
/// with the plugin, the callback, the slot and the seed in the message.
pub trait Environment: Sized + Send + 'static {
    /// What `mamlx plugin list` shows; it is written into the library, and readable without running it.
    const DESCRIPTOR: Descriptor;

    /// Builds the environment. Types, ranges and choices of `params` are already checked; check here what one
    /// parameter demands of another. Slow preparation belongs here and not in `reset`.
    fn create(params: &Params) -> Result<Self, String>;

    /// Names, units and bounds of all vectors. Called once after `create`; it must not depend on the task.
    fn describe(&self) -> EnvSpaces;

    /// Draws a task as a function of the seed. `task` has one entry per task field.
    fn sample_task(&self, seed: u64, task: &mut [f32]);

    /// Begins an episode of `task`: rebuilds the world, so that nothing of the last episode is left, and writes the
    /// first observation. All randomness of the episode comes from `seed`.
    fn reset(&mut self, seed: u64, task: &[f32], obs: &mut [f32]) -> Result<(), String>;

    /// Moves one step and writes the next observation. `action` is finite, and the host has scaled it to the
    /// declared bounds and clipped it there.
    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, String>;
}
