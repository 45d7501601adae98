//! Copies of local files, into the data folder under their own names.

use crate::error::{Error, Result};
use crate::plugin::{Places, Plugin};
use crate::spec::ParamValue;
use mamlx_images::Source;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Copies files and folders into `<home>/<plugin>/`, after the plugin has opened the copies. Nothing is left behind
/// when it refuses them.
///
/// # Errors
/// `Error::Input`: the plugin's reason, or a file that is there already. `Error::Io`.
pub fn import(
    plugin: &Plugin,
    params: &BTreeMap<String, ParamValue>,
    paths: &[PathBuf],
    home: &Path,
) -> Result<Vec<PathBuf>> {
    let folder = home.join(&plugin.info.id);
    let mut targets = vec![];
    for path in paths {
        let own = path.canonicalize().map_err(Error::io("read", path))?;
        let Some(name) = own.file_name() else {
            return Err(Error::Input(format!("{} has no name of its own", path.display())));
        };
        let target = folder.join(name);
        if target.exists() {
            return Err(Error::Input(format!("{} is there already; remove it first", target.display())));
        }
        targets.push((own, target));
    }
    let stage = Stage(home.join(format!(".importing-{}", std::process::id())));
    let staged = stage.0.join(&plugin.info.id);
    fs::create_dir_all(&staged).map_err(Error::io("make the folder", &staged))?;
    for (own, target) in &targets {
        copy(own, &staged.join(target.file_name().unwrap_or_default()))?;
    }
    // Files that were imported earlier count: a set may come in several commands.
    let folders = vec![stage.0.clone(), home.to_owned()];
    let places = Places { folders, cache: plugin.places.cache.clone() };
    plugin.clone().with_places(places).data(params)?;
    fs::create_dir_all(&folder).map_err(Error::io("make the folder", &folder))?;
    for (_, target) in &targets {
        let from = staged.join(target.file_name().unwrap_or_default());
        fs::rename(&from, target).map_err(Error::io("write", target))?;
    }
    Ok(targets.into_iter().map(|(_, target)| target).collect())
}

/// A folder that is removed again, whatever happens.
struct Stage(PathBuf);

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Of a folder, its regular files: links and devices inside it are refused.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(|_| ()).map_err(Error::io("copy to", to));
    }
    let source = Source::open(from).map_err(Error::Input)?;
    fs::create_dir_all(to).map_err(Error::io("make the folder", to))?;
    for member in source.members() {
        let (from, to) = (from.join(&member.name), to.join(&member.name));
        let parent = to.parent().unwrap_or(&to);
        fs::create_dir_all(parent).map_err(Error::io("make the folder", parent))?;
        fs::copy(&from, &to).map_err(Error::io("copy to", &to))?;
    }
    Ok(())
}
