//! The trait of a dataset: classes of stored items, from which the host builds few-shot tasks.

use crate::fields::parse_description;
use crate::{Descriptor, Params};
use serde_json::{Value, json};

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

    /// Numbers in one item.
    pub fn item_length(&self) -> usize {
        self.item_shape.iter().product()
    }

    /// Reads the description of a foreign library; every error is a sentence about it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let description = parse_description(text)?;
        let integers = |value: &Value| {
            value.as_array().map(|list| list.iter().map(|n| n.as_u64().unwrap_or(0)).collect::<Vec<u64>>())
        };
        let shape = description.get("item_shape").and_then(integers).unwrap_or_default();
        let length = shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n));
        if shape.is_empty() || !length.is_some_and(|n| (1..=MAX_ITEM).contains(&n)) {
            return Err(format!(
                "the description's `item_shape` must list integers whose product is 1 to {MAX_ITEM}"
            ));
        }
        let splits = entries(&description, "splits")?
            .iter()
            .map(|split| {
                let name = text_of(split, "name")?;
                let class = |class: &Value| {
                    let items =
                        class.get("items").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
                    match (text_of(class, "name")?, items) {
                        (name, Some(items)) if items > 0 => Ok(Class { name, items }),
                        (name, _) => {
                            Err(format!("the description gives class `{name}` no number of `items`"))
                        }
                    }
                };
                Ok(Split {
                    name,
                    classes: entries(split, "classes")?.iter().map(class).collect::<Result<_, _>>()?,
                })
            })
            .collect::<Result<Vec<Split>, String>>()?;
        let mut names = std::collections::HashSet::new();
        match splits.iter().find(|split| !names.insert(&split.name)) {
            Some(split) => Err(format!("the description has two splits `{}`", split.name)),
            None => Ok(DataSpaces { item_shape: shape.iter().map(|&n| n as usize).collect(), splits }),
        }
    }
}

/// No item has more numbers than this: an image of 4096 × 4096 in one channel.
const MAX_ITEM: u64 = 1 << 24;

fn entries<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, String> {
    match value.get(key).and_then(Value::as_array) {
        Some(list) if !list.is_empty() => Ok(list),
        _ => Err(format!("the description has no entries under `{key}`")),
    }
}

fn text_of(value: &Value, key: &str) -> Result<String, String> {
    match value.get(key).and_then(Value::as_str) {
        Some(text) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(format!("the description has an entry without a readable `{key}`")),
    }
}

/// A dataset.
pub trait Dataset: Sized + Send + 'static {
    /// What `mamlx plugin list` shows; it is written into the library, and readable without running it.
    const DESCRIPTOR: Descriptor;

    /// Opens the dataset, whose files may be in [`Params::places`]. Say in the error which file was expected where, and
    /// how to get it.
    fn create(params: &Params) -> Result<Self, String>;

    /// The item shape, the splits and their classes. Called once after `create`.
    fn describe(&self) -> DataSpaces;

    /// Reads items of one class into `out`, [items.len(), item_shape], flat, as finite numbers. All indices are in
    /// range.
    fn read(&mut self, split: usize, class: usize, items: &[u32], out: &mut [f32]) -> Result<(), String>;
}
