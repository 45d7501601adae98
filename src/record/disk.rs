//! Files that are either the old one or the new one, never half of each.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Ending of a file that is still being written; such files are swept when a run starts.
pub const UNFINISHED: &str = ".tmp";

/// Replaces a file in one step: write `<path>.tmp`, sync it, rename it, sync the folder.
///
/// Whatever happens, `path` holds either its old bytes or all of `bytes`. A failed sync is reported and never
/// repeated: the kernel may already have dropped the pages, so a second sync that succeeds proves nothing.
/// Errors: [`Error::Io`]; the unfinished file is removed where that is still possible.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.as_os_str().to_os_string();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    if let Err(error) = write_synced(&unfinished, bytes) {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    if let Err(source) = fs::rename(&unfinished, path) {
        let _ = fs::remove_file(&unfinished);
        return Err(Error::Io { path: path.to_path_buf(), action: "replace", source });
    }
    sync_folder(parent_of(path))
}

/// Makes the folder and all above it, and makes the name of each that is new durable.
pub fn make_folder(path: &Path) -> Result<()> {
    let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.is_dir();
    let new: Vec<&Path> = path.ancestors().take_while(is_new).collect();
    if new.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(Error::io("create the folder", path))?;
    new.iter().rev().try_for_each(|folder| sync_folder(parent_of(folder)))
}

/// Makes the names in a folder durable: a rename survives a power cut only after this.
pub fn sync_folder(folder: &Path) -> Result<()> {
    // Only Unix lets a folder be opened and synced; elsewhere the rename itself has to do.
    if cfg!(unix) {
        File::open(folder)
            .and_then(|handle| handle.sync_all())
            .map_err(Error::io("sync the folder", folder))?;
    }
    Ok(())
}

/// Adds how much was to be written when the disk is full.
pub fn explain(source: io::Error, bytes: usize) -> io::Error {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            io::Error::new(
                source.kind(),
                format!("{source}; {bytes} bytes were to be written. What was saved before is whole"),
            )
        }
        _ => source,
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(Error::io("create", path))?;
    file.write_all(bytes).map_err(|source| explain(source, bytes.len())).map_err(Error::io("write", path))?;
    file.sync_all().map_err(Error::io("sync", path))
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
