//! Where the files of a data set are looked for.

use std::path::{Path, PathBuf};

/// What was looked for, where, and how to get it: the text of every "no data" error.
pub struct Missing<'a> {
    /// Such as "images_background.zip or a folder images_background".
    pub what: &'a str,
    pub looked_in: &'a [PathBuf],
    /// Such as "run `mamlx data fetch omniglot`".
    pub advice: &'a str,
}

impl std::fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let folder = |path: &PathBuf| {
            let note = if path.is_dir() { "" } else { " (no such folder)" };
            format!("{}{note}", path.display())
        };
        let folders: Vec<String> = self.looked_in.iter().map(folder).collect();
        write!(f, "there is no {}; looked in {}; {}", self.what, folders.join(", "), self.advice)
    }
}

/// The first of `names` that is there, folder by folder. Every folder is tried with `set` below it first:
/// `data/omniglot/images_background.zip`, then `data/images_background.zip`.
pub fn find(folders: &[PathBuf], set: &str, names: &[String]) -> Option<PathBuf> {
    let places = folders.iter().flat_map(|folder| [folder.join(set), folder.clone()]);
    let candidates = places.flat_map(|place| names.iter().map(move |name| place.join(name)));
    candidates.into_iter().find(|path: &PathBuf| Path::exists(path))
}
