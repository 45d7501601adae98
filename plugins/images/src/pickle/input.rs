//! The bytes of a pickle, with the place of every one of them.

use super::object::Span;
use crate::Result;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

/// A byte string longer than this stays in the file.
pub const SHORT: u64 = 1 << 20;

pub struct Input {
    reader: BufReader<File>,
    pub at: u64,
    length: u64,
}

impl Input {
    pub fn new(file: File) -> Result<Input> {
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        Ok(Input { reader: BufReader::with_capacity(1 << 16, file), at: 0, length })
    }

    pub fn bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        self.has(length)?;
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes).map_err(|e| e.to_string())?;
        self.at += length;
        Ok(bytes)
    }

    pub fn skip(&mut self, length: u64) -> Result<Span> {
        self.has(length)?;
        let span = Span { offset: self.at, length };
        self.at += length;
        self.reader.seek(SeekFrom::Start(self.at)).map_err(|e| e.to_string())?;
        Ok(span)
    }

    /// An unsigned integer of up to 8 bytes, little-endian.
    pub fn number(&mut self, width: u64) -> Result<u64> {
        Ok(self.bytes(width)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// A line of at most 1,000 bytes, without its end.
    pub fn line(&mut self) -> Result<String> {
        let mut line = vec![];
        let mut limited = (&mut self.reader).take(1000);
        limited.read_until(b'\n', &mut line).map_err(|e| e.to_string())?;
        self.at += line.len() as u64;
        if line.pop() != Some(b'\n') {
            return Err("a name in it does not end".into());
        }
        String::from_utf8(line).map_err(|_| "a name in it is not UTF-8".into())
    }

    fn has(&self, length: u64) -> Result<()> {
        let left = self.length - self.at;
        if length <= left {
            return Ok(());
        }
        Err(format!("it is cut short: {length} bytes are announced at byte {} and {left} are left", self.at))
    }
}
