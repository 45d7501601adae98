//! Decoded sets on disk, so that decoding happens once.
//!
//! A file is `MAGIC`, the length of a JSON header (u64), the header, the pixels, and the SHA-256 of everything before.
//! It is written under another name and renamed, so a file with the right name is whole unless a disk has lied, which
//! the checksum finds; a damaged file is made again. Its name is the hash of everything its content depends on, so it
//! is never stale.

use crate::Result;
use crate::limits::{MEMORY_BYTES, SET_BYTES};
use crate::set::{Pixels, Set};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const MAGIC: &[u8; 16] = b"mamlx images 1\r\n";
/// Longest header: a megabyte has room for twenty thousand classes.
const MAX_HEADER: u64 = 64 << 20;
/// Sets that stay open in a process, so that the instances of many threads share one.
const KEPT: usize = 4;

/// The shape of an item, and the name and number of items of every group.
type Header = ([usize; 3], Vec<(String, u32)>);

static OPEN: Mutex<Vec<(String, Arc<Set>)>> = Mutex::new(vec![]);

/// The set with this key: from this process, from the cache folder, or made by `build` and stored there.
///
/// Without a cache folder, or one that cannot be written, the set lives in memory: a read-only machine still works.
pub fn shared(
    cache: Option<&Path>,
    key: &str,
    build: impl FnOnce(&mut Cells) -> Result<()>,
) -> Result<Arc<Set>> {
    // Held while a set is made: two instances that start together would make the same one twice.
    let mut open = OPEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some((_, set)) = open.iter().find(|(name, _)| name == key) {
        return Ok(set.clone());
    }
    let path = cache.map(|folder| folder.join(format!("{key}.images")));
    let set = match path.as_deref().and_then(load) {
        Some(set) => set,
        None => {
            let mut cells = Cells::new(path.as_deref());
            build(&mut cells)?;
            cells.finish()?
        }
    };
    let set = Arc::new(set);
    open.insert(0, (key.to_owned(), set.clone()));
    open.truncate(KEPT);
    Ok(set)
}

/// Where the pixels of a new set go, item by item.
pub struct Cells {
    target: Option<(PathBuf, PathBuf)>,
    shape: [usize; 3],
    groups: Vec<(String, u32)>,
    sink: Sink,
    hash: Sha256,
    written: u64,
}

enum Sink {
    Memory(Vec<u8>),
    File(BufWriter<File>),
}

impl Cells {
    fn new(target: Option<&Path>) -> Cells {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let partial = |path: &Path| {
            let partial = path.with_extension(format!("{}-{number}.part", std::process::id()));
            (path.to_owned(), partial)
        };
        Cells {
            target: target.map(partial),
            shape: [0; 3],
            groups: vec![],
            sink: Sink::Memory(vec![]),
            hash: Sha256::new(),
            written: 0,
        }
    }

    /// Called first: the shape of an item, and the groups in the order in which their items come.
    pub fn begin(&mut self, shape: [usize; 3], groups: &[(String, u32)]) -> Result<()> {
        let items: u64 = groups.iter().map(|group| u64::from(group.1)).sum();
        let bytes = items.checked_mul(shape.iter().product::<usize>() as u64);
        if bytes.is_none_or(|bytes| bytes > SET_BYTES) {
            return Err(format!("{items} items of shape {shape:?} are more than {SET_BYTES} bytes"));
        }
        (self.shape, self.groups) = (shape, groups.to_vec());
        if let Some((path, partial)) = &self.target {
            let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| File::create(partial));
            match made {
                Ok(file) => self.sink = Sink::File(BufWriter::with_capacity(1 << 20, file)),
                Err(_) => self.target = None,
            }
        }
        let header = header(shape, groups);
        self.put(MAGIC)?;
        self.put(&(header.len() as u64).to_le_bytes())?;
        self.put(header.as_bytes())
    }

    /// The next item's pixels.
    pub fn item(&mut self, pixels: &[u8]) -> Result<()> {
        assert_eq!(pixels.len(), self.shape.iter().product::<usize>(), "one item");
        self.written += 1;
        self.put(pixels)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        match &mut self.sink {
            Sink::Memory(all) => all.extend_from_slice(bytes),
            Sink::File(file) => file.write_all(bytes).map_err(|e| self.failed(&e))?,
        }
        Ok(())
    }

    fn failed(&self, error: &std::io::Error) -> String {
        let path = self.target.as_ref().map_or(String::new(), |target| target.1.display().to_string());
        format!("cannot write the cache {path}: {error}; MAMLX_CACHE names another folder")
    }

    fn finish(mut self) -> Result<Set> {
        let items: u64 = self.groups.iter().map(|group| u64::from(group.1)).sum();
        assert_eq!(self.written, items, "every announced item has come");
        let sum = std::mem::take(&mut self.hash).finalize();
        match std::mem::replace(&mut self.sink, Sink::Memory(vec![])) {
            Sink::Memory(mut all) => {
                let start = MAGIC.len() + 8 + header(self.shape, &self.groups).len();
                all.drain(..start);
                let groups = std::mem::take(&mut self.groups);
                Ok(Set { shape: self.shape, starts: starts(&groups), groups, pixels: Pixels::Memory(all) })
            }
            Sink::File(mut file) => {
                let written = file.write_all(&sum).and_then(|()| file.flush());
                let written = written.and_then(|()| file.get_ref().sync_all());
                written.map_err(|e| self.failed(&e))?;
                drop(file);
                let Some((path, partial)) = self.target.take() else { unreachable!("a file has a name") };
                let renamed = fs::rename(&partial, &path);
                renamed.map_err(|e| format!("cannot write the cache {}: {e}", path.display()))?;
                load(&path)
                    .ok_or_else(|| format!("the cache {} was written but reads differently", path.display()))
            }
        }
    }
}

