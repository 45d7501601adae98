//! `checkpoint.N` in the run folder: save, find the newest whole one, sweep what was left unfinished.

use super::checkpoint::{Checkpoint, Damage};
use super::disk::{self, UNFINISHED};
use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

const PREFIX: &str = "checkpoint.";

/// What a look through the folder found.
#[derive(Debug, Default)]
pub struct Found {
    /// The newest checkpoint that is whole; `None` in a folder without checkpoints.
    pub checkpoint: Option<Checkpoint>,
    /// One sentence for each damaged checkpoint that was passed over.
    pub notes: Vec<String>,
}

/// The file of a checkpoint.
pub fn file_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{PREFIX}{number}"))
}

/// Writes a checkpoint durably and deletes those before its predecessor, so that two whole ones remain.
///
/// Errors: [`Error::Io`]; the older checkpoints are untouched then.
pub fn save(folder: &Path, checkpoint: &Checkpoint) -> Result<()> {
    disk::replace(&file_of(folder, checkpoint.number), &checkpoint.to_bytes())?;
    for number in numbers(folder)?.into_iter().filter(|number| number + 2 <= checkpoint.number) {
        let path = file_of(folder, number);
        fs::remove_file(&path).map_err(Error::io("delete", &path))?;
    }
    Ok(())
}

/// The newest checkpoint whose checksums hold, with a note for each damaged one passed over.
///
/// Errors: [`Error::Input`] when one comes from another format version, or when there are checkpoints and none is
/// whole: starting over would then destroy rows that the user may want.
pub fn newest(folder: &Path) -> Result<Found> {
    let mut found = Found::default();
    for number in numbers(folder)?.into_iter().rev() {
        let path = file_of(folder, number);
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        match Checkpoint::from_bytes(&bytes) {
            Ok(checkpoint) if checkpoint.number == number => {
                found.checkpoint = Some(checkpoint);
                return Ok(found);
            }
            Ok(checkpoint) => found.notes.push(format!(
                "passed over {}: inside, it is checkpoint {}",
                path.display(),
                checkpoint.number
            )),
            Err(damage @ Damage::Version(_)) => {
                return Err(Error::Input(format!(
                    "cannot go on with {}: {damage}. Use the version that wrote it, or another folder with --out",
                    path.display()
                )));
            }
            Err(damage) => found.notes.push(format!("passed over {}: {damage}", path.display())),
        }
    }
    if found.notes.is_empty() {
        return Ok(found);
    }
    Err(Error::Input(format!(
        "cannot go on with the run in {}: none of its checkpoints is whole.\n{}\nMove the folder away to start over, or choose another with --out",
        folder.display(),
        found.notes.join("\n")
    )))
}

/// Deletes every checkpoint, durably: a run that starts over has none.
pub fn clear(folder: &Path) -> Result<()> {
    for number in numbers(folder)? {
        let path = file_of(folder, number);
        fs::remove_file(&path).map_err(Error::io("delete", &path))?;
    }
    disk::sync_folder(folder)
}

/// Deletes files of ours that a killed process left unfinished; other people's files stay.
pub fn sweep(folder: &Path, replaced_files: &[&str]) -> Result<()> {
    for name in names(folder)? {
        let Some(stem) = name.strip_suffix(UNFINISHED) else { continue };
        if number_of(stem).is_some() || replaced_files.contains(&stem) || stem.ends_with(".svg") {
            let path = folder.join(&name);
            fs::remove_file(&path).map_err(Error::io("delete", &path))?;
        }
    }
    Ok(())
}

/// Numbers of the checkpoints in a folder, ascending.
pub fn numbers(folder: &Path) -> Result<Vec<u64>> {
    let mut numbers: Vec<u64> = names(folder)?.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?;
    let number: u64 = digits.parse().ok()?;
    // `checkpoint.007` and `checkpoint.+7` are nobody's: only the name that we would write counts.
    (number.to_string() == digits).then_some(number)
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::io("list", folder))?.file_name();
        // A name that is not UTF-8 is not one of ours.
        names.extend(name.into_string());
    }
    Ok(names)
}
