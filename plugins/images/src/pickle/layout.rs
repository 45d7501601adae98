//! The two shapes in which MiniImagenet is passed around as pickles.
//!
//! * `mini-imagenet-cache-{train,val,test}.pkl`: `{"image_data": uint8 [n, h, w, 3], "class_dict": {name: [rows]}}`
//! * `miniImageNet_category_split_*.pickle`: `{"data": uint8 [n, h, w, 3], "labels": [n], "catname2label": {name: label}}`

use super::input::Input;
use super::machine::{self, Loaded, MOST};
use super::object::{Array, Bytes, Object, Span, Value};
use crate::Result;
use crate::limits::{NAME_BYTES, SET_BYTES};
use crate::names::shown;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The images of a pickle, and the rows of every class.
pub struct ImageRows {
    /// Height, width, channels.
    pub shape: [usize; 3],
    /// Sorted by name.
    pub classes: Vec<(String, Vec<u64>)>,
    path: PathBuf,
    file: File,
    pixels: Pixels,
}

enum Pixels {
    Memory(Vec<u8>),
    /// In the file from this byte on.
    File(u64),
}

impl ImageRows {
    /// Reads the pickle's structure; the pixels stay in the file.
    pub fn open(path: &Path) -> Result<ImageRows> {
        Self::opened(path).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn opened(path: &Path) -> Result<ImageRows> {
        let file = File::open(path).map_err(|e| format!("cannot be read: {e}"))?;
        let mut again = File::open(path).map_err(|e| format!("cannot be read: {e}"))?;
        let loaded = machine::load(&mut Input::new(file)?)?;
        let entry = |name: &str| loaded.entry(&loaded.root, name);
        let named = || {
            "it has neither `image_data` and `class_dict` nor `data` and `labels`: it is no MiniImagenet cache".to_owned()
        };
        let images = entry("image_data").or_else(|| entry("data")).ok_or_else(named)?;
        let array = loaded.array(images).ok_or("its images are not a NumPy array")?;
        let [n, height, width, channels] = array.shape[..] else {
            return Err(format!(
                "its images have the shape {:?} instead of [n, height, width, 3]",
                array.shape
            ));
        };
        if array.dtype.code != "u1" {
            return Err(format!("its images have the type {} instead of uint8", shown(&array.dtype.code)));
        }
        let bytes = array.shape.iter().try_fold(1u64, |product, n| product.checked_mul(*n));
        let bytes = bytes.filter(|bytes| (1..=SET_BYTES).contains(bytes) && channels == 3);
        let bytes = bytes.ok_or_else(|| format!("its images have the impossible shape {:?}", array.shape))?;
        let classes = loaded.classes(n, named)?;
        let pixels = pixels(&array.data, bytes, &mut again)?;
        let shape = [height, width, channels].map(|side| side as usize);
        Ok(ImageRows { shape, classes, path: path.to_owned(), file: again, pixels })
    }

    /// Reads one image; `out` is [height, width, channels].
    pub fn read(&mut self, row: u64, out: &mut [u8]) -> Result<()> {
        let at = row * out.len() as u64;
        match &self.pixels {
            Pixels::Memory(bytes) => {
                out.copy_from_slice(&bytes[at as usize..][..out.len()]);
                Ok(())
            }
            Pixels::File(start) => {
                let read =
                    self.file.seek(SeekFrom::Start(start + at)).and_then(|_| self.file.read_exact(out));
                read.map_err(|e| format!("cannot read {}: {e}", self.path.display()))
            }
        }
    }
}

/// Where `length` bytes of pixels are.
fn pixels(data: &Bytes, length: u64, file: &mut File) -> Result<Pixels> {
    let wrong = |found: u64| format!("its images have {found} bytes where their shape needs {length}");
    match data {
        Bytes::Here(bytes) if bytes.len() as u64 == length => Ok(Pixels::Memory(bytes.to_vec())),
        Bytes::Here(bytes) => Err(wrong(bytes.len() as u64)),
        Bytes::There(span) if span.length == length => Ok(Pixels::File(span.offset)),
        Bytes::There(span) => Err(wrong(span.length)),
        Bytes::Latin(span) => {
            let bytes = latin(*span, length, file)?;
            if bytes.len() as u64 == length {
                Ok(Pixels::Memory(bytes))
            } else {
                Err(wrong(bytes.len() as u64))
            }
        }
    }
}

/// UTF-8 of the characters 0 to 255 → bytes. A character has one byte below 128 and two from there on.
fn latin(span: Span, length: u64, file: &mut File) -> Result<Vec<u8>> {
    if !(length..=2 * length).contains(&span.length) {
        return Err(format!("its images have {} bytes where their shape needs {length}", span.length));
    }
    file.seek(SeekFrom::Start(span.offset)).map_err(|e| e.to_string())?;
    let mut reader = std::io::BufReader::with_capacity(1 << 20, file).take(span.length);
    let mut bytes = Vec::with_capacity(length as usize);
    let (mut piece, mut lead) = (vec![0; 1 << 16], None);
    loop {
        let n = reader.read(&mut piece).map_err(|e| e.to_string())?;
        for byte in &piece[..n] {
            match (lead.take(), byte) {
                (None, 0..0x80) => bytes.push(*byte),
                (None, 0xC2 | 0xC3) => lead = Some(*byte),
                (Some(lead), 0x80..0xC0) => bytes.push((lead & 3) << 6 | byte & 0x3F),
                _ => return Err("its images are a text with characters that are no bytes".into()),
            }
        }
        if n == 0 {
            return Ok(bytes);
        }
    }
}

/// The name of a class, which is no longer than that of a file may be.
fn named_shortly(name: &str) -> Result<String> {
    if name.len() > NAME_BYTES {
        return Err(format!("class `{}` has a name longer than {NAME_BYTES} bytes", shown(name)));
    }
    Ok(name.to_owned())
}

impl Loaded {
    /// The value of a key, in a dictionary.
    fn entry<'a>(&'a self, dict: &Value, name: &str) -> Option<&'a Value> {
        // The last assignment of a key wins, as in Python.
        self.dict(dict)?.iter().rev().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }

    fn dict(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Object(id) => match self.objects.get(*id)? {
                Object::Dict(entries) => Some(entries),
                _ => None,
            },
            _ => None,
        }
    }

    fn array(&self, value: &Value) -> Option<&Array> {
        match value {
            Value::Object(id) => match self.objects.get(*id)? {
                Object::Array(array) => Some(array),
                _ => None,
            },
            _ => None,
        }
    }

    /// A list, tuple or array of integers.
    fn integers(&self, value: &Value) -> Option<Vec<i64>> {
        if let Some(array) = self.array(value) {
            return array.dtype.integers(array.data.here()?);
        }
        let list = match value {
            Value::Object(id) => match self.objects.get(*id)? {
                Object::List(list) => list,
                _ => return None,
            },
            other => other.tuple()?,
        };
        list.iter().map(Value::int).collect()
    }

    /// The rows of every class, each below `n`.
    fn classes(&self, n: u64, named: impl Fn() -> String) -> Result<Vec<(String, Vec<u64>)>> {
        let mut classes: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        if let Some(dict) = self.entry(&self.root, "class_dict") {
            // Many classes may name one list, which is in the file once and would be in memory many times.
            let mut total = 0;
            for (name, rows) in self.dict(dict).ok_or("its `class_dict` is not a dictionary")? {
                let name = name.text().ok_or("a class in it has a name that is not a text")?;
                let rows = self
                    .integers(rows)
                    .ok_or_else(|| format!("class `{}` has no list of rows", shown(name)))?;
                total += rows.len();
                if total > MOST {
                    return Err(format!("its classes have more than {MOST} rows together"));
                }
                classes.insert(named_shortly(name)?, rows);
            }
        } else {
            let labels = self.entry(&self.root, "labels").and_then(|labels| self.integers(labels));
            let labels = labels.ok_or_else(named)?;
            if labels.len() as u64 != n {
                return Err(format!("it has {n} images and {} labels", labels.len()));
            }
            let names =
                self.entry(&self.root, "catname2label").and_then(|names| self.dict(names)).unwrap_or(&[]);
            let names: BTreeMap<i64, &str> =
                names.iter().filter_map(|(name, label)| Some((label.int()?, name.text()?))).collect();
            let mut rows: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
            for (row, label) in labels.iter().enumerate() {
                rows.entry(*label).or_default().push(row as i64);
            }
            for (label, rows) in rows {
                let name = names
                    .get(&label)
                    .map_or_else(|| Ok(format!("label_{label}")), |name| named_shortly(name));
                classes.entry(name?).or_default().extend(rows);
            }
        }
        if classes.is_empty() {
            return Err("it has no classes".into());
        }
        let checked = |(name, rows): (String, Vec<i64>)| {
            let rows: Vec<u64> =
                rows.iter().filter_map(|row| u64::try_from(*row).ok()).filter(|r| *r < n).collect::<Vec<_>>();
            (name, rows)
        };
        let counts: Vec<usize> = classes.values().map(Vec::len).collect();
        let classes: Vec<(String, Vec<u64>)> = classes.into_iter().map(checked).collect();
        match classes.iter().zip(counts).find(|((_, rows), count)| rows.len() != *count || rows.is_empty()) {
            Some(((name, _), _)) => {
                Err(format!("class `{}` has rows that are not there, or none", shown(name)))
            }
            None => Ok(classes),
        }
    }
}
