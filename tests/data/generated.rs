//! Small data sets in the published layouts, and archives byte by byte.

use image::{DynamicImage, GrayImage, ImageFormat, Luma, RgbImage};
use std::io::Cursor;
use std::path::Path;

/// A member of a hand-made archive.
#[derive(Clone)]
pub struct Entry {
    pub name: String,
    pub bytes: Vec<u8>,
    /// What the archive claims the bytes unpack to.
    pub claimed: u32,
    /// Unix mode; 0o120777 is a symbolic link.
    pub mode: u32,
}

pub fn entry(name: &str, bytes: Vec<u8>) -> Entry {
    Entry { name: name.into(), claimed: bytes.len() as u32, bytes, mode: 0o100_644 }
}

/// A zip archive of stored members (APPNOTE 4.3). `count`: what the end record claims instead of the truth.
pub fn zip(entries: &[Entry], count: Option<u16>) -> Vec<u8> {
    let (mut out, mut directory) = (vec![], vec![]);
    for Entry { name, bytes, claimed, mode } in entries {
        let offset = out.len() as u32;
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend(crc(bytes).to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend(claimed.to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(bytes);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, n) = (out.len() as u32, count.unwrap_or(entries.len() as u16));
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(n.to_le_bytes());
    out.extend(n.to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// CRC-32 of zip and PNG, bit by bit.
pub fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}

/// A black disc on white, at a place that the number decides.
pub fn disc(side: u32, number: u32) -> Vec<u8> {
    let (cx, cy) = (number * 7 % side, number * 13 % side);
    let image = GrayImage::from_fn(side, side, |x, y| {
        let (dx, dy) = (x.abs_diff(cx), y.abs_diff(cy));
        Luma([if dx * dx + dy * dy < side { 0 } else { 255 }])
    });
    encoded(image.into(), ImageFormat::Png)
}

pub fn photograph(width: u32, height: u32, colour: [u8; 3]) -> RgbImage {
    RgbImage::from_pixel(width, height, image::Rgb(colour))
}

pub fn encoded(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Drawings of a set as the published archives name them: `<set>/<alphabet>/characterNN/<id>_<drawer>.png`.
pub fn characters(set: &str, alphabets: &[(&str, u32)], drawings: u32) -> Vec<Entry> {
    let mut entries = vec![];
    for (alphabet, count) in alphabets {
        for character in 1..=*count {
            for drawing in 1..=drawings {
                let name =
                    format!("{set}/{alphabet}/character{character:02}/{character:04}_{drawing:02}.png");
                entries.push(entry(&name, disc(35, character * 100 + drawing)));
            }
        }
    }
    entries
}

/// Writes the entries as an archive, or as the folder that it would extract to.
pub fn write(entries: &[Entry], path: &Path, as_folder: bool) {
    if !as_folder {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, zip(entries, None)).unwrap();
        return;
    }
    for entry in entries {
        let file = path.parent().unwrap().join(&entry.name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, &entry.bytes).unwrap();
    }
}
