//! A checkpoint as bytes: everything a run needs to go on, and proof that it is whole.
//!
//! Layout, little-endian: the magic, the format version (u32), the number of sections (u32); for each section its
//! name (u64 length, UTF-8), its payload (u64 length, bytes) and the SHA-256 of both; at the end the SHA-256 of
//! everything before. There is no generator state, no environment state and no clock in it: random draws are a
//! function of their place, and every episode starts from an explicit seed.

use super::bytes::{Packer, Short, Unpacker};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

const MAGIC: &[u8; 8] = b"mamlx-cp";

/// Raised whenever the layout changes; an unknown version is refused, never guessed at.
pub const FORMAT_VERSION: u32 = 1;

const CHECKSUM_BYTES: usize = 32;

const NUMBER: &str = "number";
const STAMP: &str = "stamp";
const LENGTHS: &str = "lengths";
/// Before the caller's own section names, so that they can never meet ours.
const PROGRESS: &str = "progress/";

/// What has to be the same for a run to go on: another specification or plugin is another run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Hash of the resolved specification, without device, threads and folder.
    pub spec_hash: String,
    /// Version of mamlx.
    pub version: String,
    /// Plugin id → hash of its library.
    pub plugins: BTreeMap<String, String>,
}

impl Stamp {
    /// What differs between a saved run and this one, a line each; empty when the run may go on. `keys` are the
    /// differences of their specifications, which hashes alone do not tell.
    pub fn differences(&self, now: &Stamp, keys: Vec<String>) -> Vec<String> {
        let known = !keys.is_empty();
        let mut lines = keys;
        let mut compare = |what: String, saved: &str, now: &str| {
            if saved != now {
                lines.push(format!("{what}: saved with {saved}, now {now}"));
            }
        };
        if !known {
            compare("specification (hash)".to_string(), &self.spec_hash, &now.spec_hash);
        }
        compare("mamlx (version)".to_string(), &self.version, &now.version);
        let ids: std::collections::BTreeSet<_> = self.plugins.keys().chain(now.plugins.keys()).collect();
        for id in ids {
            let hash = |stamp: &Stamp| stamp.plugins.get(id).cloned().unwrap_or_else(|| "none".to_string());
            compare(format!("plugin {id} (hash of the library)"), &hash(self), &hash(now));
        }
        lines
    }
}

/// Bytes of each append-only CSV that belong to the checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    pub train: u64,
    pub eval: u64,
    pub timing: u64,
}

/// One durable instant of a run: the end of a meta-iteration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Counts the checkpoints of this run from 1; part of the file's name.
    pub number: u64,
    pub stamp: Stamp,
    pub lengths: Lengths,
    /// The caller's own state by name, for example one section per method; opaque here.
    pub progress: BTreeMap<String, Vec<u8>>,
}

/// Why bytes are not a whole checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It does not start with the magic: not a checkpoint of mamlx, or its first bytes are damaged.
    NotACheckpoint,
    /// It ends before its own lengths say, or goes on after them.
    Length,
    /// A section's checksum does not hold.
    Section(String),
    /// The checksum over everything does not hold.
    Whole,
    /// Whole, but of a format that this version does not know.
    Version(u32),
    /// Every checksum holds, but a section that must be there is missing or not understood.
    Content(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::NotACheckpoint => f.write_str("it does not start like a checkpoint of mamlx"),
            Damage::Length => f.write_str("it is cut short or has bytes too many"),
            Damage::Section(name) => write!(f, "the checksum of its section {name:?} does not hold"),
            Damage::Whole => f.write_str("its checksum does not hold"),
            Damage::Version(found) => {
                write!(f, "it is of format {found}, and this mamlx knows only format {FORMAT_VERSION}")
            }
            Damage::Content(name) => write!(f, "its section {name:?} is missing or not understood"),
        }
    }
}

impl std::error::Error for Damage {}

impl From<Short> for Damage {
    fn from(_: Short) -> Damage {
        Damage::Length
    }
}

