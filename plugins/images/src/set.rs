//! A decoded set: groups of items, each item as many bytes as its shape has numbers.

use crate::Result;
use std::fs::File;
use std::path::PathBuf;

/// Classes of images of one size, as bytes in memory or in the cache file.
#[derive(Debug)]
pub struct Set {
    pub shape: [usize; 3],
    /// Name and number of items of every group, in the order of the sources.
    pub groups: Vec<(String, u32)>,
    /// First item of every group.
    pub(crate) starts: Vec<u64>,
    pub(crate) pixels: Pixels,
}

#[derive(Debug)]
pub(crate) enum Pixels {
    Memory(Vec<u8>),
    /// The bytes from `start` on; the checksum was right when the file was opened.
    File {
        file: File,
        path: PathBuf,
        start: u64,
    },
}

impl Set {
    pub fn item_bytes(&self) -> usize {
        self.shape.iter().product()
    }

    /// Pixels of one item in [0, 1]: `out` is [height, width, channels].
    ///
    /// # Panics
    /// When there is no such item, or `out` has another length: the caller's indices come from `groups`.
    pub fn read(&self, group: usize, item: u32, out: &mut [f32]) -> Result<()> {
        assert!(item < self.groups[group].1, "item {item} of {:?}", self.groups[group]);
        let length = self.item_bytes();
        assert_eq!(out.len(), length, "one item");
        let at = (self.starts[group] + u64::from(item)) * length as u64;
        match &self.pixels {
            Pixels::Memory(bytes) => convert(&bytes[at as usize..][..length], out),
            Pixels::File { file, path, start } => {
                let mut bytes = vec![0; length];
                let read = read_at(file, &mut bytes, start + at);
                read.map_err(|e| format!("cannot read the cache {}: {e}", path.display()))?;
                convert(&bytes, out);
            }
        }
        Ok(())
    }
}

/// The 256 levels as the nearest f32 to n / 255.
fn convert(bytes: &[u8], out: &mut [f32]) {
    for (number, byte) in out.iter_mut().zip(bytes) {
        *number = f32::from(*byte) / 255.0;
    }
}

/// Reads at a place without moving the file's own, which instances share.
#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => (bytes, at) = (&mut bytes[n..], at + n as u64),
        }
    }
    Ok(())
}
