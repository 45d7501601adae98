//! Environments, as the run room sees them.

use super::call::{first_not_finite, while_creating, while_running};
use super::isolated::Isolated;
use super::load::{Plugin, Tables};
use super::params::params_json;
use crate::error::{Error, Result};
use crate::spec::ParamValue;
use mamlx_plugin::caller::{Env, Failure};
use mamlx_plugin::{EnvSpaces, Field, Shape, View};
use std::collections::BTreeMap;

/// An instance with n slots, each an environment of its own. It may move between threads. Every number that it hands
/// out is finite; a failed call names the plugin, the callback, the slot and the seed of its episode.
pub struct EnvInstance {
    id: String,
    env: Seat,
    /// The seed of the episode in each slot.
    seeds: Vec<u64>,
}

/// Where an instance runs.
enum Seat {
    Here(Env),
    Elsewhere(Box<Isolated>),
}

impl Plugin {
    /// Makes an instance of an environment plugin.
    ///
    /// # Errors
    /// `Error::Input`: not an environment, parameters that it refuses, a description that makes no sense.
    /// `Error::Run`: a panic.
    pub fn env(&self, params: &BTreeMap<String, ParamValue>, n_slots: u32) -> Result<EnvInstance> {
        let Tables::Env(table) = self.tables else { return Err(self.wrong_kind("environment")) };
        let params = params_json(&self.info, params)?;
        let seats = |env| EnvInstance { id: self.info.id.clone(), env, seeds: vec![0; n_slots as usize] };
        if let Some(limit) = self.isolation {
            let (id, library) = (&self.info.id, self.info.path.clone());
            let env = Isolated::new(id, library, params, n_slots, limit);
            let env = env.map_err(|failure| while_creating(&self.info.id, &failure))?;
            return Ok(seats(Seat::Elsewhere(Box::new(env))));
        }
        // SAFETY: `load` has checked the table; that its functions keep the rules is the plugin's promise.
        let env = unsafe { Env::new(table, &params, n_slots) };
        let env = env.map_err(|failure| while_creating(&self.info.id, &failure))?;
        let env = match self.render {
            // SAFETY: as above, and both tables are of one library.
            Some(render) => unsafe { env.with_render(render) },
            None => env,
        };
        Ok(seats(Seat::Here(env)))
    }

    pub(super) fn wrong_kind(&self, wanted: &str) -> Error {
        let kind = self.info.kind_name();
        Error::Input(format!(
            "plugin `{}` is of kind {kind}; an {wanted} plugin is needed here",
            self.info.id
        ))
    }
}

impl EnvInstance {
    /// Names, units and bounds of the vectors.
    pub fn spaces(&self) -> &EnvSpaces {
        match &self.env {
            Seat::Here(env) => env.spaces(),
            Seat::Elsewhere(env) => env.spaces(),
        }
    }

    /// Number of slots.
    pub fn n_slots(&self) -> u32 {
        match &self.env {
            Seat::Here(env) => env.n_slots(),
            Seat::Elsewhere(env) => env.n_slots(),
        }
    }

    /// Draws a task as a function of the seed; `task` is [task fields].
    pub fn sample_task(&mut self, seed: u64, task: &mut [f32]) -> Result<()> {
        let place = || format!(" with seed {seed}");
        let drawn = match &mut self.env {
            Seat::Here(env) => env.sample_task(seed, task),
            Seat::Elsewhere(env) => env.sample_task(seed, task),
        };
        drawn.map_err(|failure| while_running(&self.id, &failure, &place()))?;
        match not_finite(task, &self.spaces().task, "task entry") {
            Some((_, what)) => Err(while_running(&self.id, &Failure::about("sample_task", what), &place())),
            None => Ok(()),
        }
    }

