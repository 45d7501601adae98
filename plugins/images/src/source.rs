//! A place with image files: an archive read in place, or a folder.

use crate::archive::Archive;
use crate::folder::Folder;
use crate::{Digest, Result};
use std::path::Path;

/// One file in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Relative, with `/`; checked not to leave the source.
    pub name: String,
    /// In bytes, as the source states it; reading checks it.
    pub size: u64,
    /// Place in the archive's own list.
    pub(crate) index: usize,
}

impl Member {
    /// Whether the name ends as an image that can be decoded here.
    pub fn is_image(&self) -> bool {
        crate::names::is_image(&self.name)
    }
}

/// An opened source. Its members are sorted by name, so their order does not depend on how the source was made.
#[derive(Debug)]
pub enum Source {
    Zip(Archive),
    Folder(Folder),
}

impl Source {
    /// Opens a zip archive or a folder, and checks the name and size of everything in it.
    pub fn open(path: &Path) -> Result<Source> {
        if path.is_dir() {
            Ok(Source::Folder(Folder::open(path)?))
        } else {
            Ok(Source::Zip(Archive::open(path)?))
        }
    }

    /// Files, without directories and what operating systems leave behind.
    pub fn members(&self) -> &[Member] {
        match self {
            Source::Zip(archive) => &archive.members,
            Source::Folder(folder) => &folder.members,
        }
    }

    /// Reads a member whole, at most [`crate::limits::MEMBER_BYTES`].
    pub fn read(&mut self, member: usize) -> Result<Vec<u8>> {
        match self {
            Source::Zip(archive) => archive.read(member),
            Source::Folder(folder) => folder.read(member),
        }
    }

    /// "archive: member", for messages.
    pub fn place(&self, member: usize) -> String {
        format!("{}: {}", self.path().display(), crate::names::shown(&self.members()[member].name))
    }

    /// The archive or folder.
    pub fn path(&self) -> &Path {
        match self {
            Source::Zip(archive) => &archive.path,
            Source::Folder(folder) => &folder.path,
        }
    }

    /// Takes the source into a hash: an archive's bytes; of a folder's files, their names, sizes and times of change,
    /// because reading gigabytes of images at every start would defeat the cache.
    pub fn digest(path: &Path, digest: &mut Digest) -> Result<()> {
        if path.is_dir() { Folder::open(path)?.digest(digest) } else { digest.file(path) }
    }
}
