//! Classes from the lists of Ravi and Larochelle, or from folders.

use crate::files::SPLITS;
use mamlx_images::{Group, Item, Result, Source, names};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// A list has 38,400 lines of 30 bytes.
const MAX_LIST: u64 = 64 << 20;

/// Classes of `train.csv`, `val.csv` and `test.csv`: a header, then `filename,label`.
pub fn groups(source: &Source, lists: &[PathBuf]) -> Result<Vec<Group>> {
    let own = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    let members: HashMap<String, usize> =
        source.members().iter().enumerate().map(|(member, entry)| (own(&entry.name), member)).collect();
    let mut groups = vec![];
    for (split, list) in SPLITS.iter().zip(lists) {
        let failed = |why: String| format!("{}: {why}", list.display());
        let length = std::fs::metadata(list).map_err(|e| failed(e.to_string()))?.len();
        if length > MAX_LIST {
            return Err(failed(format!("it has {length} bytes, which no list of images has")));
        }
        let text = std::fs::read_to_string(list).map_err(|e| failed(e.to_string()))?;
        let mut classes: BTreeMap<&str, Vec<Item>> = BTreeMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let Some((file, label)) = line.trim().split_once(',') else {
                return Err(failed(format!("line {} is not `filename,label`", number + 1)));
            };
            if number == 0 && (file, label) == ("filename", "label") {
                continue;
            }
            if let Err(why) = names::check(file).and_then(|()| names::check(label)) {
                return Err(failed(format!("line {} {why}", number + 1)));
            }
            let member = *members.get(&own(file)).ok_or_else(|| {
                failed(format!(
                    "line {}: there is no image {file} in {}",
                    number + 1,
                    source.path().display()
                ))
            })?;
            classes.entry(label).or_default().push(Item { source: 0, member });
        }
        if classes.is_empty() {
            return Err(failed("it lists no images".into()));
        }
        groups.extend(
            classes.into_iter().map(|(label, items)| Group { name: format!("{split}/{label}"), items }),
        );
    }
    Ok(groups)
}

/// Classes of the folders `train`, `val` and `test`: an image's last folder is its class.
pub fn folders(sources: &[Source], parts: &[(&str, PathBuf)]) -> Result<Vec<Group>> {
    let mut groups = vec![];
    for (source, (split, path)) in parts.iter().enumerate() {
        let mut classes: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        for (member, entry) in
            sources[source].members().iter().enumerate().filter(|(_, entry)| entry.is_image())
        {
            let class = entry.name.rsplit('/').nth(1);
            let class = class.ok_or_else(|| {
                format!("{}: an image must lie in a class's folder", sources[source].place(member))
            })?;
            classes.entry(format!("{split}/{class}")).or_default().push(Item { source, member });
        }
        if classes.is_empty() {
            return Err(format!("there are no images class/image.jpg (or .png) in {}", path.display()));
        }
        groups.extend(classes.into_iter().map(|(name, items)| Group { name, items }));
    }
    Ok(groups)
}
