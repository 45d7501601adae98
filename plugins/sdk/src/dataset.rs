//! The trait of a dataset: classes of stored items, from which the host builds few-shot tasks.

use crate::{Descriptor, Params};
use serde_json::json;

/// What a dataset holds. The host draws ways, shots and queries, so that all datasets share one sampler.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSpaces {
    /// Shape of one item, such as [height, width, channels].
    pub item_shape: Vec<usize>,
    /// Such as `train`, `val` and `test`; no class is in two of them.
    pub splits: Vec<Split>,
}

/// One part of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    pub name: String,
    pub classes: Vec<Class>,
}

/// One class of a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    pub name: String,
    /// Number of items.
    pub items: u32,
}

impl DataSpaces {
    pub(crate) fn json(&self) -> String {
        let class = |class: &Class| json!({ "name": class.name, "items": class.items });
        let split = |split: &Split| json!({ "name": split.name, "classes": split.classes.iter().map(class).collect::<Vec<_>>() });
        json!({ "item_shape": self.item_shape, "splits": self.splits.iter().map(split).collect::<Vec<_>>() })
            .to_string()
    }
}

/// A dataset.
pub trait Dataset: Sized + Send + 'static {
    /// What `mamlx plugin list` shows; it is written into the library, and readable without running it.
    const DESCRIPTOR: Descriptor;

    /// Opens the dataset. Say in the error which file was expected where, and how to get it.
    fn create(params: &Params) -> Result<Self, String>;

    /// The item shape, the splits and their classes. Called once after `create`.
    fn describe(&self) -> DataSpaces;

    /// Reads items of one class into `out`, [items.len(), item_shape], flat, as finite numbers. All indices are in
    /// range.
    fn read(&mut self, split: usize, class: usize, items: &[u32], out: &mut [f32]) -> Result<(), String>;
}
