//! What every call through the C interface goes through: panics stop here, and reasons become messages.

use crate::abi::{self, Error, Instance};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Why a call did not succeed.
pub struct Fault {
    pub status: i32,
    pub position: u32,
    pub message: String,
}

impl Fault {
    pub fn bad_call(message: impl Into<String>) -> Self {
        Fault { status: abi::BAD_CALL, position: u32::MAX, message: message.into() }
    }

    /// Names the entry of the batch.
    pub fn at(self, position: usize) -> Self {
        Fault { position: position as u32, ..self }
    }
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Fault { status: abi::FAILED, position: u32::MAX, message }
    }
}

thread_local! {
    /// Whether this thread is inside a call, and which entry of the batch it is at.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static POSITION: Cell<u32> = const { Cell::new(u32::MAX) };
    /// Where the last panic inside a call happened.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Notes which entry of the batch is worked on, in case it panics.
pub fn working_on(position: usize) {
    POSITION.set(position as u32);
}

/// Panics inside a call are reported through the interface with their place; all others as before.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if INSIDE.get() {
                let place = info.location().map(|at| format!(" ({}:{})", at.file(), at.line()));
                PLACE.set(place.unwrap_or_default());
            } else {
                before(info);
            }
        }));
    });
}

/// Runs the body of a call. What it returns, or the panic that it ends in, becomes the status and the message.
///
/// # Safety
/// `error` is null or obeys the header.
pub unsafe fn enter(error: *mut Error, body: impl FnOnce() -> Result<(), Fault>) -> i32 {
    note_panics();
    INSIDE.set(true);
    POSITION.set(u32::MAX);
    let result = catch_unwind(AssertUnwindSafe(body));
    INSIDE.set(false);
    let fault = match result {
        Ok(Ok(())) => return abi::OK,
        Ok(Err(fault)) => fault,
        Err(payload) => {
            let message = format!("it panicked: {}{}", text_of(&*payload), PLACE.take());
            // Dropping a payload runs code of the plugin, which may panic again; a leak is the lesser evil.
            std::mem::forget(payload);
            Fault { status: abi::PANIC, position: POSITION.get(), message }
        }
    };
    // SAFETY: passed on from the caller.
    unsafe { report(error, &fault) };
    fault.status
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("with a value that is not a text")
}

/// # Safety
/// `error` is null or obeys the header.
unsafe fn report(error: *mut Error, fault: &Fault) {
    if error.is_null() {
        return;
    }
    // SAFETY: the header promises a struct that the caller owns and nobody else uses during the call.
    let error = unsafe { &mut *error };
    error.position = fault.position;
    // SAFETY: the header promises `capacity` bytes behind `message`.
    unsafe { put_text(&fault.message, error.message, error.capacity) };
}

/// Writes a text and a zero byte, cut at a character to what fits.
///
/// # Safety
/// `out` is null or has room for `capacity` bytes.
unsafe fn put_text(text: &str, out: *mut c_char, capacity: usize) {
    if out.is_null() || capacity == 0 {
        return;
    }
    let mut length = text.len().min(capacity - 1);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    // SAFETY: length < capacity, and the plugin's own text does not overlap the caller's buffer.
    unsafe {
        out.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), length);
        out.add(length).write(0);
    }
}

/// The body of every `describe`.
///
/// # Safety
/// `out` has room for `capacity` bytes and `length` may be written.
pub unsafe fn describe(
    text: &str,
    out: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Result<(), Fault> {
    // SAFETY: the header's promise, passed on.
    unsafe { length.write(text.len()) };
    if text.len() >= capacity {
        let message = format!("the description has {} bytes and the buffer {capacity}", text.len());
        return Err(Fault { status: abi::TOO_SMALL, position: u32::MAX, message });
    }
    // SAFETY: as above.
    unsafe { put_text(text, out, capacity) };
    Ok(())
}

/// The text of `create`'s parameters.
///
/// # Safety
/// `text` is null or ends with a zero byte.
pub unsafe fn params_text<'a>(text: *const c_char) -> Result<&'a str, Fault> {
    if text.is_null() {
        return Err(Fault::bad_call("`params` is null"));
    }
    // SAFETY: the header promises the zero byte.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| Fault::bad_call("`params` is not UTF-8"))
}

/// An instance and whether a panic has left it in an unknown state.
pub struct Guarded<T> {
    value: T,
    broken: bool,
}

/// Hands an instance to the host.
///
/// # Safety
/// `out` may be written.
pub unsafe fn give<T>(value: T, out: *mut *mut Instance) {
    // SAFETY: the header's promise, passed on.
    unsafe { out.write(Box::into_raw(Box::new(Guarded { value, broken: false })).cast()) }
}

/// Runs the body of a call on an instance.
///
/// # Safety
/// `instance` comes from [`give`] with the same T, is not destroyed, and no other call uses it; `error` as in [`enter`].
pub unsafe fn with<T>(
    instance: *mut Instance,
    error: *mut Error,
    body: impl FnOnce(&mut T) -> Result<(), Fault>,
) -> i32 {
    if instance.is_null() {
        // SAFETY: passed on.
        return unsafe { enter(error, || Err(Fault::bad_call("the instance is null"))) };
    }
    // SAFETY: by this function's contract the pointer is a live Guarded<T> that nobody else uses now.
    let guarded = unsafe { &mut *instance.cast::<Guarded<T>>() };
    // SAFETY: passed on.
    let status = unsafe {
        enter(error, || {
            if guarded.broken {
                return Err(Fault::bad_call(
                    "an earlier call on this instance panicked; it can only be destroyed",
                ));
            }
            body(&mut guarded.value)
        })
    };
    guarded.broken |= status == abi::PANIC;
    status
}

/// The body of every `destroy`.
///
/// # Safety
/// As for [`with`]; the instance is not used again.
pub unsafe fn destroy<T>(instance: *mut Instance, error: *mut Error) -> i32 {
    let body = || {
        if instance.is_null() {
            return Err(Fault::bad_call("the instance is null"));
        }
        // SAFETY: the pointer came from Box::into_raw in `give`, and this is its last use.
        drop(unsafe { Box::from_raw(instance.cast::<Guarded<T>>()) });
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { enter(error, body) }
}

/// A slice of a caller's array.
///
/// # Safety
/// `pointer` is valid for reading `length` entries during the call.
pub unsafe fn input<'a, T>(pointer: *const T, length: usize, name: &str) -> Result<&'a [T], Fault> {
    if length == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Fault::bad_call(format!("`{name}` is null")));
    }
    // SAFETY: by this function's contract.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// A slice of a caller's output array, which is filled with zeros, so that it need not be initialised.
///
/// # Safety
/// `pointer` is valid for writing `length` entries during the call, and nothing else refers to them.
pub unsafe fn output<'a, T>(pointer: *mut T, length: usize, name: &str) -> Result<&'a mut [T], Fault> {
    if length == 0 {
        return Ok(&mut []);
    }
    if pointer.is_null() {
        return Err(Fault::bad_call(format!("`{name}` is null")));
    }
    // SAFETY: by this function's contract; all-zero bytes are valid for the u8 and f32 that this is used with.
    unsafe {
        pointer.write_bytes(0, length);
        Ok(std::slice::from_raw_parts_mut(pointer, length))
    }
}
