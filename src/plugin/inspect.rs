//! Reads a library file without running anything in it, and refuses what could not be loaded.

use super::find::library_name;
use super::info::{self, PluginInfo};
use crate::error::{Error, Result};
use mamlx_plugin::abi;
use object::{Architecture, BinaryFormat, Object, ObjectKind, ObjectSection};
use sha2::{Digest, Sha256};
use std::path::Path;

/// No plugin is larger than this; a larger file is not read.
const MAX_FILE: u64 = 2 << 30;

/// What the library says about itself.
///
/// # Errors
/// `Error::Input` with one sentence each for: an empty file, not a library, built for another machine, no descriptor,
/// a broken descriptor, another interface version, a file whose name is not the plugin's.
pub fn inspect(path: &Path) -> Result<PluginInfo> {
    inspect_any(path)?.ok_or_else(|| {
        Error::Input(format!(
            "{} is a library but not a mamlx plugin: it has no section {}. A Rust plugin gets it from export_env!, \
             export_tasks! or export_data!, a C plugin from MAMLX_DESCRIPTOR",
            path.display(),
            abi::SECTION
        ))
    })
}

/// The same, with `None` for a sound library that has nothing to do with mamlx.
pub(super) fn inspect_any(path: &Path) -> Result<Option<PluginInfo>> {
    let size = std::fs::metadata(path).map_err(Error::io("read plugin", path))?.len();
    let refuse = |why: String| Err(Error::Input(format!("{} {why}", path.display())));
    if size == 0 {
        return refuse("is an empty file: build the plugin again".to_owned());
    }
    if size > MAX_FILE {
        return refuse(format!("has {size} bytes, which no plugin has"));
    }
    let bytes = std::fs::read(path).map_err(Error::io("read plugin", path))?;
    match described(&bytes) {
        Err(why) => refuse(why),
        Ok(None) => Ok(None),
        Ok(Some(info)) if library_name(path).is_some_and(|name| name != info.id) => refuse(format!(
            "contains the plugin `{0}`: give the file the name {1}",
            info.id,
            libloading::library_filename(&info.id).display()
        )),
        Ok(Some(info)) => {
            Ok(Some(PluginInfo { path: path.to_owned(), sha256: hex(&Sha256::digest(&bytes)), ..info }))
        }
    }
}

/// What a library's bytes say about it, without path and hash; `None` where it has nothing to do with mamlx.
///
/// # Errors
/// As for [`inspect`], each the rest of a sentence that begins with the path.
pub fn described(bytes: &[u8]) -> std::result::Result<Option<PluginInfo>, String> {
    let Some(text) = descriptor(bytes)? else { return Ok(None) };
    if let Some(why) = info::abi_of(&text).and_then(|(major, minor)| wrong_version(major, minor)) {
        return Err(why);
    }
    let broken = |why| format!("has a broken descriptor: {why}. Build the plugin again, or tell its author");
    info::parse(&text).map(Some).map_err(broken)
}

/// The descriptor's text, if there is one; the error continues a sentence that begins with the path.
fn descriptor(bytes: &[u8]) -> std::result::Result<Option<String>, String> {
    let Ok(file) = object::File::parse(bytes) else {
        return Err(
            "is not a dynamic library: build the plugin again, with crate-type = [\"cdylib\", \"rlib\"]"
                .into(),
        );
    };
    if file.kind() != ObjectKind::Dynamic {
        return Err("is an object file but not a dynamic library: link it as one".into());
    }
    let ours = if cfg!(target_os = "windows") {
        BinaryFormat::Pe
    } else if cfg!(target_vendor = "apple") {
        BinaryFormat::MachO
    } else {
        BinaryFormat::Elf
    };
    if file.format() != ours || !is_this_machine(file.architecture()) {
        return Err(format!(
            "is built for another machine ({:?}, {:?}): build the plugin for {} {}",
            file.format(),
            file.architecture(),
            std::env::consts::OS,
            std::env::consts::ARCH
        ));
    }
    let Some(section) = file.section_by_name(abi::SECTION) else { return Ok(None) };
    let data =
        section.data().map_err(|error| format!("has an unreadable section {}: {error}", abi::SECTION))?;
    let mut texts = data.split(|&byte| byte == 0).filter(|text| !text.is_empty());
    let text = texts.next().ok_or("has an empty descriptor: build the plugin again")?;
    if texts.next().is_some() {
        return Err("contains more than one plugin: a library holds one".into());
    }
    String::from_utf8(text.to_vec()).map(Some).map_err(|_| "has a descriptor that is not UTF-8".into())
}

/// Why an interface version does not fit, if it does not.
pub(super) fn wrong_version(major: u64, minor: u64) -> Option<String> {
    let (our_major, our_minor) = (abi::MAJOR as u64, abi::MINOR as u64);
    let what = format!(
        "speaks version {major}.{minor} of the plugin interface, and this mamlx {our_major}.{our_minor}"
    );
    if major < our_major {
        Some(format!("{what}: rebuild the plugin with a newer mamlx-plugin"))
    } else if major > our_major {
        Some(format!("{what}: update mamlx, or rebuild the plugin with an older mamlx-plugin"))
    } else if minor > our_minor {
        Some(format!("{what}, which lacks what it may need: update mamlx"))
    } else {
        None
    }
}

fn is_this_machine(architecture: Architecture) -> bool {
    match std::env::consts::ARCH {
        "x86_64" => architecture == Architecture::X86_64,
        "aarch64" => architecture == Architecture::Aarch64,
        "riscv64" => architecture == Architecture::Riscv64,
        // Elsewhere the system's loader decides.
        _ => true,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
