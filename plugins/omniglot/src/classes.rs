//! From files to characters, and from characters to splits.

use mamlx_images::{Group, Item, Place, Result, Set, Source, Splits};
use mamlx_plugin::{Params, rng};
use rand::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// A group is `number of the file/Alphabet/characterNN`; the class is known without the file.
pub fn name(group: &str) -> String {
    group.split_once('/').map_or(group, |(_, class)| class).to_owned()
}

/// Every character of the files, sorted by file, alphabet and number. An alphabet that an earlier file has is the same
/// alphabet again (the minimal sets share Greek and Latin) and is left out.
pub fn groups(sources: &[Source]) -> Result<Vec<Group>> {
    let mut groups = vec![];
    let mut known: BTreeSet<String> = BTreeSet::new();
    for (source, opened) in sources.iter().enumerate() {
        let mut characters: BTreeMap<(String, String), Vec<Item>> = BTreeMap::new();
        for (member, entry) in opened.members().iter().enumerate().filter(|(_, entry)| entry.is_image()) {
            // An archive's names begin with the set's, an extracted folder's do not.
            let mut parts = entry.name.rsplit('/').skip(1);
            let (Some(character), Some(alphabet)) = (parts.next(), parts.next()) else {
                return Err(format!("{}: an image must lie in alphabet/character/", opened.place(member)));
            };
            let key = (alphabet.to_owned(), character.to_owned());
            characters.entry(key).or_default().push(Item { source, member });
        }
        if characters.is_empty() {
            return Err(format!(
                "there are no images alphabet/character/drawing.png in {}",
                opened.path().display()
            ));
        }
        let alphabets: BTreeSet<String> = characters.keys().map(|(alphabet, _)| alphabet.clone()).collect();
        for ((alphabet, character), items) in characters {
            if !known.contains(&alphabet) {
                groups.push(Group { name: format!("{source}/{alphabet}/{character}"), items });
            }
        }
        known.extend(alphabets);
    }
    Ok(groups)
}

/// The splits that the parameters ask for.
pub fn split(set: &Set, params: &Params) -> Result<Splits> {
    let all: Vec<usize> = (0..set.groups.len()).collect();
    let parts = if params.text("split") == "by_file" {
        let (first, second) = all.into_iter().partition(|group| set.groups[*group].0.starts_with("0/"));
        vec![("train", first), ("test", second)]
    } else {
        let [train, val] = ["train_classes", "val_classes"].map(|name| params.int(name) as usize);
        if train.saturating_add(val) >= all.len() {
            return Err(format!(
                "train_classes {train} and val_classes {val} leave nothing to test of {} characters; lower them, or set \
                 `split: by_file`",
                all.len()
            ));
        }
        let order = shuffled(set, all, params.int("split_seed") as u64);
        let (train, rest) = order.split_at(train);
        let (val, test) = rest.split_at(val);
        vec![("train", train.to_vec()), ("val", val.to_vec()), ("test", test.to_vec())]
    };
    let quarters = if params.bool("turned_classes") { 0..4 } else { 0..1 };
    let places = |groups: Vec<usize>| -> Vec<Place> {
        let turned = |group| quarters.clone().map(move |quarters| Place { group, quarters });
        groups.into_iter().flat_map(turned).collect()
    };
    let parts = parts.into_iter().filter(|(_, groups)| !groups.is_empty());
    Ok(Splits(parts.map(|(name, groups)| (name.to_owned(), places(groups))).collect()))
}

/// Fisher and Yates's shuffle from the order of the classes' names: a function of the names and the seed, and not of
/// the order of files in an archive or folder.
fn shuffled(set: &Set, mut groups: Vec<usize>, seed: u64) -> Vec<usize> {
    groups.sort_by_key(|group| name(&set.groups[*group].0));
    let rng = &mut rng(seed);
    for i in (1..groups.len()).rev() {
        // The high half of the product is uniform up to 2⁻⁵⁰.
        let j = (u128::from(rng.next_u64()) * (i as u128 + 1)) >> 64;
        groups.swap(i, j as usize);
    }
    groups
}
