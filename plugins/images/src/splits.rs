//! Which classes of a set are for training, validation and test.

use crate::{Result, Set, turned};
use mamlx_plugin::{Class, DataSpaces, Split};
use std::collections::HashMap;

/// Where a class of a split has its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the set's group.
    pub group: usize,
    /// Every image of the class is turned by so many quarters.
    pub quarters: u32,
}

/// The splits of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits(pub Vec<(String, Vec<Place>)>);

impl Splits {
    /// Sets whose groups are called `split/class`: train, val and test in this order, others after them by name.
    pub fn by_prefix(set: &Set) -> Splits {
        const ORDER: [&str; 3] = ["train", "val", "test"];
        let mut splits: Vec<(String, Vec<Place>)> = vec![];
        for (group, (name, _)) in set.groups.iter().enumerate() {
            let prefix = name.split('/').next().unwrap_or("");
            let place = Place { group, quarters: 0 };
            match splits.iter_mut().find(|split| split.0 == prefix) {
                Some(split) => split.1.push(place),
                None => splits.push((prefix.to_owned(), vec![place])),
            }
        }
        let rank = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
        splits.sort_by(|a, b| (rank(&a.0), &a.0).cmp(&(rank(&b.0), &b.0)));
        Splits(splits)
    }

    /// What the host is told. `name` makes a class's name from its group's.
    pub fn spaces(&self, set: &Set, name: impl Fn(&str) -> String) -> DataSpaces {
        let class = |place: &Place| {
            let (group, items) = &set.groups[place.group];
            let turn =
                if place.quarters == 0 { String::new() } else { format!("/turned_{}", 90 * place.quarters) };
            Class { name: name(group) + &turn, items: *items }
        };
        let split = |(name, places): &(String, Vec<Place>)| Split {
            name: name.clone(),
            classes: places.iter().map(class).collect(),
        };
        DataSpaces { item_shape: set.shape.to_vec(), splits: self.0.iter().map(split).collect() }
    }

    /// The body of every `Dataset::read` over a set.
    pub fn read(&self, set: &Set, split: usize, class: usize, items: &[u32], out: &mut [f32]) -> Result<()> {
        let Place { group, quarters } = self.0[split].1[class];
        let [side, _, channels] = set.shape;
        let mut upright = vec![0.0; if quarters == 0 { 0 } else { set.item_bytes() }];
        for (item, out) in items.iter().zip(out.chunks_exact_mut(set.item_bytes())) {
            if quarters == 0 {
                set.read(group, *item, out)?;
            } else {
                set.read(group, *item, &mut upright)?;
                turned(&upright, side, channels, quarters, out);
            }
        }
        Ok(())
    }

    /// Refuses a class that is in two splits: what is tested would have been trained on.
    pub fn check(&self, set: &Set, name: impl Fn(&str) -> String) -> Result<()> {
        let mut owner: HashMap<String, &str> = HashMap::new();
        for (split, places) in &self.0 {
            for place in places.iter().filter(|place| place.quarters == 0) {
                let class = name(&set.groups[place.group].0);
                if let Some(other) = owner.insert(class.clone(), split) {
                    return Err(format!(
                        "class `{class}` is in `{other}` and in `{split}`; the splits of few-shot learning share no class"
                    ));
                }
            }
        }
        Ok(())
    }
}
