//! Zip archives, read in place: nothing is ever extracted, so no name can write anywhere.

use crate::limits::{DIRECTORY_BYTES, MEMBER_BYTES, MEMBERS, RATIO, TOTAL_BYTES};
use crate::names;
use crate::{Member, Result};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// An archive whose list of members has been checked.
#[derive(Debug)]
pub struct Archive {
    pub path: PathBuf,
    pub members: Vec<Member>,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    pub fn open(path: &Path) -> Result<Archive> {
        let shown = path.display();
        let failed = |e: std::io::Error| format!("cannot read {shown}: {e}");
        let mut file = File::open(path).map_err(failed)?;
        let kind = file.metadata().map_err(failed)?;
        if !kind.is_file() {
            return Err(format!("{shown} is not a regular file"));
        }
        let length = kind.len();
        count(&mut file, length).map_err(|why| format!("{shown} {why}"))?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|e| {
            format!("{shown} is not a whole zip archive ({e}); it may be cut short: fetch or copy it again")
        })?;
        let members = members(&zip, length).map_err(|why| format!("{shown}: {why}"))?;
        Ok(Archive { path: path.to_owned(), members, zip })
    }

    pub fn read(&mut self, member: usize) -> Result<Vec<u8>> {
        let Member { name, size, index } = &self.members[member];
        let failed = |why: String| format!("{}: {}: {why}", self.path.display(), names::shown(name));
        let file = self.zip.by_index(*index).map_err(|e| failed(e.to_string()))?;
        let mut bytes = Vec::with_capacity(*size as usize);
        // The stated size was checked against the limit; a member that unpacks to more is cut here and refused.
        file.take(size + 1).read_to_end(&mut bytes).map_err(|e| failed(e.to_string()))?;
        if bytes.len() as u64 == *size {
            Ok(bytes)
        } else {
            Err(failed(format!("it unpacks to {} bytes where {size} are stated", bytes.len())))
        }
    }
}

/// Names and sizes of the files, sorted by name.
fn members(zip: &ZipArchive<BufReader<File>>, length: u64) -> Result<Vec<Member>> {
    let mut members = vec![];
    let mut total = 0u64;
    for index in 0..zip.len() {
        let entry = zip.by_index_data(index).map_err(|e| e.to_string())?;
        let raw = entry.name_raw();
        let name =
            std::str::from_utf8(raw).map_err(|_| format!("member {index} has a name that is not UTF-8"))?;
        let refuse =
            |why: &str| Err(format!("member `{}` {why}; the archive is refused", names::shown(name)));
        if let Err(why) = names::check(name.trim_end_matches('/')) {
            return refuse(why);
        }
        if entry.is_symlink() {
            return refuse("is a symbolic link");
        }
        if entry.encrypted() {
            return refuse("is encrypted");
        }
        if entry.is_dir() || names::is_litter(name) {
            continue;
        }
        let size = entry.size();
        total = total.saturating_add(size);
        if size > MEMBER_BYTES {
            return refuse(&format!("unpacks to {size} bytes, more than {MEMBER_BYTES}"));
        }
        members.push(Member { name: name.to_owned(), size, index });
    }
    if total > TOTAL_BYTES || total / RATIO > length {
        return Err(format!(
            "its {length} bytes unpack to {total}, which no archive of images does; it is refused"
        ));
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

/// Refuses a list of members that would be expensive to read. The archive's end says how long it is: the end record
/// (APPNOTE 4.3.16), which lies in the last 65,557 bytes, and its 64-bit form (4.3.14) where the numbers are too large.
fn count(file: &mut File, length: u64) -> Result<()> {
    const END: usize = 22;
    let tail = length.min(END as u64 + 65_535);
    let mut bytes = vec![0; tail as usize];
    let read = file.seek(SeekFrom::Start(length - tail)).and_then(|_| file.read_exact(&mut bytes));
    read.map_err(|e| format!("cannot be read: {e}"))?;
    let end = bytes.windows(END).rposition(|window| window.starts_with(b"PK\x05\x06"));
    let Some(end) = end else {
        return Err("is not a whole zip archive; it may be cut short: fetch or copy it again".into());
    };
    let number = |at: usize, width: usize| {
        bytes[at..at + width].iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte))
    };
    let (mut entries, mut directory) = (number(end + 10, 2), number(end + 12, 4));
    if entries == 0xFFFF || directory == 0xFFFF_FFFF {
        // The 64-bit end record, wherever it is in the tail; without one the numbers stand.
        let wide = bytes[..end].windows(56).rposition(|window| window.starts_with(b"PK\x06\x06"));
        if let Some(wide) = wide {
            (entries, directory) = (number(wide + 32, 8), number(wide + 40, 8));
        }
    }
    if entries > MEMBERS || directory > DIRECTORY_BYTES {
        return Err(format!("lists {entries} members, more than {MEMBERS}; it is refused"));
    }
    Ok(())
}
