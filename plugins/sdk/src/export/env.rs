//! `mamlx.env/1`: n single environments behind one batched instance.

use super::door::{self, Fault};
use crate::abi::{self, Error, Instance};
use crate::{Environment, Params};
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

pub(super) struct Slots<E> {
    envs: Vec<E>,
    /// Whether an episode is under way in each slot.
    running: Vec<bool>,
    /// Whether each slot has ever been reset with success.
    begun: Vec<bool>,
    n_obs: usize,
    n_act: usize,
    n_task: usize,
    description: String,
}

/// The function table of one environment type.
pub const fn table<E: Environment>() -> abi::Env {
    abi::Env {
        struct_size: size_of::<abi::Env>(),
        create: create::<E>,
        destroy: destroy::<E>,
        describe: describe::<E>,
        sample_task: sample_task::<E>,
        reset: reset::<E>,
        step: step::<E>,
    }
}

unsafe extern "C" fn create<E: Environment>(
    params: *const c_char,
    n_slots: u32,
    out: *mut *mut Instance,
    error: *mut Error,
) -> i32 {
    let body = || {
        // SAFETY: the header's promise on `params`.
        let text = unsafe { door::params_text(params) }?;
        let params = Params::parse(E::DESCRIPTOR.parameters, text)?;
        if n_slots == 0 {
            return Err(Fault::bad_call("an instance has at least one slot"));
        }
        let envs = (0..n_slots).map(|_| E::create(&params)).collect::<Result<Vec<E>, String>>()?;
        let spaces = envs[0].describe();
        let slots = Slots {
            running: vec![false; envs.len()],
            begun: vec![false; envs.len()],
            envs,
            n_obs: spaces.observation.len(),
            n_act: spaces.action.len(),
            n_task: spaces.task.len(),
            description: spaces.json(),
        };
        // SAFETY: the header's promise on `out`.
        unsafe { door::give(slots, out) };
        Ok(())
    };
    // SAFETY: the header's promise on `error`.
    unsafe { door::enter(error, body) }
}

unsafe extern "C" fn destroy<E: Environment>(instance: *mut Instance, error: *mut Error) -> i32 {
    // SAFETY: the instance is one of `create::<E>`, and the header makes this its last use.
    unsafe { door::destroy::<Slots<E>>(instance, error) }
}

unsafe extern "C" fn describe<E: Environment>(
    instance: *mut Instance,
    out: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut Error,
) -> i32 {
    // SAFETY: the instance is one of `create::<E>`; the header's promises on the rest.
    unsafe {
        door::with(instance, error, |slots: &mut Slots<E>| {
            door::describe(&slots.description, out, capacity, length)
        })
    }
}

unsafe extern "C" fn sample_task<E: Environment>(
    instance: *mut Instance,
    seed: u64,
    task: *mut f32,
    error: *mut Error,
) -> i32 {
    // SAFETY: the instance is one of `create::<E>`, and `task` has one entry per task field.
    unsafe {
        door::with(instance, error, |slots: &mut Slots<E>| {
            slots.envs[0].sample_task(seed, door::output(task, slots.n_task, "task")?);
            Ok(())
        })
    }
}

unsafe extern "C" fn reset<E: Environment>(
    instance: *mut Instance,
    numbers: *const u32,
    count: u32,
    seeds: *const u64,
    tasks: *const f32,
    obs: *mut f32,
    error: *mut Error,
) -> i32 {
    let body = |slots: &mut Slots<E>| {
        let count = count as usize;
        // SAFETY: the header's promises: every array has `count` rows.
        let (numbers, seeds, tasks, obs) = unsafe {
            (
                door::input(numbers, count, "slots")?,
                door::input(seeds, count, "seeds")?,
                door::input(tasks, count * slots.n_task, "tasks")?,
                door::output(obs, count * slots.n_obs, "obs")?,
            )
        };
        for (i, (&slot, &seed)) in numbers.iter().zip(seeds).enumerate() {
            door::working_on(i);
            let slot = slots.check(slot, i)?;
            slots.running[slot] = false;
            let (task, obs) = (row(tasks, i, slots.n_task), row_mut(obs, i, slots.n_obs));
            slots.envs[slot].reset(seed, task, obs).map_err(|message| Fault::from(message).at(i))?;
            slots.running[slot] = true;
            slots.begun[slot] = true;
        }
        Ok(())
    };
    // SAFETY: the instance is one of `create::<E>`.
    unsafe { door::with(instance, error, body) }
}

#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn step<E: Environment>(
    instance: *mut Instance,
    numbers: *const u32,
    count: u32,
    actions: *const f32,
    obs: *mut f32,
    rewards: *mut f32,
    terminated: *mut u8,
    error: *mut Error,
) -> i32 {
    let body = |slots: &mut Slots<E>| {
        let count = count as usize;
        // SAFETY: the header's promises: every array has `count` rows.
        let (numbers, actions, obs, rewards, terminated) = unsafe {
            (
                door::input(numbers, count, "slots")?,
                door::input(actions, count * slots.n_act, "actions")?,
                door::output(obs, count * slots.n_obs, "obs")?,
                door::output(rewards, count, "rewards")?,
                door::output(terminated, count, "terminated")?,
            )
        };
        for (i, &slot) in numbers.iter().enumerate() {
            door::working_on(i);
            let slot = slots.check(slot, i)?;
            if !slots.running[slot] {
                let message = format!("slot {slot} has no episode under way: reset it first");
                return Err(Fault::bad_call(message).at(i));
            }
            let (action, obs) = (row(actions, i, slots.n_act), row_mut(obs, i, slots.n_obs));
            if let Some(k) = action.iter().position(|a| !a.is_finite()) {
                return Err(Fault::bad_call(format!("action entry {k} is {}", action[k])).at(i));
            }
            let step = slots.envs[slot].step(action, obs).map_err(|message| Fault::from(message).at(i))?;
            rewards[i] = step.reward;
            terminated[i] = step.terminated as u8;
            slots.running[slot] = !step.terminated;
        }
        Ok(())
    };
    // SAFETY: the instance is one of `create::<E>`.
    unsafe { door::with(instance, error, body) }
}

impl<E> Drop for Slots<E> {
    /// Drops the environments one by one: a second panic while one unwinds would abort the host.
    fn drop(&mut self) {
        let mut first = None;
        while let Some(env) = self.envs.pop() {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(env))) {
                first.get_or_insert(payload);
            }
        }
        if let Some(payload) = first {
            resume_unwind(payload);
        }
    }
}

impl<E> Slots<E> {
    /// Any of the environments, for what all share.
    pub(super) fn first(&self) -> &E {
        &self.envs[0]
    }

    /// The environment of a slot whose episode has begun, and may have ended.
    pub(super) fn begun(&self, slot: u32) -> Result<&E, Fault> {
        let slot = self.check(slot, 0)?;
        if self.begun[slot] {
            return Ok(&self.envs[slot]);
        }
        Err(Fault::bad_call(format!("slot {slot} has had no episode: reset it first")))
    }

    fn check(&self, slot: u32, position: usize) -> Result<usize, Fault> {
        if (slot as usize) < self.envs.len() {
            return Ok(slot as usize);
        }
        let message = format!("there is no slot {slot}: the instance has {}", self.envs.len());
        Err(Fault::bad_call(message).at(position))
    }
}

fn row(flat: &[f32], i: usize, width: usize) -> &[f32] {
    &flat[i * width..(i + 1) * width]
}

fn row_mut(flat: &mut [f32], i: usize, width: usize) -> &mut [f32] {
    &mut flat[i * width..(i + 1) * width]
}
