//! What host and worker say to each other over two pipes: frames of a length and that many bytes, little-endian.

use std::io::{Error, ErrorKind, Read, Result, Write};

/// A longer frame is no frame of ours.
const LONGEST: u32 = 1 << 28;

/// What a host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    SampleTask = 1,
    Reset,
    Step,
    Destroy,
}

impl Ask {
    pub fn of(byte: u8) -> Option<Ask> {
        [Ask::SampleTask, Ask::Reset, Ask::Step, Ask::Destroy].into_iter().find(|ask| *ask as u8 == byte)
    }
}

/// The first byte of an answer.
pub const DONE: u8 = 0;
pub const FAILED: u8 = 1;

/// Writes a frame.
pub fn send(out: &mut impl Write, payload: &[u8]) -> Result<()> {
    let length = u32::try_from(payload.len()).ok().filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the message is too long"))?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(payload)?;
    out.flush()
}

/// The length that a frame's first four bytes announce.
pub fn length(head: [u8; 4]) -> Result<usize> {
    match u32::from_le_bytes(head) {
        length if length <= LONGEST => Ok(length as usize),
        _ => Err(Error::new(ErrorKind::InvalidData, "no frame")),
    }
}

/// Reads a frame; `None` where the other side has ended.
pub fn receive(input: &mut impl Read) -> Result<Option<Vec<u8>>> {
    let mut head = [0; 4];
    match input.read_exact(&mut head) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut payload = vec![0; length(head)?];
    input.read_exact(&mut payload)?;
    Ok(Some(payload))
}

/// Builds a payload that a [`Cursor`] reads in the same order.
#[derive(Default)]
pub struct Payload(pub Vec<u8>);

impl Payload {
    pub fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn u32s(mut self, values: &[u32]) -> Self {
        values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
        self
    }

    pub fn u64s(mut self, values: &[u64]) -> Self {
        values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
        self
    }

    pub fn f32s(mut self, values: &[f32]) -> Self {
        values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
        self
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub fn text(self, text: &str) -> Self {
        self.u32(text.len() as u32).bytes(text.as_bytes())
    }
}

/// Reads a payload; `None` where it is too short.
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.bytes(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    pub fn u32s(&mut self, count: usize) -> Option<Vec<u32>> {
        let (values, _) = self.bytes(count.checked_mul(4)?)?.as_chunks::<4>();
        Some(values.iter().map(|value| u32::from_le_bytes(*value)).collect())
    }

    pub fn u64s(&mut self, count: usize) -> Option<Vec<u64>> {
        let (values, _) = self.bytes(count.checked_mul(8)?)?.as_chunks::<8>();
        Some(values.iter().map(|value| u64::from_le_bytes(*value)).collect())
    }

    pub fn f32s(&mut self, count: usize) -> Option<Vec<f32>> {
        let mut values = vec![0.0; count];
        self.f32s_into(&mut values)?;
        Some(values)
    }

    pub fn f32s_into(&mut self, out: &mut [f32]) -> Option<()> {
        let (values, _) = self.bytes(out.len().checked_mul(4)?)?.as_chunks::<4>();
        out.iter_mut().zip(values).for_each(|(out, value)| *out = f32::from_le_bytes(*value));
        Some(())
    }

    pub fn text(&mut self) -> Option<&'a str> {
        let count = self.u32()? as usize;
        std::str::from_utf8(self.bytes(count)?).ok()
    }
}
