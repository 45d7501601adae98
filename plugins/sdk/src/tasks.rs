//! The trait of a task distribution: supervised tasks that are drawn rather than stored.

use crate::fields::{self, json_of, parse_description};
use crate::{Descriptor, Field, Params};

/// What a task distribution's vectors hold.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpaces {
    /// Entries of one input point.
    pub x: Vec<Field>,
    /// Entries of one target.
    pub y: Vec<Field>,
    /// Entries of the task vector.
    pub task: Vec<Field>,
}

impl TaskSpaces {
    pub(crate) fn json(&self) -> String {
        serde_json::json!({ "x": json_of(&self.x), "y": json_of(&self.y), "task": json_of(&self.task) })
            .to_string()
    }

    /// Reads the description of a foreign library; every error is a sentence about it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let description = parse_description(text)?;
        let list = |key| fields::parse(&description, key);
        let spaces = TaskSpaces { x: list("x")?, y: list("y")?, task: list("task")? };
        for (name, list) in [("x", &spaces.x), ("y", &spaces.y)] {
            if list.is_empty() {
                return Err(format!("the description has no {name} fields"));
            }
        }
        Ok(spaces)
    }
}

/// A distribution over regression tasks, such as the sinusoids of the paper's section 5.1.
pub trait TaskDistribution: Sized + Send + 'static {
    /// What `mamlx plugin list` shows; it is written into the library, and readable without running it.
    const DESCRIPTOR: Descriptor;

    /// Builds the distribution. Types, ranges and choices of `params` are already checked.
    fn create(params: &Params) -> Result<Self, String>;

    /// Names, units and bounds of all vectors. Called once after `create`.
    fn describe(&self) -> TaskSpaces;

    /// Draws a task as a function of the seed. `task` has one entry per task field.
    fn sample_task(&self, seed: u64, task: &mut [f32]);

    /// Draws n points of a task as a function of the seed. `x` is [n, x fields] and `y` is [n, y fields], flat.
    ///
    /// The first m points of one seed should not depend on n, so that support sets of several sizes are nested.
    fn sample(&self, task: &[f32], seed: u64, x: &mut [f32], y: &mut [f32]) -> Result<(), String>;
}
