//! Folders of image files.

use crate::limits::{DEPTH, MEMBER_BYTES, MEMBERS};
use crate::names;
use crate::{Digest, Member, Result};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A folder whose files have been listed and checked.
#[derive(Debug)]
pub struct Folder {
    pub path: PathBuf,
    pub members: Vec<Member>,
}

impl Folder {
    /// Lists every file. The folder itself may be a symbolic link; inside it none is followed, because a link may lead
    /// anywhere, in a circle too.
    pub fn open(path: &Path) -> Result<Folder> {
        let mut members = vec![];
        list(path, "", 0, &mut members)?;
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Folder { path: path.to_owned(), members })
    }

    pub fn read(&self, member: usize) -> Result<Vec<u8>> {
        let Member { name, size, .. } = &self.members[member];
        let path = self.path.join(name);
        let failed = |e| format!("cannot read {}: {e}", path.display());
        let mut bytes = Vec::with_capacity(*size as usize);
        let file = File::open(&path).map_err(failed)?;
        file.take(size + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 == *size {
            Ok(bytes)
        } else {
            Err(format!("{} has changed while it was read", path.display()))
        }
    }

    pub fn digest(&self, digest: &mut Digest) -> Result<()> {
        digest.part(self.path.file_name().unwrap_or_default().as_encoded_bytes());
        for member in &self.members {
            let path = self.path.join(&member.name);
            let changed = fs::metadata(&path).and_then(|meta| meta.modified());
            let changed = changed.map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            let nanos = changed.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
            digest.part(member.name.as_bytes());
            digest.part(&member.size.to_le_bytes());
            digest.part(&nanos.to_le_bytes());
        }
        Ok(())
    }
}

fn list(folder: &Path, prefix: &str, depth: usize, members: &mut Vec<Member>) -> Result<()> {
    let failed = |e: std::io::Error| format!("cannot read the folder {}: {e}", folder.display());
    if depth > DEPTH {
        return Err(format!("{} has folders more than {DEPTH} deep", folder.display()));
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let Some(own) = entry.file_name().to_str().map(str::to_owned) else {
            return Err(format!("{} has a name that is not UTF-8", path.display()));
        };
        let name = if prefix.is_empty() { own } else { format!("{prefix}/{own}") };
        if names::is_litter(&name) {
            continue;
        }
        let refuse = |why: &str| Err(format!("{} {why}", path.display()));
        if let Err(why) = names::check(&name) {
            return refuse(why);
        }
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            list(&path, &name, depth + 1, members)?;
        } else if kind.is_symlink() {
            return refuse(
                "is a symbolic link; put the file itself there, or link the whole data set's folder",
            );
        } else if kind.is_file() {
            let size = entry.metadata().map_err(failed)?.len();
            if size > MEMBER_BYTES {
                return refuse(&format!("has {size} bytes, more than {MEMBER_BYTES}"));
            }
            members.push(Member { name, size, index: 0 });
        } else {
            return refuse("is neither a file nor a folder");
        }
        if members.len() as u64 > MEMBERS {
            return Err(format!("{} has more than {MEMBERS} files", folder.display()));
        }
    }
    Ok(())
}
