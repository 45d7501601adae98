//! Which of the known forms is there, and where.

use mamlx_images::{Missing, Result};
use std::path::{Path, PathBuf};

pub const SPLITS: [&str; 3] = ["train", "val", "test"];

/// One of the forms of MiniImagenet, with its files in the order of [`SPLITS`].
pub enum Layout {
    Lists { images: PathBuf, lists: Vec<PathBuf> },
    Folders(Vec<(&'static str, PathBuf)>),
    Pickles(Vec<(&'static str, PathBuf)>),
}

impl Layout {
    /// Everything that the content depends on.
    pub fn files(&self) -> Vec<&Path> {
        match self {
            Layout::Lists { images, lists } => {
                [images].into_iter().chain(lists).map(PathBuf::as_path).collect()
            }
            Layout::Folders(parts) | Layout::Pickles(parts) => {
                parts.iter().map(|(_, path)| path.as_path()).collect()
            }
        }
    }
}

/// Folders in a data folder that may hold the set.
const NAMES: [&str; 4] = ["miniimagenet", "mini-imagenet", "mini_imagenet", "miniImagenet"];

/// The first folder that has all files of a form; the word is the parameter `layout`.
pub fn find(folders: &[PathBuf], layout: &str) -> Result<Layout> {
    let roots = folders
        .iter()
        .flat_map(|folder| NAMES.map(|name| folder.join(name)).into_iter().chain([folder.clone()]));
    for root in roots.filter(|root| root.is_dir()) {
        let wanted = |name: &str| layout == "auto" || layout == name;
        let found = wanted("lists").then(|| lists(&root)).flatten();
        let found = found.or_else(|| wanted("pickles").then(|| pickles(&root)).flatten());
        if let Some(found) = found.or_else(|| wanted("folders").then(|| subfolders(&root)).flatten()) {
            return Ok(found);
        }
    }
    let what = "MiniImagenet (`images` with train.csv, val.csv and test.csv, or folders train, val and test, or pickles \
                mini-imagenet-cache-{train,val,test}.pkl), alone or below `miniimagenet`";
    let advice =
        "it cannot be downloaded freely: run `mamlx data import miniimagenet FILE...` with your copy";
    Err(Missing { what, looked_in: folders, advice }.to_string())
}

fn lists(root: &Path) -> Option<Layout> {
    let lists: Vec<PathBuf> = SPLITS.iter().map(|split| root.join(format!("{split}.csv"))).collect();
    let images =
        ["images", "images.zip"].map(|name| root.join(name)).into_iter().find(|path| path.exists())?;
    lists.iter().all(|path| path.is_file()).then_some(Layout::Lists { images, lists })
}

/// Each part a folder or an archive.
fn subfolders(root: &Path) -> Option<Layout> {
    let part = |split: &&'static str| {
        let candidates = [root.join(split), root.join(format!("{split}.zip"))];
        Some((*split, candidates.into_iter().find(|path| path.exists())?))
    };
    Some(Layout::Folders(SPLITS.iter().map(part).collect::<Option<Vec<_>>>()?))
}

fn pickles(root: &Path) -> Option<Layout> {
    let caches = SPLITS.map(|split| (split, root.join(format!("mini-imagenet-cache-{split}.pkl"))));
    let phases = ["train_phase_train", "val", "test"];
    let categories = [0, 1, 2]
        .map(|i| (SPLITS[i], root.join(format!("miniImageNet_category_split_{}.pickle", phases[i]))));
    [caches, categories]
        .into_iter()
        .find(|parts| parts.iter().all(|(_, path)| path.is_file()))
        .map(|parts| Layout::Pickles(parts.to_vec()))
}
