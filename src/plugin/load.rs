//! Loads a library and shakes hands.

use super::info::PluginInfo;
use super::inspect::{inspect, wrong_version};
use super::places;
use crate::error::{Error, Result};
use crate::spec::PluginKind;
use mamlx_plugin::{Places, abi};
use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::offset_of;
use std::path::Path;
use std::time::Duration;

/// A loaded plugin. Libraries are never unloaded, because Rust's thread-locals make that unsafe, so every table stays
/// valid for the process's life.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub info: PluginInfo,
    pub(super) tables: Tables,
    /// Where a dataset looks for its files.
    pub places: Places,
    /// How an environment is drawn, if it can be.
    pub(super) render: Option<&'static abi::Render>,
    pub(super) get_feature: GetFeature,
    /// Environments run in processes of their own, in which a call may take so long.
    pub(super) isolation: Option<Duration>,
}

type GetFeature = unsafe extern "C" fn(*const c_char) -> *const c_void;

/// What a handshake brings.
struct Met {
    tables: Tables,
    render: Option<&'static abi::Render>,
    get_feature: GetFeature,
}

impl Plugin {
    /// The same plugin, which looks for data elsewhere.
    pub fn with_places(self, places: Places) -> Plugin {
        Plugin { places, ..self }
    }

    /// The same plugin, whose environments run in processes of their own (`Some`: the longest time of a call) or in this
    /// one.
    pub fn isolated(self, isolation: Option<Duration>) -> Plugin {
        Plugin { isolation, ..self }
    }
}

/// The function table of the plugin's kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tables {
    Env(&'static abi::Env),
    Tasks(&'static abi::Tasks),
    Data(&'static abi::Data),
}

/// Inspects, loads and shakes hands.
///
/// # Errors
/// `Error::Input` when anything about the library does not fit; its code has run only if the descriptor fitted.
pub fn load(path: &Path) -> Result<Plugin> {
    let info = inspect(path)?;
    let refuse = |why: String| Error::Input(format!("{} {why}", path.display()));
    let path = path.canonicalize().map_err(Error::io("open plugin", path))?;
    // SAFETY: loading runs the library's initialisers. Its descriptor says that it is a mamlx plugin for this machine,
    // and the header forbids initialisers that matter; beyond that, the user has chosen to trust the file.
    let library = unsafe { open(&path) }
        .map_err(|error| refuse(format!("cannot be loaded: {}", with_sources(&error))))?;
    let library = Box::leak(Box::new(library));
    // SAFETY: the header gives the symbol this type. Only its size prefix is believed before it is checked.
    let entry = unsafe { library.get::<*const abi::Plugin>(abi::ENTRY) };
    let entry = entry.map_err(|_| {
        refuse(format!(
            "exports no symbol {}: export it with the SDK's macro, or with MAMLX_EXPORT in C",
            abi::ENTRY
        ))
    })?;
    // SAFETY: the symbol is constant data of a library that stays loaded, and starts with a size.
    let Met { tables, render, get_feature } = unsafe { handshake(*entry, &info) }.map_err(refuse)?;
    Ok(Plugin { info, tables, places: places::standard(&[]), render, get_feature, isolation: None })
}

/// Resolves every symbol now rather than in the middle of a run, and keeps the plugins' symbols apart.
///
/// # Safety
/// As for `libloading::Library::new`: the library's initialisers run.
#[cfg(unix)]
unsafe fn open(path: &Path) -> std::result::Result<libloading::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // SAFETY: passed on.
    Ok(unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }?.into())
}

/// # Safety
/// As for `libloading::Library::new`: the library's initialisers run.
#[cfg(not(unix))]
unsafe fn open(path: &Path) -> std::result::Result<libloading::Library, libloading::Error> {
    // SAFETY: passed on.
    unsafe { libloading::Library::new(path) }
}

/// libloading's errors keep the system's reason in their source.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}

