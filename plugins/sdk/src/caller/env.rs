//! Safe calls into `mamlx.env/1`.

use super::{Door, Failure};
use crate::{EnvSpaces, abi};

/// One instance of an environment plugin.
pub struct Env {
    table: &'static abi::Env,
    door: Door,
    spaces: EnvSpaces,
    n_slots: u32,
}

// SAFETY: the header lets any thread call an instance, one call at a time, and every method takes `&mut self`.
unsafe impl Send for Env {}

impl Env {
    /// Creates an instance and reads its description.
    ///
    /// # Safety
    /// The table's functions keep the rules of `mamlx_plugin.h`, and its library stays loaded.
    pub unsafe fn new(table: &'static abi::Env, params: &str, n_slots: u32) -> Result<Self, Failure> {
        let door = Door::create(params, table.destroy, |params, out, error| {
            // SAFETY: the caller vouches for the table; the pointers are valid during the call.
            unsafe { (table.create)(params, n_slots, out, error) }
        })?;
        let spaces = EnvSpaces { observation: vec![], action: vec![], task: vec![] };
        let mut env = Env { table, door, spaces, n_slots };
        let text = env.door.describe(table.describe)?;
        env.spaces = EnvSpaces::parse(&text).map_err(|why| Failure::about("describe", why))?;
        Ok(env)
    }

    /// Names, units and bounds of the vectors.
    pub fn spaces(&self) -> &EnvSpaces {
        &self.spaces
    }

    pub fn n_slots(&self) -> u32 {
        self.n_slots
    }

    /// Draws a task; `task` is [task fields].
    pub fn sample_task(&mut self, seed: u64, task: &mut [f32]) -> Result<(), Failure> {
        assert_eq!(task.len(), self.spaces.task.len(), "task");
        let sample_task = self.table.sample_task;
        // SAFETY: by the contract of `new`, and the length is checked.
        self.door.call("sample_task", |instance, error| unsafe {
            sample_task(instance, seed, task.as_mut_ptr(), error)
        })
    }

    /// Begins an episode in each of the slots. seeds: `[slots]`; tasks: [slots, task fields]; obs: [slots, observation
    /// fields].
    pub fn reset(
        &mut self,
        slots: &[u32],
        seeds: &[u64],
        tasks: &[f32],
        obs: &mut [f32],
    ) -> Result<(), Failure> {
        let count = self.count(slots);
        assert_eq!(seeds.len(), slots.len(), "seeds");
        assert_eq!(tasks.len(), slots.len() * self.spaces.task.len(), "tasks");
        assert_eq!(obs.len(), slots.len() * self.spaces.observation.len(), "obs");
        let reset = self.table.reset;
        // SAFETY: by the contract of `new`, and every length is checked.
        self.door.call("reset", |instance, error| unsafe {
            reset(instance, slots.as_ptr(), count, seeds.as_ptr(), tasks.as_ptr(), obs.as_mut_ptr(), error)
        })
    }

    /// Moves each of the slots one step. actions: [slots, action fields]; obs: [slots, observation fields]; rewards and
    /// terminated: `[slots]`.
    pub fn step(
        &mut self,
        slots: &[u32],
        actions: &[f32],
        obs: &mut [f32],
        rewards: &mut [f32],
        terminated: &mut [u8],
    ) -> Result<(), Failure> {
        let count = self.count(slots);
        assert_eq!(actions.len(), slots.len() * self.spaces.action.len(), "actions");
        assert_eq!(obs.len(), slots.len() * self.spaces.observation.len(), "obs");
        assert_eq!(rewards.len(), slots.len(), "rewards");
        assert_eq!(terminated.len(), slots.len(), "terminated");
        let step = self.table.step;
        // SAFETY: by the contract of `new`, and every length is checked.
        self.door.call("step", |instance, error| unsafe {
            let (obs, rewards) = (obs.as_mut_ptr(), rewards.as_mut_ptr());
            step(
                instance,
                slots.as_ptr(),
                count,
                actions.as_ptr(),
                obs,
                rewards,
                terminated.as_mut_ptr(),
                error,
            )
        })
    }

    /// Ends the instance and says how that went; dropping it ends it silently.
    pub fn destroy(mut self) -> Result<(), Failure> {
        self.door.end()
    }

    fn count(&self, slots: &[u32]) -> u32 {
        assert!(slots.iter().all(|&slot| slot < self.n_slots), "slots");
        slots.len() as u32
    }
}
