//! `mamlx.render/1`: the slots of an environment instance as shapes.

use super::door::{self, Fault};
use super::env::Slots;
use crate::Render;
use crate::abi::{self, Error, Instance};
use std::ffi::c_char;

/// The function table of one environment type that can be drawn.
pub const fn table<E: Render>() -> abi::Render {
    abi::Render { struct_size: size_of::<abi::Render>(), describe: describe::<E>, shapes: shapes::<E> }
}

unsafe extern "C" fn describe<E: Render>(
    instance: *mut Instance,
    out: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut Error,
) -> i32 {
    // SAFETY: the instance is one of the environment table of the same type; the header's promises on the rest.
    unsafe {
        door::with(instance, error, |slots: &mut Slots<E>| {
            door::describe(&slots.first().view().json(), out, capacity, length)
        })
    }
}

unsafe extern "C" fn shapes<E: Render>(
    instance: *mut Instance,
    slot: u32,
    out: *mut abi::Shape,
    capacity: usize,
    count: *mut usize,
    error: *mut Error,
) -> i32 {
    let body = |slots: &mut Slots<E>| {
        let mut shapes = vec![];
        slots.begun(slot)?.shapes(&mut shapes);
        // SAFETY: the header's promise on `count`.
        unsafe { count.write(shapes.len()) };
        if shapes.len() > capacity {
            let message = format!("there are {} shapes and room for {capacity}", shapes.len());
            return Err(Fault { status: abi::TOO_SMALL, position: u32::MAX, message });
        }
        for (i, shape) in shapes.iter().enumerate() {
            let ([x1, y1], [x2, y2]) = (shape.from, shape.to);
            let shape = abi::Shape { x1, y1, x2, y2, radius: shape.radius, role: shape.role as u32 };
            // SAFETY: the header promises room for `capacity` shapes, and i is below it.
            unsafe { out.add(i).write(shape) };
        }
        Ok(())
    };
    // SAFETY: the instance is one of the environment table of the same type.
    unsafe { door::with(instance, error, body) }
}