impl Checkpoint {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut sections = vec![
            (NUMBER.to_string(), packed(|out| out.u64(self.number))),
            (STAMP.to_string(), self.stamp.to_bytes()),
            (LENGTHS.to_string(), self.lengths.to_bytes()),
        ];
        let progress = self.progress.iter();
        sections.extend(progress.map(|(name, payload)| (format!("{PROGRESS}{name}"), payload.clone())));
        encode(&sections)
    }

    /// Reads a checkpoint back. Any single changed byte and any missing tail is found.
    pub fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, Damage> {
        let mut sections = decode(bytes)?;
        let mut take = |name: &str| sections.remove(name).ok_or_else(|| Damage::Content(name.to_string()));
        let (number, stamp, lengths) = (take(NUMBER)?, take(STAMP)?, take(LENGTHS)?);
        let understood = |name: &str| {
            let name = name.to_string();
            move |_: Short| Damage::Content(name)
        };
        let mut progress = BTreeMap::new();
        for (name, payload) in sections {
            let own = name.strip_prefix(PROGRESS).ok_or_else(|| Damage::Content(name.clone()))?;
            progress.insert(own.to_string(), payload.to_vec());
        }
        Ok(Checkpoint {
            number: Unpacker::new(number).u64().map_err(understood(NUMBER))?,
            stamp: Stamp::from_bytes(stamp).map_err(understood(STAMP))?,
            lengths: Lengths::from_bytes(lengths).map_err(understood(LENGTHS))?,
            progress,
        })
    }
}

impl Stamp {
    fn to_bytes(&self) -> Vec<u8> {
        packed(|out| {
            out.text(&self.spec_hash).text(&self.version).u64(self.plugins.len() as u64);
            for (id, hash) in &self.plugins {
                out.text(id).text(hash);
            }
            out
        })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Stamp, Short> {
        let mut from = Unpacker::new(bytes);
        let (spec_hash, version) = (from.text()?.to_string(), from.text()?.to_string());
        let mut plugins = BTreeMap::new();
        for _ in 0..from.u64()? {
            plugins.insert(from.text()?.to_string(), from.text()?.to_string());
        }
        Ok(Stamp { spec_hash, version, plugins })
    }
}

impl Lengths {
    fn to_bytes(self) -> Vec<u8> {
        packed(|out| out.u64(self.train).u64(self.eval).u64(self.timing))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Lengths, Short> {
        let mut from = Unpacker::new(bytes);
        Ok(Lengths { train: from.u64()?, eval: from.u64()?, timing: from.u64()? })
    }
}

fn packed(write: impl FnOnce(&mut Packer) -> &mut Packer) -> Vec<u8> {
    let mut packer = Packer::new();
    write(&mut packer);
    packer.finish()
}

fn encode(sections: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Packer::new();
    out.raw(MAGIC).u32(FORMAT_VERSION).u32(sections.len() as u32);
    for (name, payload) in sections {
        out.text(name).bytes(payload).raw(&section_checksum(name, payload));
    }
    let whole = Sha256::digest(out.written());
    out.raw(&whole);
    out.finish()
}

/// Walks the sections first, so that the complaint can name the damaged one, and believes none of them before
/// the checksum over everything holds.
fn decode(bytes: &[u8]) -> Result<BTreeMap<String, &[u8]>, Damage> {
    if !bytes.starts_with(MAGIC) {
        return Err(Damage::NotACheckpoint);
    }
    let body = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(Damage::Length)?;
    let (body, whole) = bytes.split_at(body);
    let whole_holds = Sha256::digest(body)[..] == *whole;
    let mut from = Unpacker::new(body.get(MAGIC.len()..).ok_or(Damage::Length)?);
    let version = from.u32()?;
    if version != FORMAT_VERSION {
        return Err(if whole_holds { Damage::Version(version) } else { Damage::Whole });
    }
    let mut sections = BTreeMap::new();
    for _ in 0..from.u32()? {
        let (name, payload) = (from.text()?, from.bytes()?);
        if *from.raw(CHECKSUM_BYTES)? != section_checksum(name, payload) {
            return Err(Damage::Section(name.to_string()));
        }
        sections.insert(name.to_string(), payload);
    }
    match (from.remaining(), whole_holds) {
        (0, true) => Ok(sections),
        (0, false) => Err(Damage::Whole),
        _ => Err(Damage::Length),
    }
}

fn section_checksum(name: &str, payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hash = Sha256::new();
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name.as_bytes());
    hash.update(payload);
    hash.finalize().into()
}
