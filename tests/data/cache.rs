//! Decoding happens once, and a cache is never wrong.

use super::generated::{characters, disc, entry, write};
use super::{params, plugin_in, text};
use mamlx::plugin::Plugin;
use mamlx_images::Source;
use std::path::{Path, PathBuf};

fn cached(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder.join("cache")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn first(plugin: &Plugin) -> Vec<f32> {
    let params = params(&[("images", text("minimal")), ("split", text("by_file"))]);
    let mut out = vec![0.0; 784];
    plugin.data(&params).unwrap().read(0, 0, &[0], &mut out).unwrap();
    out
}

fn minimal(folder: &Path, drawings: u32) {
    for (name, alphabet) in [("images_background_small1", "Greek"), ("images_background_small2", "Tagalog")] {
        let path = folder.join("omniglot").join(format!("{name}.zip"));
        write(&characters(name, &[(alphabet, 3)], drawings), &path, false);
    }
}

#[test]
fn the_name_of_a_cache_is_a_hash_of_its_sources() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = plugin_in("omniglot", folder.path());
    // Numbers of drawings that no other test here has: what one of them opened would be remembered.
    minimal(folder.path(), 5);
    first(&plugin);
    let before = cached(folder.path());
    assert_eq!(before.len(), 1, "no partial file is left: {before:?}");
    first(&plugin);
    assert_eq!(cached(folder.path()), before);
    minimal(folder.path(), 6);
    first(&plugin);
    assert_eq!(cached(folder.path()).len(), 2);
}

/// The library remembers what it has opened, so damage is looked for with another copy of it: the crate in this test.
#[test]
fn a_damaged_cache_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = mamlx_images::Recipe {
        height: 4,
        width: 4,
        channels: 1,
        filter: mamlx_images::Filter::Lanczos,
        invert: false,
    };
    let source = folder.path().join("source");
    write(&[entry("source/a/x.png", disc(4, 2)), entry("source/a/y.png", disc(4, 3))], &source, true);
    let mut built = 0;
    let mut open = |key: &str| {
        let group = mamlx_images::Group {
            name: "a".into(),
            items: [0, 1].map(|member| mamlx_images::Item { source: 0, member }).to_vec(),
        };
        let set = mamlx_images::shared(Some(folder.path()), key, |cells| {
            built += 1;
            mamlx_images::gather(&mut [Source::open(&source)?], std::slice::from_ref(&group), &recipe, cells)
        });
        let mut out = vec![0.0; 16];
        set.unwrap().read(0, 1, &mut out).unwrap();
        (out, built)
    };
    // A key is remembered by the process; copies under other keys are read from disk.
    let (pixels, _) = open("whole");
    let bytes = std::fs::read(folder.path().join("whole.images")).unwrap();
    let copies = [
        ("copy", bytes.clone(), false),
        ("short", bytes[..bytes.len() - 5].to_vec(), true),
        ("empty", vec![], true),
        ("long", [&bytes[..], b"x"].concat(), true),
    ];
    let flipped = (0..bytes.len()).step_by(7).map(|at| {
        let mut changed = bytes.clone();
        changed[at] ^= 4;
        (format!("flipped{at}"), changed, true)
    });
    let copies =
        copies.map(|(name, bytes, again)| (name.to_owned(), bytes, again)).into_iter().chain(flipped);
    let mut before = 1;
    for (key, bytes, again) in copies {
        std::fs::write(folder.path().join(format!("{key}.images")), bytes).unwrap();
        let (found, built) = open(&key);
        assert_eq!(found, pixels, "{key}");
        assert_eq!(built - before, i32::from(again), "{key}");
        before = built;
    }
}

#[test]
fn without_a_place_for_the_cache_the_set_lives_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    minimal(folder.path(), 2);
    let mut plugin = plugin_in("omniglot", folder.path());
    let with = first(&plugin);
    // Other drawings each time, or the set of the first time would be remembered; the first drawing stays.
    for (cache, drawings) in [(None, 3), (Some("/proc/no/such/folder".into()), 4)] {
        plugin.places.cache = cache;
        minimal(folder.path(), drawings);
        assert_eq!(first(&plugin), with);
    }
}
