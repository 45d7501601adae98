//! The runs of a sweep, several at a time, each in an ordinary run folder of its own.
//!
//! There is no state beside the run folders: a finished run says so in its `run.json` and is skipped, every other one
//! goes on from its checkpoint. So a sweep can be killed at any instant and started again, in any number of processes.

use super::experiment::{Experiment, SweptExperiment};
use super::session::{self, Finished};
use super::signals::StopRequest;
use crate::error::{Error, Result};
use crate::record::folder::{MANIFEST_FILE, SUMMARY_FILE};
use crate::record::lock::FolderLock;
use crate::record::sweep::{SweptRun, table};
use crate::record::{Manifest, Status, disk, read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The aggregate table's name in the sweep's folder.
pub const TABLE_FILE: &str = "sweep.csv";
/// How long a process waits for another that writes the table.
const TABLE_WAIT: Duration = Duration::from_secs(10);

pub struct Options {
    /// Runs at a time.
    pub jobs: usize,
    /// Threads of each.
    pub threads: usize,
    /// This process makes every run whose number leaves the first when divided by the second.
    pub shard: (usize, usize),
    pub checkpoint_every: Duration,
}

/// What became of the runs that this process was to make.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Done before this process began.
    pub skipped: usize,
    pub made: usize,
    /// Name and reason of those that failed.
    pub failed: Vec<(String, Error)>,
}

/// Makes the runs of a sweep in `folder`. `finished` is called for each as it ends.
///
/// A run that fails does not keep the others from running. Errors: [`Error::Stopped`] when asked to stop, with
/// everything saved; [`Error::Io`] when the disk fails, because every other run would meet the same.
pub fn run(
    runs: &[SweptExperiment],
    folder: &Path,
    options: &Options,
    finished: &(dyn Fn(&SweptExperiment, &Path, &Finished) -> Result<()> + Sync),
) -> Result<Outcome> {
    let stop = StopRequest::listen()?;
    let (shard, shards) = options.shard;
    let mine: Vec<&SweptExperiment> = runs.iter().skip(shard).step_by(shards).collect();
    disk::make_folder(folder)?;
    let todo: Vec<&&SweptExperiment> =
        mine.iter().filter(|run| !is_done(&run.experiment, &folder_of(run, folder))).collect();
    let outcome = Mutex::new(Outcome { skipped: mine.len() - todo.len(), ..Outcome::default() });
    let (next, fatal) = (AtomicUsize::new(0), Mutex::new(None));
    let lock = |result: Mutex<Option<Error>>| result.into_inner().unwrap_or_else(|e| e.into_inner());
    let work = || {
        loop {
            let halted = stop.asked().is_some() || fatal.lock().is_ok_and(|fatal| fatal.is_some());
            let Some(run) = todo.get(next.fetch_add(1, Ordering::SeqCst)).filter(|_| !halted) else { return };
            let name = run.experiment.spec.run_name();
            let result = one(run, folder, options, runs.len()).and_then(|done| {
                finished(run, &folder_of(run, folder), &done)?;
                write_table(runs, folder)
            });
            match result {
                Ok(()) => {
                    if let Ok(mut outcome) = outcome.lock() {
                        outcome.made += 1;
                    }
                }
                Err(error @ (Error::Stopped { .. } | Error::Io { .. })) => {
                    if let Ok(mut fatal) = fatal.lock() {
                        fatal.get_or_insert(error);
                    }
                }
                Err(error) => {
                    eprintln!("mamlx: {name}: {error}");
                    if let Ok(mut outcome) = outcome.lock() {
                        outcome.failed.push((name, error));
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.min(todo.len()) {
            scope.spawn(work);
        }
    });
    if let Some(error) = lock(fatal) {
        return Err(error);
    }
    // Asked to stop between two runs: nothing is lost, and what is left is left.
    let outcome = outcome.into_inner().unwrap_or_else(|e| e.into_inner());
    if let Some(code) = stop.asked().filter(|_| outcome.made + outcome.failed.len() < todo.len()) {
        let message = "stopped between two runs; the same command goes on.".to_string();
        return Err(Error::Stopped { code, message });
    }
    write_table(runs, folder)?;
    Ok(outcome)
}

/// The folder of a run.
pub fn folder_of(run: &SweptExperiment, folder: &Path) -> PathBuf {
    folder.join(run.experiment.spec.run_name())
}

fn one(run: &SweptExperiment, folder: &Path, options: &Options, total: usize) -> Result<Finished> {
    let name = run.experiment.spec.run_name();
    let settings: Vec<String> = run.settings.iter().map(|(path, value)| format!("{path}={value}")).collect();
    eprintln!("mamlx: {name} begins, one of {total} runs ({})", settings.join(", "));
    let options = session::Options {
        threads: options.threads,
        fresh: false,
        from: None,
        checkpoint_every: options.checkpoint_every,
        label: Some(name),
        deadline: None,
    };
    session::run(&run.experiment, &folder_of(run, folder), &options)
}

/// Whether the folder holds this very run, finished. Anything else is looked at when its turn comes.
pub(super) fn is_done(experiment: &Experiment, folder: &Path) -> bool {
    let manifest = Manifest::read(&folder.join(MANIFEST_FILE));
    manifest.is_ok_and(|m| m.status == Status::Done && m.spec_hash == experiment.spec.hash())
}

/// Writes the table of every finished run of the whole sweep, whoever made it. Between processes the writer that comes
/// last sees all that the others have finished, so the table of a finished sweep does not depend on who wrote it.
fn write_table(runs: &[SweptExperiment], folder: &Path) -> Result<()> {
    let began = Instant::now();
    // Threads of this process take turns here, processes by the folder's lock.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let _lock = loop {
        match FolderLock::take(folder) {
            Ok(lock) => break lock,
            Err(Error::Input(_)) if began.elapsed() < TABLE_WAIT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    };
    let mut rows = vec![];
    for run in runs {
        let own = folder_of(run, folder);
        if is_done(&run.experiment, &own) {
            let values = run.settings.iter().map(|(_, value)| value.clone()).collect();
            let summary = read::read_summary(&own.join(SUMMARY_FILE))?;
            rows.push(SweptRun { identity: run.experiment.identity(), values, summary });
        }
    }
    let paths: Vec<&str> =
        runs.first().map_or_else(Vec::new, |run| run.settings.iter().map(|(p, _)| &p[..]).collect());
    disk::replace(&folder.join(TABLE_FILE), &table(&paths, &rows))
}