impl Drop for Cells {
    /// A set that was not finished leaves no file behind.
    fn drop(&mut self) {
        if let Some((_, partial)) = &self.target {
            let _ = fs::remove_file(partial);
        }
    }
}

fn header(shape: [usize; 3], groups: &[(String, u32)]) -> String {
    json!({ "shape": shape, "groups": groups }).to_string()
}

fn starts(groups: &[(String, u32)]) -> Vec<u64> {
    let mut next = 0;
    let start = |group: &(String, u32)| {
        let start = next;
        next += u64::from(group.1);
        start
    };
    groups.iter().map(start).collect()
}

/// A file that is there, whole and right; anything else is as good as none.
fn load(path: &Path) -> Option<Set> {
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut hash = Sha256::new();
    let mut take = |reader: &mut BufReader<File>, n: u64| {
        let mut bytes = vec![0; usize::try_from(n).ok()?];
        reader.read_exact(&mut bytes).ok()?;
        hash.update(&bytes);
        Some(bytes)
    };
    if take(&mut reader, 16)? != MAGIC {
        return None;
    }
    let header_length = u64::from_le_bytes(take(&mut reader, 8)?.try_into().ok()?);
    if header_length > MAX_HEADER.min(length) {
        return None;
    }
    let (shape, groups) = parsed(&take(&mut reader, header_length)?)?;
    let items: u64 = groups.iter().map(|group| u64::from(group.1)).sum();
    let item = shape.iter().try_fold(1u64, |item, side| item.checked_mul(*side as u64))?;
    let bytes = items.checked_mul(item)?;
    let start = 24 + header_length;
    if length != start.checked_add(bytes)?.checked_add(32)? {
        return None;
    }
    let held = bytes <= MEMORY_BYTES;
    let mut pixels = Vec::with_capacity(if held { bytes as usize } else { 0 });
    let mut left = bytes;
    while left > 0 {
        let piece = take(&mut reader, left.min(1 << 20))?;
        left -= piece.len() as u64;
        if held {
            pixels.extend_from_slice(&piece);
        }
    }
    let mut sum = [0; 32];
    reader.read_exact(&mut sum).ok()?;
    if hash.finalize()[..] != sum {
        return None;
    }
    let pixels = if held {
        Pixels::Memory(pixels)
    } else {
        Pixels::File { file: reader.into_inner(), path: path.to_owned(), start }
    };
    Some(Set { shape, starts: starts(&groups), groups, pixels })
}

fn parsed(header: &[u8]) -> Option<Header> {
    let header: Value = serde_json::from_slice(header).ok()?;
    let side = |i: usize| header["shape"].get(i)?.as_u64().map(|n| n as usize);
    let group = |group: &Value| {
        let items = u32::try_from(group.get(1)?.as_u64()?).ok()?;
        Some((group.get(0)?.as_str()?.to_owned(), items))
    };
    let groups: Option<Vec<(String, u32)>> = header["groups"].as_array()?.iter().map(group).collect();
    Some(([side(0)?, side(1)?, side(2)?], groups?))
}
