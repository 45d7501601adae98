//! The C structs of `include/mamlx_plugin.h`, member for member. The header is the contract; read it there.
//!
//! Every function pointer is called under the header's rules: one call at a time with one instance, pointers valid
//! during the call, every output written in full before [`OK`] is returned.

use std::ffi::{c_char, c_void};

/// A host refuses another major version …
pub const MAJOR: u32 = 1;
/// … and a newer minor one.
pub const MINOR: u32 = 1;

pub const OK: i32 = 0;
/// The plugin cannot do it; the message says why.
pub const FAILED: i32 = 1;
/// A bug in the plugin, caught at its door.
pub const PANIC: i32 = 2;
/// The host broke a rule of the interface.
pub const BAD_CALL: i32 = 3;
/// The buffer is too small; the needed length has been written.
pub const TOO_SMALL: i32 = 4;

/// Name of the exported symbol.
pub const ENTRY: &str = "mamlx_plugin_v1";
/// Name of the section that holds the descriptor (Mach-O: `__DATA,__mamlx`).
pub const SECTION: &str = if cfg!(target_vendor = "apple") { "__mamlx" } else { ".mamlx" };

pub const ENV: &str = "mamlx.env/1";
pub const TASKS: &str = "mamlx.tasks/1";
pub const DATA: &str = "mamlx.data/1";
pub const RENDER: &str = "mamlx.render/1";

/// `mamlx_error`: where a call puts its reason.
#[derive(Debug)]
#[repr(C)]
pub struct Error {
    pub struct_size: usize,
    pub message: *mut c_char,
    pub capacity: usize,
    /// Entry of the batch that failed, or `u32::MAX`.
    pub position: u32,
}

/// `mamlx_instance`: belongs to the plugin; only its address is known outside.
#[repr(C)]
pub struct Instance {
    private: [u8; 0],
}

type Create = unsafe extern "C" fn(*const c_char, *mut *mut Instance, *mut Error) -> i32;
type Open = unsafe extern "C" fn(*const c_char, *const c_char, *mut *mut Instance, *mut Error) -> i32;
type Destroy = unsafe extern "C" fn(*mut Instance, *mut Error) -> i32;
type Describe = unsafe extern "C" fn(*mut Instance, *mut c_char, usize, *mut usize, *mut Error) -> i32;
type SampleTask = unsafe extern "C" fn(*mut Instance, u64, *mut f32, *mut Error) -> i32;

/// `mamlx_env`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Env {
    pub struct_size: usize,
    pub create: unsafe extern "C" fn(*const c_char, u32, *mut *mut Instance, *mut Error) -> i32,
    pub destroy: Destroy,
    pub describe: Describe,
    pub sample_task: SampleTask,
    pub reset: unsafe extern "C" fn(
        *mut Instance,
        *const u32,
        u32,
        *const u64,
        *const f32,
        *mut f32,
        *mut Error,
    ) -> i32,
    pub step: unsafe extern "C" fn(
        *mut Instance,
        *const u32,
        u32,
        *const f32,
        *mut f32,
        *mut f32,
        *mut u8,
        *mut Error,
    ) -> i32,
}

/// `mamlx_tasks`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Tasks {
    pub struct_size: usize,
    pub create: Create,
    pub destroy: Destroy,
    pub describe: Describe,
    pub sample_task: SampleTask,
    pub sample:
        unsafe extern "C" fn(*mut Instance, *const f32, u64, u32, *mut f32, *mut f32, *mut Error) -> i32,
}

/// `mamlx_data`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Data {
    pub struct_size: usize,
    pub create: Create,
    pub destroy: Destroy,
    pub describe: Describe,
    pub read: unsafe extern "C" fn(*mut Instance, u32, u32, *const u32, u32, *mut f32, *mut Error) -> i32,
    /// Since 1.1; a plugin of 1.0 ends before it.
    pub open: Option<Open>,
}

/// `mamlx_shape`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Shape {
    pub x1: f32,
    pub y1: f32,
    pub x2: f32,
    pub y2: f32,
    pub radius: f32,
    pub role: u32,
}

/// `mamlx_render`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Render {
    pub struct_size: usize,
    pub describe: Describe,
    pub shapes: unsafe extern "C" fn(*mut Instance, u32, *mut Shape, usize, *mut usize, *mut Error) -> i32,
}

/// `mamlx_plugin`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Plugin {
    pub struct_size: usize,
    pub abi_major: u32,
    pub abi_minor: u32,
    pub descriptor: *const c_char,
    /// `None` stands for a null pointer, which a foreign library may contain.
    pub get_feature: Option<unsafe extern "C" fn(*const c_char) -> *const c_void>,
}

// SAFETY: a Plugin is constant data, and its descriptor points to constant data of the same library.
unsafe impl Sync for Plugin {}
