//! Libraries that do not fit are refused, each with its own sentence, and mostly before any of their code runs.

use crate::libraries;
use mamlx::plugin;
use object::{Object, ObjectSection, ObjectSymbol};
use std::path::PathBuf;

/// A sound library, changed.
type Change = fn(&mut Vec<u8>);

/// Change, and what the refusal must say.
const CHANGES: &[(&str, Change, &str)] = &[
    ("empty", |bytes| bytes.clear(), "is an empty file"),
    ("text", |bytes| *bytes = b"#!/bin/sh\n".to_vec(), "is not a dynamic library"),
    ("cut off", |bytes| bytes.truncate(bytes.len() / 2), "is not a dynamic library"),
    ("other machine", |bytes| other_machine(bytes), "is built for another machine"),
    ("no section", |bytes| replace(bytes, b".mamlx\0", b".other\0"), "is a library but not a mamlx plugin"),
    (
        "older major",
        |bytes| replace(bytes, b"\"abi_major\":1", b"\"abi_major\":0"),
        "with a newer mamlx-plugin",
    ),
    (
        "newer major",
        |bytes| replace(bytes, b"\"abi_major\":1", b"\"abi_major\":2"),
        "with an older mamlx-plugin",
    ),
    ("newer minor", |bytes| replace(bytes, b"\"abi_minor\":1", b"\"abi_minor\":2"), "lacks what it may need"),
    (
        "broken descriptor",
        |bytes| replace(bytes, b"{\"id\":\"faulty\"", b"[\"id\":\"faulty\""),
        "broken descriptor",
    ),
    ("odd kind", |bytes| replace(bytes, b"\"kind\":\"env\"", b"\"kind\":\"pen\""), "its kind is `pen`"),
    (
        "other id",
        |bytes| replace(bytes, b"\"id\":\"faulty\"", b"\"id\":\"guilty\""),
        "contains the plugin `guilty`",
    ),
    ("no symbol", |bytes| replace(bytes, b"mamlx_plugin_v1\0", b"mamlx_plugin_v0\0"), "exports no symbol"),
    ("small entry", |bytes| poke(bytes, 0, 16), "of 16 bytes instead of"),
    ("major in the entry", |bytes| poke(bytes, 8, 7), "speaks version 7.1"),
    ("minor in the entry", |bytes| poke(bytes, 12, 3), "speaks version 1.3"),
];

#[test]
#[cfg(all(target_os = "linux", target_endian = "little"))]
fn what_does_not_fit_is_refused() {
    let original = std::fs::read(libraries::library("faulty")).unwrap();
    let mut seen = std::collections::BTreeMap::new();
    for (name, change, expected) in CHANGES {
        let (_folder, path) = changed(&original, *change);
        let error = plugin::load(&path).expect_err(name);
        let text = error.to_string();
        assert_eq!(error.exit_code(), 2, "{name}: {text}");
        assert!(text.contains(expected), "{name}: {text}");
        assert!(text.contains("libfaulty.so"), "{name} does not name the file: {text}");
        let sentence = text.replace(path.to_str().unwrap(), "");
        let before = seen.insert(sentence, expected);
        assert!(before.is_none_or(|before| before == expected), "{name} says what another says: {text}");
    }
}

/// The same bytes elsewhere still load: it is the changes that are refused.
#[test]
fn an_unchanged_copy_loads() {
    let original = std::fs::read(libraries::library("faulty")).unwrap();
    let (_folder, path) = changed(&original, |_| {});
    let plugin = plugin::load(&path).unwrap();
    assert_eq!(plugin.info.dynamics_version, 3);
    assert_eq!(plugin.info.sha256, plugin::inspect(&libraries::library("faulty")).unwrap().sha256);
}

#[test]
fn a_missing_file_is_an_io_error() {
    let error = plugin::load("/nowhere/libfaulty.so".as_ref()).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("/nowhere/libfaulty.so"));
}

/// Every type of parameter arrives from the section as declared.
#[test]
fn the_descriptor_is_read_without_loading() {
    let info = plugin::inspect(&libraries::library("faulty")).unwrap();
    let json = info.json();
    let of = |i: usize, key: &str| json["parameters"][i][key].to_string();
    assert_eq!([of(0, "type"), of(0, "default")], ["\"text\"", "\"none\""]);
    assert_eq!([of(1, "type"), of(1, "default"), of(1, "max")], ["\"int\"", "2", "1000.0"]);
    assert_eq!([of(3, "type"), of(3, "default"), of(3, "min")], ["\"float\"", "0.25", "0.001"]);
    assert_eq!([of(4, "type"), of(4, "default")], ["\"bool\"", "true"]);
    assert_eq!(info.feature(), "mamlx.env/1");
}

fn changed(original: &[u8], change: Change) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(libloading::library_filename("faulty"));
    let mut bytes = original.to_vec();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Replaces every occurrence by as many bytes.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let (mut at, mut found) = (0, false);
    while let Some(i) = bytes[at..].windows(from.len()).position(|window| window == from) {
        bytes[at + i..at + i + from.len()].copy_from_slice(to);
        at += i + to.len();
        found = true;
    }
    assert!(found, "the library contains {}", String::from_utf8_lossy(from));
}

/// e_machine of the ELF header: 62 is x86-64, 183 is AArch64.
fn other_machine(bytes: &mut [u8]) {
    bytes[18] = if bytes[18] == 62 { 183 } else { 62 };
}

/// Writes one byte into the exported struct.
fn poke(bytes: &mut [u8], offset: u64, value: u8) {
    let at = {
        let file = object::File::parse(&*bytes).unwrap();
        let entry = file.dynamic_symbols().find(|symbol| symbol.name() == Ok("mamlx_plugin_v1")).unwrap();
        let section = file.section_by_index(entry.section_index().unwrap()).unwrap();
        section.file_range().unwrap().0 + entry.address() - section.address() + offset
    };
    bytes[at as usize] = value;
}
