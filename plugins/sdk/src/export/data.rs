//! `mamlx.data/1`.

use super::door::{self, Fault};
use crate::abi::{self, Error, Instance};
use crate::{Dataset, Params, Places};
use std::ffi::c_char;

struct Opened<D> {
    inner: D,
    item_length: usize,
    /// Number of items, by split and class.
    items: Vec<Vec<u32>>,
    description: String,
}

/// The function table of one dataset type.
pub const fn table<D: Dataset>() -> abi::Data {
    abi::Data {
        struct_size: size_of::<abi::Data>(),
        create: create::<D>,
        destroy: destroy::<D>,
        describe: describe::<D>,
        read: read::<D>,
        open: Some(open::<D>),
    }
}

unsafe extern "C" fn create<D: Dataset>(
    params: *const c_char,
    out: *mut *mut Instance,
    error: *mut Error,
) -> i32 {
    let body = || {
        // SAFETY: the header's promise on `params` and `out`.
        unsafe { give::<D>(door::params_text(params)?, Places::default(), out) }
    };
    // SAFETY: the header's promise on `error`.
    unsafe { door::enter(error, body) }
}

unsafe extern "C" fn open<D: Dataset>(
    params: *const c_char,
    places: *const c_char,
    out: *mut *mut Instance,
    error: *mut Error,
) -> i32 {
    let body = || {
        // SAFETY: the header's promise on the two texts and `out`.
        unsafe { give::<D>(door::params_text(params)?, Places::parse(door::params_text(places)?)?, out) }
    };
    // SAFETY: the header's promise on `error`.
    unsafe { door::enter(error, body) }
}

/// Makes an instance and hands it to the host.
///
/// # Safety
/// `out` may be written.
unsafe fn give<D: Dataset>(params: &str, places: Places, out: *mut *mut Instance) -> Result<(), Fault> {
    let params = Params::parse(D::DESCRIPTOR.parameters, params)?.with_places(places);
    let inner = D::create(&params)?;
    let spaces = inner.describe();
    let items = |split: &crate::Split| split.classes.iter().map(|class| class.items).collect();
    let opened = Opened {
        inner,
        item_length: spaces.item_length(),
        items: spaces.splits.iter().map(items).collect(),
        description: spaces.json(),
    };
    // SAFETY: passed on.
    unsafe { door::give(opened, out) };
    Ok(())
}

unsafe extern "C" fn destroy<D: Dataset>(instance: *mut Instance, error: *mut Error) -> i32 {
    // SAFETY: the instance is one of `create::<D>`, and the header makes this its last use.
    unsafe { door::destroy::<Opened<D>>(instance, error) }
}

unsafe extern "C" fn describe<D: Dataset>(
    instance: *mut Instance,
    out: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut Error,
) -> i32 {
    // SAFETY: the instance is one of `create::<D>`; the header's promises on the rest.
    unsafe {
        door::with(instance, error, |this: &mut Opened<D>| {
            door::describe(&this.description, out, capacity, length)
        })
    }
}

unsafe extern "C" fn read<D: Dataset>(
    instance: *mut Instance,
    split: u32,
    class: u32,
    items: *const u32,
    count: u32,
    out: *mut f32,
    error: *mut Error,
) -> i32 {
    let body = |this: &mut Opened<D>| {
        let (split, class, count) = (split as usize, class as usize, count as usize);
        let Some(&n_items) = this.items.get(split).and_then(|classes| classes.get(class)) else {
            return Err(Fault::bad_call(format!("there is no class {class} in split {split}")));
        };
        // SAFETY: the header's promises on the two arrays.
        let (items, out) = unsafe {
            (door::input(items, count, "items")?, door::output(out, count * this.item_length, "out")?)
        };
        if let Some(i) = items.iter().position(|&item| item >= n_items) {
            let message =
                format!("there is no item {} in class {class} of split {split}: it has {n_items}", items[i]);
            return Err(Fault::bad_call(message).at(i));
        }
        this.inner.read(split, class, items, out).map_err(Into::into)
    };
    // SAFETY: the instance is one of `create::<D>`.
    unsafe { door::with(instance, error, body) }
}
