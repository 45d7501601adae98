//! One process per run folder, by an advisory lock that the system drops when its owner dies.

use crate::error::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Name of the lock's file. Its text says who holds it; the lock itself is the operating system's.
pub const LOCK_FILE: &str = ".lock";

/// Held for as long as this value lives; released by the system even after `kill -9`.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of a folder.
    ///
    /// Errors: [`Error::Input`] naming the process that holds it; [`Error::Io`] when the file cannot be opened,
    /// or when the file system has no locks.
    pub fn take(folder: &Path) -> Result<FolderLock> {
        let path = folder.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // The owner's text is a courtesy; without it the refusal still stands.
                let _ = file.read_to_string(&mut owner);
                let owner = if owner.trim().is_empty() { "another process" } else { owner.trim() };
                return Err(Error::Input(format!(
                    "{} is in use by {owner}: wait until it ends, stop it, or give this run another folder with --out",
                    folder.display()
                )));
            }
            Err(TryLockError::Error(source)) => return Err(Error::Io { path, action: "lock", source }),
        }
        let text = format!("process {} on {}\n", std::process::id(), host_name());
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(Error::io("write", &path))?;
        Ok(FolderLock { _file: file })
    }
}

/// The process that works in a folder, as its lock's text names it; `None` where it is no longer there. The lock itself
/// is not touched: a run that starts at this very moment must not find it taken by somebody who only looks.
pub fn owner(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(LOCK_FILE)).ok()?;
    let (process, host) = text.trim().strip_prefix("process ")?.split_once(" on ")?;
    let here = host == host_name();
    let gone = here && cfg!(target_os = "linux") && !Path::new("/proc").join(process).exists();
    (!gone).then(|| text.trim().to_string())
}

fn host_name() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = from_kernel.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    if name.trim().is_empty() { "this machine".to_string() } else { name.trim().to_string() }
}
