//! Where the files of data sets are looked for, and where what is derived from them is kept.

use mamlx_plugin::Places;
use std::ffi::OsString;
use std::path::PathBuf;

/// The environment variable with folders of data, separated as in `PATH`.
pub const DATA: &str = "MAMLX_DATA";
/// The environment variable with the folder for derived files.
pub const CACHE: &str = "MAMLX_CACHE";

/// The folders of `--data-dir`, then those of `MAMLX_DATA`, then `data/` of the working folder, then the user's own.
pub fn standard(from_command_line: &[PathBuf]) -> Places {
    of(from_command_line, &|name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

/// The same, from the environment's variables.
pub fn of(from_command_line: &[PathBuf], variable: &dyn Fn(&str) -> Option<OsString>) -> Places {
    let mut folders = from_command_line.to_vec();
    if let Some(value) = variable(DATA) {
        folders.extend(std::env::split_paths(&value).filter(|folder| !folder.as_os_str().is_empty()));
    }
    folders.push("data".into());
    folders.extend(own(variable));
    let mut seen = std::collections::HashSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    Places { folders, cache: cache(variable) }
}

/// The user's data folder: XDG base directories on Linux, and what the other systems have instead.
fn own(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = || variable("HOME").map(PathBuf::from);
    let folder = if cfg!(windows) {
        variable("LOCALAPPDATA").map(PathBuf::from)?
    } else if cfg!(target_vendor = "apple") {
        home()?.join("Library/Application Support")
    } else {
        variable("XDG_DATA_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".local/share")))?
    };
    Some(folder.join("mamlx"))
}

fn cache(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(folder) = variable(CACHE) {
        return Some(folder.into());
    }
    let home = || variable("HOME").map(PathBuf::from);
    let folder = if cfg!(windows) {
        PathBuf::from(variable("LOCALAPPDATA")?).join("mamlx").join("cache")
    } else if cfg!(target_vendor = "apple") {
        home()?.join("Library/Caches/mamlx")
    } else {
        variable("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cache")))?.join("mamlx")
    };
    Some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(any(windows, target_vendor = "apple")))]
    fn folders_are_searched_in_the_documented_order() {
        let variable = |name: &str| match name {
            "MAMLX_DATA" => Some("/one:/two::/line".into()),
            "HOME" => Some("/home/a".into()),
            _ => None,
        };
        let places = of(&["/line".into()], &variable);
        let folders: Vec<&str> = places.folders.iter().map(|folder| folder.to_str().unwrap()).collect();
        assert_eq!(folders, ["/line", "/one", "/two", "data", "/home/a/.local/share/mamlx"]);
        assert_eq!(places.cache.unwrap(), PathBuf::from("/home/a/.cache/mamlx"));
        assert_eq!(of(&[], &|_| None), Places { folders: vec!["data".into()], cache: None });
    }
}
