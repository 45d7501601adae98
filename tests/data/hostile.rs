//! Archives and folders that mean harm, or are merely broken.

use super::generated::{Entry, characters, crc, disc, entry, zip};
use super::{Params, params, plugin_in, refusal, text};
use std::path::Path;

/// What `imagefolder` says about an archive.
fn said(archive: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("images.zip"), archive).unwrap();
    let why = refusal(&plugin_in("imagefolder", folder.path()), &Params::new());
    assert!(why.contains("images.zip"), "the file is not named: {why}");
    // Nothing was written but, at most, an empty folder for the cache.
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        assert!(
            path.is_dir() && std::fs::read_dir(&path).unwrap().next().is_none()
                || path.ends_with("images.zip")
        );
    }
    why
}

fn good() -> Vec<Entry> {
    characters("train", &[("a", 2)], 2)
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let cases = [
        ("../../evil.png", "leaves its folder"),
        ("train/../../evil.png", "leaves its folder"),
        ("/etc/evil.png", "absolute path"),
        ("C:/evil.png", "absolute path"),
        ("train\\a\\evil.png", "backslash"),
        ("train/a/e\u{1b}[2Jvil.png", "control characters"),
    ];
    for (name, expected) in cases {
        let why = said(&zip(&[good(), vec![entry(name, disc(8, 1))]].concat(), None));
        assert!(why.contains(expected), "{name:?}: {why}");
        assert!(!why.contains('\u{1b}'), "{why}");
    }
    let link = Entry { mode: 0o120_777, ..entry("train/a/link.png", b"/etc/passwd".to_vec()) };
    let why = said(&zip(&[good(), vec![link]].concat(), None));
    assert!(why.contains("symbolic link") && why.contains("link.png"), "{why}");
}

#[test]
fn bombs_are_refused_before_anything_is_unpacked() {
    // 42 kB that claim 4 GB, once as one member and once as many that overlap.
    let large = Entry { claimed: u32::MAX - 1, ..entry("train/a/b.png", vec![0; 42_000]) };
    let why = said(&zip(&[large], None));
    assert!(why.contains("more than") && why.contains("b.png"), "{why}");
    let many = |i: u32| Entry { claimed: 16 << 20, ..entry(&format!("train/a/{i}.png"), vec![0; 40]) };
    let why = said(&zip(&(0..256).map(many).collect::<Vec<_>>(), None));
    assert!(why.contains("no archive of images does"), "{why}");
    // A member that unpacks to more than it claims.
    let liar = Entry { claimed: 10, ..entry("train/a/l.png", disc(8, 1)) };
    let why = said(&zip(&[liar], None));
    assert!(why.contains("l.png"), "{why}");
}

#[test]
fn a_million_members_are_counted_and_not_read() {
    // A 64-bit end record (APPNOTE 4.3.14) that claims 10⁶ members.
    let mut archive = vec![];
    archive.extend(b"PK\x06\x06");
    archive.extend(44u64.to_le_bytes());
    archive.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    archive.extend(1_000_000u64.to_le_bytes());
    archive.extend(1_000_000u64.to_le_bytes());
    archive.extend(46_000_000u64.to_le_bytes());
    archive.extend(0u64.to_le_bytes());
    archive.extend(b"PK\x06\x07\0\0\0\0");
    archive.extend(0u64.to_le_bytes());
    archive.extend(1u32.to_le_bytes());
    archive.extend(b"PK\x05\x06\0\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0");
    let why = said(&archive);
    assert!(why.contains("1000000 members"), "{why}");
}

#[test]
fn archives_that_were_cut_short_are_refused() {
    let whole = zip(&good(), None);
    for keep in [0, 10, whole.len() / 2, whole.len() - 1] {
        let why = said(&whole[..keep]);
        assert!(why.contains("cut short") || why.contains("not a whole zip"), "{keep} bytes: {why}");
    }
    // More members claimed than there are.
    said(&zip(&good(), Some(60_000)));
    // Damage in the middle of an image.
    let mut damaged = whole;
    let middle = damaged.len() / 3;
    damaged[middle..middle + 60].fill(0xA5);
    said(&damaged);
}

/// A PNG with this size in its header and hardly any pixels.
fn header_only(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        png.extend((data.len() as u32).to_be_bytes());
        let body = [kind.as_slice(), data].concat();
        png.extend(&body);
        png.extend(crc(&body).to_be_bytes());
    };
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(b"IHDR", &[&size[..], &[8, 0, 0, 0, 0]].concat());
    chunk(b"IDAT", &[0x78, 0x9C, 0x03, 0, 0, 0, 0, 1]);
    chunk(b"IEND", &[]);
    png
}

#[test]
fn giant_and_truncated_images_are_refused() {
    let with = |bytes: Vec<u8>| said(&zip(&[good(), vec![entry("train/a/x.png", bytes)]].concat(), None));
    let why = with(header_only(65_535, 65_535));
    assert!(why.contains("larger than 4096") && why.contains("x.png"), "{why}");
    let whole = disc(35, 3);
    for bytes in [header_only(30, 30), whole[..whole.len() / 2].to_vec(), b"GIF89a nonsense".to_vec(), vec![]]
    {
        let why = with(bytes);
        assert!(why.contains("x.png"), "{why}");
    }
}

#[test]
fn zero_classes_and_shared_classes_are_refused() {
    let why = said(&zip(&[], None));
    assert!(why.contains("no images split/class/image.png"), "{why}");
    let both = [characters("train", &[("a", 1)], 1), characters("test", &[("a", 1)], 1)].concat();
    let folder = tempfile::tempdir().unwrap();
    let renamed: Vec<Entry> =
        both.into_iter().map(|e| Entry { name: e.name.replace("/a/", "/"), ..e }).collect();
    std::fs::write(folder.path().join("images.zip"), zip(&renamed, None)).unwrap();
    let why = refusal(&plugin_in("imagefolder", folder.path()), &Params::new());
    assert!(why.contains("class `character01` is in `train` and in `test`"), "{why}");
}

#[cfg(unix)]
#[test]
fn links_and_devices_in_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let class = folder.path().join("birds/train/robin");
    std::fs::create_dir_all(&class).unwrap();
    std::fs::write(class.join("1.png"), disc(8, 1)).unwrap();
    let plugin = plugin_in("imagefolder", folder.path());
    let wanted = params(&[("folder", text("birds"))]);
    plugin.data(&wanted).unwrap();
    let link = |target: &str, name: &str| {
        let path = class.join(name);
        std::os::unix::fs::symlink(Path::new(target), &path).unwrap();
        let why = refusal(&plugin, &wanted);
        assert!(why.contains("symbolic link") && why.contains(name), "{why}");
        std::fs::remove_file(path).unwrap();
    };
    link("/dev/zero", "zero.png");
    link("..", "circle");
    let socket = class.join("socket.png");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let why = refusal(&plugin, &wanted);
    assert!(why.contains("neither a file nor a folder"), "{why}");
}
