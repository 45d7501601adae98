//! An append-only CSV file: whole rows or nothing for the reader, exact lengths for the checkpoint.

use super::disk::explain;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Rows wait in memory until [`CsvFile::flush`], which hands them to the system in one write.
#[derive(Debug)]
pub struct CsvFile {
    path: PathBuf,
    file: File,
    columns: usize,
    /// Bytes handed to the system.
    length: u64,
    pending: Vec<u8>,
    /// After a failed write or sync nobody knows what the file holds: nothing more is written to it.
    failed: bool,
}

impl CsvFile {
    /// Starts the file afresh with its header on line 1.
    pub fn create(path: &Path, header: &[String]) -> Result<CsvFile> {
        let file = open(path)?;
        file.set_len(0).map_err(Error::io("empty", path))?;
        let mut csv = CsvFile::over(path, file, header.len(), 0);
        csv.push(header)?;
        csv.flush()?;
        Ok(csv)
    }

    /// Goes on with a file whose first `length` bytes belong to a checkpoint; what lies beyond is cut off.
    ///
    /// Errors: [`Error::Io`] when the file is shorter than recorded, has another header, or would be cut inside
    /// a row: somebody has edited it, and going on would not give the bytes of an unbroken run.
    pub fn resume(path: &Path, header: &[String], length: u64) -> Result<CsvFile> {
        if !path.exists() {
            return Err(edited(path, "it is gone".to_string()));
        }
        let mut file = open(path)?;
        let found = file.metadata().map_err(Error::io("read", path))?.len();
        if found < length {
            let text = format!("it holds {found} bytes and the checkpoint was made at {length}");
            return Err(edited(path, text));
        }
        let expected = line(header);
        let mut first = vec![0u8; expected.len()];
        let starts_with_header = (expected.len() as u64) <= length
            && file.rewind().and_then(|()| file.read_exact(&mut first)).is_ok()
            && first == expected;
        if !starts_with_header {
            return Err(edited(path, format!("its header is not {}", header.join(","))));
        }
        let mut last = [0u8];
        file.seek(SeekFrom::Start(length - 1))
            .and_then(|_| file.read_exact(&mut last))
            .map_err(Error::io("read", path))?;
        if last != *b"\n" {
            return Err(edited(path, format!("no row ends at byte {length}, where the checkpoint was made")));
        }
        file.set_len(length).map_err(Error::io("cut back", path))?;
        Ok(CsvFile::over(path, file, header.len(), length))
    }

    fn over(path: &Path, file: File, columns: usize, length: u64) -> CsvFile {
        CsvFile { path: path.to_path_buf(), file, columns, length, pending: Vec::new(), failed: false }
    }

    /// Adds a row to the buffer. Errors: [`Error::Run`] when the number of cells is not the header's.
    pub fn push(&mut self, cells: &[String]) -> Result<()> {
        if cells.len() != self.columns {
            return Err(Error::Run(format!(
                "a row for {} has {} cells and the header has {}",
                self.path.display(),
                cells.len(),
                self.columns
            )));
        }
        self.pending.extend_from_slice(&line(cells));
        Ok(())
    }

    /// Hands the buffered rows to the system in one write, so that `tail -f` shows whole rows.
    pub fn flush(&mut self) -> Result<()> {
        self.refuse_after_failure()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(source) = self.file.write_all(&self.pending) {
            self.failed = true;
            let source = explain(source, self.pending.len());
            return Err(Error::Io { path: self.path.clone(), action: "write", source });
        }
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Flushes and waits until the rows are on the disk. A failed sync is never tried again.
    pub fn commit(&mut self) -> Result<u64> {
        self.flush()?;
        if let Err(source) = self.file.sync_data() {
            self.failed = true;
            return Err(Error::Io { path: self.path.clone(), action: "sync", source });
        }
        Ok(self.length)
    }

    fn refuse_after_failure(&self) -> Result<()> {
        if self.failed {
            let source = io::Error::other("an earlier write or sync of this file failed");
            return Err(Error::Io { path: self.path.clone(), action: "write", source });
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path).map_err(Error::io("open", path))
}

/// One line of CSV, quoted where needed, ending in a line feed on every system.
pub fn line(cells: &[String]) -> Vec<u8> {
    let mut record = csv::WriterBuilder::new().from_writer(Vec::new());
    // Writing to memory and to a fresh writer cannot fail: there is no device and no earlier row to differ from.
    record.write_record(cells).and_then(|()| Ok(record.flush()?)).expect("a row in memory");
    record.into_inner().expect("a row in memory")
}

fn edited(path: &Path, text: String) -> Error {
    let advice =
        "the file was changed since the checkpoint: restore it, or start over in another folder with --out";
    let source = io::Error::new(io::ErrorKind::InvalidData, format!("{text}; {advice}"));
    Error::Io { path: path.to_path_buf(), action: "go on with", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full disk, as Linux offers it to everyone: every write to /dev/full fails with "no space left", and it
    /// cannot be synced either.
    #[cfg(target_os = "linux")]
    #[test]
    fn after_a_failed_write_or_sync_nothing_is_tried_again() {
        let path = Path::new("/dev/full");
        let full = || CsvFile::over(path, OpenOptions::new().write(true).open(path).unwrap(), 1, 0);
        let text = |result: Result<u64>| result.unwrap_err().to_string();

        let mut writing = full();
        writing.push(&["1".to_string()]).unwrap();
        let first = text(writing.commit());
        assert!(first.contains("/dev/full") && first.contains("2 bytes were to be written"), "{first}");
        assert!(
            text(writing.commit()).contains("an earlier write or sync"),
            "a failed write is not repeated"
        );

        let mut syncing = full();
        assert!(text(syncing.commit()).contains("cannot sync /dev/full"));
        assert!(text(syncing.commit()).contains("an earlier write or sync"), "a failed sync is not repeated");
        assert_eq!(full().commit().unwrap_err().exit_code(), 3);
    }
}
