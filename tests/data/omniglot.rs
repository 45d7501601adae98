//! Omniglot in its published layouts, and the real minimal sets.

use super::generated::{characters, write};
use super::{Params, every_check_passes, params, plugin_in, real_omniglot, refusal, splits, text};
use mamlx::spec::ParamValue;
use std::path::Path;

/// A small full set: 12 + 8 characters.
fn full(folder: &Path, as_folder: bool) {
    let end = if as_folder { "" } else { ".zip" };
    let place = |name: &str| folder.join("omniglot").join(format!("{name}{end}"));
    let first = characters("images_background", &[("Greek", 7), ("Latin", 5)], 4);
    write(&first, &place("images_background"), as_folder);
    write(&characters("images_evaluation", &[("Tengwar", 8)], 4), &place("images_evaluation"), as_folder);
}

fn shuffled(train: i64, val: i64) -> Params {
    params(&[("train_classes", ParamValue::Int(train)), ("val_classes", ParamValue::Int(val))])
}

#[test]
fn the_published_archives_and_their_folders_are_the_same_data() {
    let read = |as_folder: bool| {
        let folder = tempfile::tempdir().unwrap();
        full(folder.path(), as_folder);
        let plugin = plugin_in("omniglot", folder.path());
        let mut data = plugin.data(&shuffled(10, 4)).unwrap();
        assert_eq!(splits(&data), [("train".into(), 10), ("val".into(), 4), ("test".into(), 6)]);
        assert_eq!(data.spaces().item_shape, [28, 28, 1]);
        every_check_passes(&plugin, &shuffled(10, 4));
        let mut out = vec![0.0; 2 * 784];
        data.read(2, 5, &[0, 3], &mut out).unwrap();
        // Ink is 1, paper 0, and both are there.
        assert!(out.iter().all(|x| (0.0..=1.0).contains(x)));
        assert!(out.contains(&0.0) && out.contains(&1.0));
        (data.spaces().clone(), out)
    };
    assert_eq!(read(false), read(true));
}

#[test]
fn the_split_is_a_function_of_its_seed() {
    let folder = tempfile::tempdir().unwrap();
    full(folder.path(), false);
    let plugin = plugin_in("omniglot", folder.path());
    let names = |seed: i64| -> Vec<String> {
        let mut params = shuffled(10, 4);
        params.insert("split_seed".into(), ParamValue::Int(seed));
        let spaces = plugin.data(&params).unwrap().spaces().clone();
        spaces.splits.iter().flat_map(|split| &split.classes).map(|class| class.name.clone()).collect()
    };
    assert_eq!(names(1), names(1));
    assert_ne!(names(1), names(2));
    let sorted = |seed| {
        let mut names = names(seed);
        names.sort();
        names
    };
    assert_eq!(sorted(1), sorted(2));
    assert_eq!(sorted(1)[0], "Greek/character01");
}

#[test]
fn turned_characters_are_classes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    full(folder.path(), false);
    let mut params = shuffled(10, 4);
    params.insert("turned_classes".into(), ParamValue::Bool(true));
    let plugin = plugin_in("omniglot", folder.path());
    let mut data = plugin.data(&params).unwrap();
    assert_eq!(splits(&data), [("train".into(), 40), ("val".into(), 16), ("test".into(), 24)]);
    let mut read = |class| {
        let mut out = vec![0.0; 784];
        data.read(0, class, &[2], &mut out).unwrap();
        out
    };
    let (upright, turned) = (read(4), read(5));
    // A quarter turn counter-clockwise moves the top right corner to the top left.
    for row in 0..28 {
        for column in 0..28 {
            assert_eq!(turned[row * 28 + column], upright[column * 28 + 27 - row]);
        }
    }
}

#[test]
fn a_split_that_leaves_nothing_and_missing_files_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    full(folder.path(), false);
    let plugin = plugin_in("omniglot", folder.path());
    let why = refusal(&plugin, &Params::new());
    assert!(why.contains("1100") && why.contains("of 20 characters") && why.contains("by_file"), "{why}");
    std::fs::remove_file(folder.path().join("omniglot/images_evaluation.zip")).unwrap();
    let why = refusal(&plugin, &Params::new());
    let shown = folder.path().display().to_string();
    for expected in ["images_evaluation.zip", &shown, "mamlx data fetch omniglot"] {
        assert!(why.contains(expected), "{expected} is not in: {why}");
    }
}

#[test]
fn an_archive_without_characters_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    full(folder.path(), false);
    let path = folder.path().join("omniglot/images_evaluation.zip");
    write(&[super::generated::entry("images_evaluation/readme.txt", b"no images".to_vec())], &path, false);
    let why = refusal(&plugin_in("omniglot", folder.path()), &Params::new());
    assert!(
        why.contains("no images alphabet/character/drawing.png") && why.contains("images_evaluation.zip"),
        "{why}"
    );
}

/// Train on the 136 characters of the first file, test on the 106 of the three alphabets that only the second has.
#[test]
fn the_real_minimal_sets_have_the_documented_characters() {
    let Some(real) = real_omniglot() else { return };
    let cache = tempfile::tempdir().unwrap();
    let mut plugin = plugin_in("omniglot", &real);
    plugin.places.cache = Some(cache.path().to_owned());
    let params = params(&[("images", text("minimal")), ("split", text("by_file"))]);
    let mut data = plugin.data(&params).unwrap();
    assert_eq!(splits(&data), [("train".into(), 136), ("test".into(), 106)]);
    let all = data.spaces().splits.iter().flat_map(|split| &split.classes);
    assert!(all.clone().all(|class| class.items == 20));
    let alphabets: std::collections::BTreeSet<&str> =
        data.spaces().splits[1].classes.iter().filter_map(|class| class.name.split('/').next()).collect();
    assert_eq!(alphabets.into_iter().collect::<Vec<_>>(), ["Japanese_(katakana)", "Sanskrit", "Tagalog"]);
    let mut out = vec![0.0; 20 * 784];
    data.read(0, 0, &(0..20).collect::<Vec<u32>>(), &mut out).unwrap();
    // Thin strokes on paper: a few hundredths of all pixels are ink.
    let ink = out.iter().sum::<f32>() / out.len() as f32;
    assert!((0.02..0.2).contains(&ink), "{ink}");
}