    /// Begins an episode in each of the slots. seeds: `[slots]`; tasks: [slots, task fields]; obs, written: [slots,
    /// observation fields].
    pub fn reset(&mut self, slots: &[u32], seeds: &[u64], tasks: &[f32], obs: &mut [f32]) -> Result<()> {
        for (&slot, &seed) in slots.iter().zip(seeds) {
            self.seeds[slot as usize] = seed;
        }
        let begun = match &mut self.env {
            Seat::Here(env) => env.reset(slots, seeds, tasks, obs),
            Seat::Elsewhere(env) => env.reset(slots, seeds, tasks, obs),
        };
        begun.map_err(|failure| self.failed(slots, &failure))?;
        self.all_finite("reset", slots, obs, &self.spaces().observation, "observation")
    }

    /// Moves each of the slots one step. actions: [slots, action fields], scaled to the bounds and clipped there.
    /// Written: obs [slots, observation fields], rewards `[slots]`, terminated `[slots]`, 0 or 1.
    pub fn step(
        &mut self,
        slots: &[u32],
        actions: &[f32],
        obs: &mut [f32],
        rewards: &mut [f32],
        terminated: &mut [u8],
    ) -> Result<()> {
        let result = match &mut self.env {
            Seat::Here(env) => env.step(slots, actions, obs, rewards, terminated),
            Seat::Elsewhere(env) => env.step(slots, actions, obs, rewards, terminated),
        };
        result.map_err(|failure| self.failed(slots, &failure))?;
        self.all_finite("step", slots, obs, &self.spaces().observation, "observation")?;
        self.all_finite("step", slots, rewards, &[], "reward")?;
        match terminated.iter().position(|&flag| flag > 1) {
            Some(i) => {
                let what = format!("it wrote {} for `terminated`, which is 0 or 1", terminated[i]);
                Err(self.failed(slots, &Failure { position: Some(i), ..Failure::about("step", what) }))
            }
            None => Ok(()),
        }
    }

    /// From where the environment is drawn; `None` when it cannot be drawn, as in a process of its own.
    pub fn view(&mut self) -> Result<Option<View>> {
        let Seat::Here(env) = &mut self.env else { return Ok(None) };
        env.view().map_err(|failure| while_running(&self.id, &failure, ""))
    }

    /// The shapes of a slot's present state, those behind first; none when it cannot be drawn. The slot has been reset.
    pub fn shapes(&mut self, slot: u32) -> Result<Vec<Shape>> {
        let Seat::Here(env) = &mut self.env else { return Ok(vec![]) };
        env.shapes(slot).map_err(|failure| while_running(&self.id, &failure, &format!(", slot {slot}")))
    }

    /// Ends the instance, and tells a failure to do so; dropping it ends it silently.
    pub fn destroy(self) -> Result<()> {
        let ended = match self.env {
            Seat::Here(env) => env.destroy(),
            Seat::Elsewhere(env) => env.destroy(),
        };
        ended.map_err(|failure| while_running(&self.id, &failure, ""))
    }

    fn all_finite(
        &self,
        callback: &'static str,
        slots: &[u32],
        rows: &[f32],
        fields: &[Field],
        what: &str,
    ) -> Result<()> {
        match not_finite(rows, fields, what) {
            Some((position, what)) => {
                let failure = Failure { position: Some(position), ..Failure::about(callback, what) };
                Err(self.failed(slots, &failure))
            }
            None => Ok(()),
        }
    }

    fn failed(&self, slots: &[u32], failure: &Failure) -> Error {
        let place = failure.position.and_then(|i| slots.get(i)).map(|&slot| {
            let seed = self.seeds[slot as usize];
            format!(", slot {slot}, in the episode with seed {seed}")
        });
        while_running(&self.id, failure, &place.unwrap_or_default())
    }
}

/// The row and a sentence about the first number that is not finite; no fields: one number a row.
fn not_finite(rows: &[f32], fields: &[Field], what: &str) -> Option<(usize, String)> {
    let i = first_not_finite(rows)?;
    let width = fields.len().max(1);
    let name = fields.get(i % width).map(|field| format!(" `{}`", field.name)).unwrap_or_default();
    Some((i / width, format!("the {what}{name} is {}", rows[i])))
}
