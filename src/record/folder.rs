//! The run folder: every byte that a run leaves behind goes through here.
//!
//! Order of events: [`RunFolder::open`] takes the lock and sweeps; [`RunFolder::newest_checkpoint`] says where to
//! go on; [`RunFolder::begin`] opens the CSVs, new or cut back to that checkpoint; then rows, one
//! [`RunFolder::flush`] per meta-iteration, and now and then a [`RunFolder::commit`]. A kill at any instant leaves
//! at most rows beyond the newest checkpoint, which the next `begin` cuts off.

use super::checkpoint::{Checkpoint, Lengths, Stamp};
use super::csv_file::{self, CsvFile};
use super::disk;
use super::generations::{self, Found};
use super::lock::FolderLock;
use super::manifest::Manifest;
use super::row::{
    EvalRow, Identity, SUMMARY_HEADER, SummaryRow, TIMING_HEADER, TRAIN_HEADER, TimingRow, TrainRow,
    eval_header, header,
};
use super::weights::Weights;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub const SPEC_FILE: &str = "spec.yaml";
pub const TRAIN_FILE: &str = "train.csv";
pub const EVAL_FILE: &str = "eval.csv";
pub const SUMMARY_FILE: &str = "summary.csv";
pub const TIMING_FILE: &str = "timing.csv";
pub const MANIFEST_FILE: &str = "run.json";
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// Files that are replaced as a whole, whose unfinished versions a new process sweeps.
const REPLACED_FILES: [&str; 4] = [SPEC_FILE, SUMMARY_FILE, MANIFEST_FILE, WEIGHTS_FILE];

/// A locked run folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: FolderLock,
    tables: Option<Tables>,
    last_checkpoint: u64,
}

#[derive(Debug)]
struct Tables {
    identity: Identity,
    train: CsvFile,
    eval: CsvFile,
    timing: CsvFile,
}

