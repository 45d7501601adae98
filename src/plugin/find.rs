//! Where plugins are looked for.

use super::inspect::inspect;
use super::load::{Plugin, load};
use super::places;
use crate::error::{Error, Result};
use crate::spec::nearest;
use mamlx_plugin::Places;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The environment variable with further folders, separated as in `PATH`.
pub const VARIABLE: &str = "MAMLX_PLUGIN_PATH";

/// The folders that are searched, in order; the first library of a name wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPath {
    pub folders: Vec<PathBuf>,
    /// Where loaded datasets look for their files.
    pub places: Places,
}

impl SearchPath {
    /// The folders of `--plugin-path`, then those of `MAMLX_PLUGIN_PATH`, then the executable's own.
    pub fn new(from_command_line: &[PathBuf]) -> Self {
        Self::of(from_command_line, std::env::var_os(VARIABLE), std::env::current_exe().ok())
    }

    /// The same, from the variable's value and the executable's path.
    pub fn of(
        from_command_line: &[PathBuf],
        variable: Option<OsString>,
        executable: Option<PathBuf>,
    ) -> Self {
        let mut folders = from_command_line.to_vec();
        if let Some(variable) = variable {
            folders.extend(std::env::split_paths(&variable).filter(|folder| !folder.as_os_str().is_empty()));
        }
        folders.extend(executable.and_then(|path| path.parent().map(Path::to_owned)));
        let mut seen = std::collections::HashSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        SearchPath { folders, places: places::standard(&[]) }
    }

    /// The same, with folders of data in front of the usual ones.
    pub fn with_data(self, folders: &[PathBuf]) -> Self {
        SearchPath { places: places::standard(folders), ..self }
    }

    /// Finds and loads a plugin; a dataset looks for its files in these places.
    pub fn load(&self, name: &str) -> Result<Plugin> {
        Ok(Plugin { places: self.places.clone(), ..load(&self.find(name)?)? })
    }

    /// The library of a plugin's name.
    ///
    /// # Errors
    /// Not found: with the folders, the nearest name and the plugins that are there.
    pub fn find(&self, name: &str) -> Result<PathBuf> {
        if !is_name(name) {
            return Err(Error::Input(format!(
                "`{name}` is not a plugin's name: give the name alone, such as `point`, and its folder with \
                 `--plugin-path FOLDER`"
            )));
        }
        let file = format!("{DLL_PREFIX}{name}{DLL_SUFFIX}");
        let found = self.folders.iter().map(|folder| folder.join(&file)).find(|path| path.is_file());
        found.ok_or_else(|| self.not_found(name, &file))
    }

    fn not_found(&self, name: &str, file: &str) -> Error {
        let mut names: Vec<String> =
            self.libraries().iter().filter_map(|path| Some(inspect(path).ok()?.id)).collect();
        names.sort();
        names.dedup();
        let folder = |folder: &PathBuf| {
            let note = if folder.is_dir() { "" } else { "  (no such folder)" };
            format!("\n  {}{note}", folder.display())
        };
        let folders: Vec<String> = self.folders.iter().map(folder).collect();
        let mut text = format!("there is no plugin `{name}`: no file {file} in{}", folders.concat());
        if let Some(near) = nearest(name, names.iter().map(String::as_str)) {
            text += &format!("\ndid you mean `{near}`?");
        }
        text += &match names.len() {
            0 => "\nno plugins are there; `cargo build --release` builds those of this repository".to_owned(),
            _ => format!("\nplugins found: {}", names.join(", ")),
        };
        text += "\nadd a folder with `--plugin-path FOLDER` or the variable MAMLX_PLUGIN_PATH";
        Error::Input(text)
    }

    /// Every dynamic library in the folders, plugin or not, in search order and sorted within a folder.
    pub fn libraries(&self) -> Vec<PathBuf> {
        let mut all = vec![];
        for folder in &self.folders {
            let Ok(entries) = std::fs::read_dir(folder) else { continue };
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.retain(|path| library_name(path).is_some() && path.is_file());
            paths.sort();
            all.extend(paths);
        }
        all
    }
}

/// `point` for `…/libpoint.so`.
pub fn library_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_prefix(DLL_PREFIX)?.strip_suffix(DLL_SUFFIX)
}

/// What a plugin may be called; no other text reaches the file system.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_not_a_name() {
        let path = SearchPath::default();
        for name in ["../evil", "/lib/libc", "a.so", ""] {
            assert!(path.find(name).unwrap_err().to_string().contains("not a plugin's name"), "{name}");
        }
    }
}
