//! Promise: data sets are read from the files that are passed around, and hostile files get a sentence.

mod cache;
mod fetch;
mod few_shot;
mod generated;
mod hostile;
mod omniglot;
mod photographs;
mod pickles;

use crate::libraries;
use mamlx::plugin::{self, DataInstance, Places, Plugin};
use mamlx::spec::ParamValue;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type Params = BTreeMap<String, ParamValue>;

/// A shipped plugin that looks for data in one folder, and keeps its cache there.
fn plugin_in(name: &str, folder: &Path) -> Plugin {
    let places = Places { folders: vec![folder.to_owned()], cache: Some(folder.join("cache")) };
    plugin::load(&libraries::library(name)).unwrap().with_places(places)
}

fn params(pairs: &[(&str, ParamValue)]) -> Params {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn text(value: &str) -> ParamValue {
    ParamValue::Text(value.to_owned())
}

fn refusal(plugin: &Plugin, params: &Params) -> String {
    let error = plugin.data(params).err().expect("it is refused");
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

/// Names and numbers of classes of the splits.
fn splits(data: &DataInstance) -> Vec<(String, usize)> {
    data.spaces().splits.iter().map(|split| (split.name.clone(), split.classes.len())).collect()
}

fn every_check_passes(plugin: &Plugin, params: &Params) {
    for finding in plugin::check(plugin, params).unwrap() {
        assert_ne!(finding.outcome, plugin::Outcome::Fail, "{finding}");
    }
}

/// The real minimal sets of Omniglot, where this checkout has them.
fn real_omniglot() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if folder.join("omniglot/images_background_small1.zip").is_file() {
        return Some(folder);
    }
    eprintln!("skipped: the real Omniglot is not in ../shared/data/omniglot");
    None
}
