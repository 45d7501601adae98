//! The published files, by name.

use mamlx_images::{Missing, Result, find as first};
use mamlx_plugin::Places;
use std::path::PathBuf;

const FULL: [&str; 2] = ["images_background", "images_evaluation"];
const MINIMAL: [&str; 2] = ["images_background_small1", "images_background_small2"];

/// Both files of a set, each an archive or a folder.
pub fn find(full: bool, places: &Places) -> Result<Vec<PathBuf>> {
    let (names, advice) = if full {
        (
            FULL,
            "run `mamlx data fetch omniglot`, or `mamlx data import omniglot FILE...` for files that you have",
        )
    } else {
        (
            MINIMAL,
            "run `mamlx data fetch omniglot --minimal`, or `mamlx data import omniglot FILE...` for files that you have",
        )
    };
    let mut found = vec![];
    for name in names {
        let candidates = [format!("{name}.zip"), name.to_owned()];
        match first(&places.folders, "omniglot", &candidates) {
            Some(path) => found.push(path),
            None => {
                let what = format!("{name}.zip (or folder {name}), alone or below `omniglot`");
                return Err(Missing { what: &what, looked_in: &places.folders, advice }.to_string());
            }
        }
    }
    Ok(found)
}
