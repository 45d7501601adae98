//! `mamlx.tasks/1`.

use super::door;
use crate::abi::{self, Error, Instance};
use crate::{Params, TaskDistribution};
use std::ffi::c_char;

struct Distribution<T> {
    inner: T,
    n_x: usize,
    n_y: usize,
    n_task: usize,
    description: String,
}

/// The function table of one distribution type.
pub const fn table<T: TaskDistribution>() -> abi::Tasks {
    abi::Tasks {
        struct_size: size_of::<abi::Tasks>(),
        create: create::<T>,
        destroy: destroy::<T>,
        describe: describe::<T>,
        sample_task: sample_task::<T>,
        sample: sample::<T>,
    }
}

unsafe extern "C" fn create<T: TaskDistribution>(
    params: *const c_char,
    out: *mut *mut Instance,
    error: *mut Error,
) -> i32 {
    let body = || {
        // SAFETY: the header's promise on `params`.
        let text = unsafe { door::params_text(params) }?;
        let inner = T::create(&Params::parse(T::DESCRIPTOR.parameters, text)?)?;
        let spaces = inner.describe();
        let distribution = Distribution {
            inner,
            n_x: spaces.x.len(),
            n_y: spaces.y.len(),
            n_task: spaces.task.len(),
            description: spaces.json(),
        };
        // SAFETY: the header's promise on `out`.
        unsafe { door::give(distribution, out) };
        Ok(())
    };
    // SAFETY: the header's promise on `error`.
    unsafe { door::enter(error, body) }
}

unsafe extern "C" fn destroy<T: TaskDistribution>(instance: *mut Instance, error: *mut Error) -> i32 {
    // SAFETY: the instance is one of `create::<T>`, and the header makes this its last use.
    unsafe { door::destroy::<Distribution<T>>(instance, error) }
}

unsafe extern "C" fn describe<T: TaskDistribution>(
    instance: *mut Instance,
    out: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut Error,
) -> i32 {
    // SAFETY: the instance is one of `create::<T>`; the header's promises on the rest.
    unsafe {
        door::with(instance, error, |this: &mut Distribution<T>| {
            door::describe(&this.description, out, capacity, length)
        })
    }
}

unsafe extern "C" fn sample_task<T: TaskDistribution>(
    instance: *mut Instance,
    seed: u64,
    task: *mut f32,
    error: *mut Error,
) -> i32 {
    // SAFETY: the instance is one of `create::<T>`, and `task` has one entry per task field.
    unsafe {
        door::with(instance, error, |this: &mut Distribution<T>| {
            this.inner.sample_task(seed, door::output(task, this.n_task, "task")?);
            Ok(())
        })
    }
}

unsafe extern "C" fn sample<T: TaskDistribution>(
    instance: *mut Instance,
    task: *const f32,
    seed: u64,
    n: u32,
    x: *mut f32,
    y: *mut f32,
    error: *mut Error,
) -> i32 {
    let body = |this: &mut Distribution<T>| {
        // SAFETY: the header's promises on the three arrays.
        let (task, x, y) = unsafe {
            (
                door::input(task, this.n_task, "task")?,
                door::output(x, n as usize * this.n_x, "x")?,
                door::output(y, n as usize * this.n_y, "y")?,
            )
        };
        this.inner.sample(task, seed, x, y).map_err(Into::into)
    };
    // SAFETY: the instance is one of `create::<T>`.
    unsafe { door::with(instance, error, body) }
}
