//! Task distributions, as the run room sees them.

use super::call::{first_not_finite, while_creating, while_running};
use super::load::{Plugin, Tables};
use super::params::params_json;
use crate::error::Result;
use crate::spec::ParamValue;
use mamlx_plugin::caller::{Failure, Tasks};
use mamlx_plugin::{Field, TaskSpaces};
use std::collections::BTreeMap;

/// An instance of a task distribution. It may move between threads. Every number that it hands out is finite.
pub struct TasksInstance {
    id: String,
    tasks: Tasks,
}

impl Plugin {
    /// Makes an instance of a task-distribution plugin.
    ///
    /// # Errors
    /// As for [`Plugin::env`].
    pub fn tasks(&self, params: &BTreeMap<String, ParamValue>) -> Result<TasksInstance> {
        let Tables::Tasks(table) = self.tables else { return Err(self.wrong_kind("task-distribution")) };
        let params = params_json(&self.info, params)?;
        // SAFETY: `load` has checked the table; that its functions keep the rules is the plugin's promise.
        let tasks = unsafe { Tasks::new(table, &params) };
        let tasks = tasks.map_err(|failure| while_creating(&self.info.id, &failure))?;
        Ok(TasksInstance { id: self.info.id.clone(), tasks })
    }
}

impl TasksInstance {
    /// Names, units and bounds of the vectors.
    pub fn spaces(&self) -> &TaskSpaces {
        self.tasks.spaces()
    }

    /// Draws a task as a function of the seed; `task` is [task fields].
    pub fn sample_task(&mut self, seed: u64, task: &mut [f32]) -> Result<()> {
        let result = self.tasks.sample_task(seed, task);
        let result = result.and_then(|()| finite("sample_task", task, &self.spaces().task));
        result.map_err(|failure| self.failed(seed, &failure))
    }

    /// Draws n points of a task as a function of the seed. task: [task fields]; written: x [n, x fields] and y
    /// [n, y fields].
    pub fn sample(&mut self, task: &[f32], seed: u64, x: &mut [f32], y: &mut [f32]) -> Result<()> {
        let result = self.tasks.sample(task, seed, x, y);
        let result = result.and_then(|()| finite("sample", x, &self.spaces().x));
        let result = result.and_then(|()| finite("sample", y, &self.spaces().y));
        result.map_err(|failure| self.failed(seed, &failure))
    }

    /// Ends the instance, and tells a failure to do so; dropping it ends it silently.
    pub fn destroy(self) -> Result<()> {
        self.tasks.destroy().map_err(|failure| while_running(&self.id, &failure, ""))
    }

    fn failed(&self, seed: u64, failure: &Failure) -> crate::error::Error {
        while_running(&self.id, failure, &format!(", with seed {seed}"))
    }
}

fn finite(callback: &'static str, numbers: &[f32], fields: &[Field]) -> std::result::Result<(), Failure> {
    match first_not_finite(numbers) {
        Some(i) => {
            let (name, row) = (&fields[i % fields.len()].name, i / fields.len());
            Err(Failure::about(callback, format!("`{name}` of row {row} is {}", numbers[i])))
        }
        None => Ok(()),
    }
}