/// # Safety
/// `entry` is the plugin's exported struct, in a library that stays loaded.
unsafe fn handshake(entry: *const abi::Plugin, info: &PluginInfo) -> std::result::Result<Met, String> {
    // SAFETY: every version of the struct begins with its size.
    let size = unsafe { entry.cast::<usize>().read() };
    if size < size_of::<abi::Plugin>() {
        return Err(format!(
            "exports a {} of {size} bytes instead of {}: rebuild the plugin with this mamlx-plugin",
            abi::ENTRY,
            size_of::<abi::Plugin>()
        ));
    }
    // SAFETY: the struct has at least our members, and null function pointers are allowed for in its type.
    let entry = unsafe { &*entry };
    if let Some(why) = wrong_version(entry.abi_major as u64, entry.abi_minor as u64) {
        return Err(why);
    }
    if entry.descriptor.is_null() {
        return Err("exports no descriptor".to_owned());
    }
    // SAFETY: the header promises a text that ends with a zero byte.
    let text = unsafe { CStr::from_ptr(entry.descriptor) }.to_string_lossy();
    let same = super::info::parse(&text).is_ok_and(|loaded| {
        PluginInfo { path: info.path.clone(), sha256: info.sha256.clone(), ..loaded } == *info
    });
    if !same {
        return Err(
            "exports another descriptor than the one in its section: use the same text for both".to_owned()
        );
    }
    let get_feature = entry.get_feature.ok_or("exports no get_feature")?;
    let find = |feature: &str| {
        let id = CString::new(feature).expect("feature ids contain no zero byte");
        // SAFETY: the header lets any thread call it, with a text that ends with a zero byte.
        unsafe { get_feature(id.as_ptr()) }
    };
    let (kind, feature) = (info.kind_name(), info.feature());
    let found = find(feature);
    if found.is_null() {
        return Err(format!("says that its kind is {kind} but has no feature {feature}"));
    }
    // SAFETY: the header promises that the pointer is the feature's struct, valid while the library is loaded.
    let tables = unsafe {
        match info.kind {
            PluginKind::Environment => Tables::Env(table(found.cast(), feature)?),
            PluginKind::Tasks => Tables::Tasks(table(found.cast(), feature)?),
            PluginKind::Data => Tables::Data(data_table(found.cast(), feature)?),
        }
    };
    let drawn = if info.kind == PluginKind::Environment { find(abi::RENDER) } else { std::ptr::null() };
    // SAFETY: as above.
    let render = if drawn.is_null() { None } else { Some(unsafe { table(drawn.cast(), abi::RENDER) }?) };
    Ok(Met { tables, render, get_feature })
}

/// A dataset's table. One of version 1.0 ends before `open`; it is copied into one of ours, without `open`.
///
/// # Safety
/// As for [`table`].
unsafe fn data_table(
    pointer: *const abi::Data,
    feature: &str,
) -> std::result::Result<&'static abi::Data, String> {
    /// `mamlx_data` of version 1.0.
    #[repr(C)]
    struct First([usize; offset_of!(abi::Data, open) / size_of::<usize>()]);
    // SAFETY: passed on; the members up to `open` are a size and function pointers in both versions.
    let first = unsafe { table(pointer.cast::<First>(), feature) }?;
    if first.0[0] >= size_of::<abi::Data>() {
        // SAFETY: the table has every member, of which only `open` may be null, and its type allows for that.
        return Ok(unsafe { &*pointer });
    }
    let mut whole = std::mem::MaybeUninit::<abi::Data>::zeroed();
    // SAFETY: all members of the first version are there and not null, and a zero `open` is `None`.
    let whole = unsafe {
        whole.as_mut_ptr().cast::<First>().copy_from_nonoverlapping(first, 1);
        whole.assume_init()
    };
    Ok(Box::leak(Box::new(whole)))
}

/// Checks a table before it is used as one: large enough, no function missing.
///
/// # Safety
/// `T` is one of the SDK's tables, a size followed by function pointers; `pointer` points to the plugin's, valid for the
/// process's life.
unsafe fn table<T>(pointer: *const T, feature: &str) -> std::result::Result<&'static T, String> {
    let words = pointer.cast::<usize>();
    // SAFETY: every table begins with its size.
    let size = unsafe { words.read() };
    if size < size_of::<T>() {
        let ours = size_of::<T>();
        return Err(format!(
            "has a {feature} of {size} bytes instead of {ours}: rebuild it with this mamlx-plugin"
        ));
    }
    for i in 1..size_of::<T>() / size_of::<usize>() {
        // SAFETY: the table is that large, and a function pointer has the size of a word.
        if unsafe { words.add(i).read() } == 0 {
            return Err(format!("has a {feature} whose function {i} is null: every function is needed"));
        }
    }
    // SAFETY: no member is null, and the data is constant and stays.
    Ok(unsafe { &*pointer })
}