impl RunFolder {
    /// Makes the folder if need be, takes its lock and sweeps unfinished files.
    ///
    /// Errors: [`Error::Input`] naming the process that works in it already; [`Error::Io`].
    pub fn open(path: &Path) -> Result<RunFolder> {
        disk::make_folder(path)?;
        let lock = FolderLock::take(path)?;
        generations::sweep(path, &REPLACED_FILES)?;
        Ok(RunFolder { path: path.to_path_buf(), _lock: lock, tables: None, last_checkpoint: 0 })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// `run.json` of whatever ran here before; `None` in a new folder.
    pub fn manifest(&self) -> Result<Option<Manifest>> {
        let path = self.file(MANIFEST_FILE);
        if path.exists() { Manifest::read(&path).map(Some) } else { Ok(None) }
    }

    /// The newest whole checkpoint and a note for each damaged one. Errors as for [`generations::newest`].
    pub fn newest_checkpoint(&self) -> Result<Found> {
        generations::newest(&self.path)
    }

    /// Opens the CSVs: cut back to a checkpoint, or new and empty under their headers.
    ///
    /// `task_names` are the task's parameters; they fix the columns of `eval.csv` for the whole run.
    /// To start over, clear the checkpoints first: they would outlive the rows that they count.
    /// Errors: [`Error::Io`] when a CSV is shorter than the checkpoint says or was edited.
    pub fn begin(
        &mut self,
        identity: Identity,
        task_names: &[String],
        from: Option<&Checkpoint>,
    ) -> Result<()> {
        let open = |name: &str, header: &[String], length: Option<u64>| {
            let path = self.path.join(name);
            match length {
                Some(length) => CsvFile::resume(&path, header, length),
                None => CsvFile::create(&path, header),
            }
        };
        let lengths = from.map(|checkpoint| checkpoint.lengths);
        let tables = Tables {
            identity,
            train: open(TRAIN_FILE, &header(&TRAIN_HEADER), lengths.map(|lengths| lengths.train))?,
            eval: open(EVAL_FILE, &eval_header(task_names), lengths.map(|lengths| lengths.eval))?,
            timing: open(TIMING_FILE, &header(&TIMING_HEADER), lengths.map(|lengths| lengths.timing))?,
        };
        disk::sync_folder(&self.path)?;
        self.tables = Some(tables);
        self.last_checkpoint = from.map_or(0, |checkpoint| checkpoint.number);
        Ok(())
    }

    /// Buffers a row of `train.csv`.
    pub fn train(&mut self, row: &TrainRow) -> Result<()> {
        let tables = self.tables()?;
        let cells = row.cells(&tables.identity);
        tables.train.push(&cells)
    }

    /// Buffers a row of `eval.csv`. Errors: [`Error::Run`] when the task's parameters are not the header's.
    pub fn eval(&mut self, row: &EvalRow) -> Result<()> {
        let tables = self.tables()?;
        let cells = row.cells(&tables.identity);
        tables.eval.push(&cells)
    }

    /// Buffers a row of `timing.csv`.
    pub fn timing(&mut self, row: &TimingRow) -> Result<()> {
        self.tables()?.timing.push(&row.cells())
    }

    /// Hands the buffered rows to the system: readers see them, a power cut may still take them.
    pub fn flush(&mut self) -> Result<()> {
        let tables = self.tables()?;
        tables.train.flush()?;
        tables.eval.flush()?;
        tables.timing.flush()
    }

    /// The durable instant: syncs the rows, then writes the next checkpoint and returns it.
    ///
    /// `progress` is the caller's state by name. Errors: [`Error::Io`]; the last checkpoint stays whole then, and a
    /// failed sync is never tried again.
    pub fn commit(&mut self, stamp: &Stamp, progress: BTreeMap<String, Vec<u8>>) -> Result<Checkpoint> {
        let tables = self.tables()?;
        let lengths = Lengths {
            train: tables.train.commit()?,
            eval: tables.eval.commit()?,
            timing: tables.timing.commit()?,
        };
        let number = self.last_checkpoint + 1;
        let checkpoint = Checkpoint { number, stamp: stamp.clone(), lengths, progress };
        generations::save(&self.path, &checkpoint)?;
        self.last_checkpoint = number;
        Ok(checkpoint)
    }

    /// Deletes the checkpoints, durably.
    pub fn clear_checkpoints(&mut self) -> Result<()> {
        generations::clear(&self.path)
    }

    /// Replaces `spec.yaml`, the resolved specification that reproduces the run.
    pub fn write_spec(&self, text: &str) -> Result<()> {
        disk::replace(&self.file(SPEC_FILE), text.as_bytes())
    }

    /// Replaces the copy of an input file, at its relative place in the folder.
    pub fn write_copy(&self, name: &Path, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            disk::make_folder(parent)?;
        }
        disk::replace(&path, bytes)
    }

    /// Replaces `run.json`.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        disk::replace(&self.file(MANIFEST_FILE), manifest.to_json().as_bytes())
    }

    /// Replaces `summary.csv`, which is computed afresh from `eval.csv` each time.
    pub fn write_summary(&self, rows: &[SummaryRow]) -> Result<()> {
        let mut bytes = csv_file::line(&header(&SUMMARY_HEADER));
        for row in rows {
            bytes.extend(csv_file::line(&row.cells()));
        }
        disk::replace(&self.file(SUMMARY_FILE), &bytes)
    }

    /// Replaces `weights.safetensors`.
    pub fn write_weights(&self, weights: &Weights) -> Result<()> {
        disk::replace(&self.file(WEIGHTS_FILE), &weights.to_bytes()?)
    }

    /// Replaces a picture; `name` ends in `.svg`.
    pub fn write_picture(&self, name: &str, svg: &str) -> Result<()> {
        disk::replace(&self.file(name), svg.as_bytes())
    }

    fn tables(&mut self) -> Result<&mut Tables> {
        let missing = || Error::Run(format!("the CSVs in {} are not open yet", self.path.display()));
        match &mut self.tables {
            Some(tables) => Ok(tables),
            None => Err(missing()),
        }
    }
}
