//! Many experiments, one after the other, within a budget of time.
//!
//! Every unfinished run gets an equal share of what is left of the budget; one that is done sooner leaves its time to the
//! others. So the short experiments end, and each of the long ones comes as far as the rest allows. There is no state
//! beside the run folders: the same call goes on.

use super::experiment::Experiment;
use super::session::{self, Finished};
use super::signals::StopRequest;
use super::sweep::is_done;
use crate::error::{Error, Result};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A run to make.
pub struct Unit {
    pub experiment: Experiment,
    pub folder: PathBuf,
}

pub struct Options {
    /// `None`: until everything is done.
    pub budget: Option<Duration>,
    pub threads: usize,
    pub checkpoint_every: Duration,
}

/// What became of a run.
#[derive(Debug)]
pub enum Fate {
    /// Not begun, or stopped with everything saved.
    Open,
    Done,
    Failed(Error),
}

/// What became of all of them.
#[derive(Debug)]
pub struct Outcome {
    /// One for each unit.
    pub fates: Vec<Fate>,
    /// Exit code of a signal's stop.
    pub stopped: Option<u8>,
}

/// Makes the runs, those first that stand first. `finished` is called for each that ends.
///
/// A run that fails does not keep the others from running. Errors: [`Error::Io`] when the disk fails, because every other
/// run would meet the same.
pub fn run(
    units: &[Unit],
    options: &Options,
    finished: &dyn Fn(&Unit, &Finished) -> Result<()>,
) -> Result<Outcome> {
    let stop = StopRequest::listen()?;
    let began = Instant::now();
    let done = |unit: &Unit| if is_done(&unit.experiment, &unit.folder) { Fate::Done } else { Fate::Open };
    let mut fates: Vec<Fate> = units.iter().map(done).collect();
    loop {
        let open: Vec<usize> = (0..units.len()).filter(|i| matches!(fates[*i], Fate::Open)).collect();
        for (turn, &i) in open.iter().enumerate() {
            let left = options.budget.map(|budget| budget.saturating_sub(began.elapsed()));
            if stop.asked().is_some() || left == Some(Duration::ZERO) {
                return Ok(Outcome { fates, stopped: stop.asked() });
            }
            let share = left.map(|left| left / (open.len() - turn) as u32);
            fates[i] = match one(&units[i], options, share, finished) {
                Ok(()) => Fate::Done,
                Err(Error::Stopped { .. }) => Fate::Open,
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(error) => {
                    eprintln!("mamlx: {}: {error}", units[i].experiment.spec.name);
                    Fate::Failed(error)
                }
            };
        }
        if open.is_empty() {
            return Ok(Outcome { fates, stopped: None });
        }
    }
}

fn one(
    unit: &Unit,
    options: &Options,
    share: Option<Duration>,
    finished: &dyn Fn(&Unit, &Finished) -> Result<()>,
) -> Result<()> {
    let spec = &unit.experiment.spec;
    let session = session::Options {
        threads: options.threads,
        fresh: false,
        from: None,
        checkpoint_every: options.checkpoint_every,
        label: Some(spec.name.clone()),
        deadline: share.and_then(|share| Instant::now().checked_add(share)),
    };
    eprintln!("mamlx: {} ({}), into {}", spec.name, spec.run_name(), unit.folder.display());
    finished(unit, &session::run(&unit.experiment, &unit.folder, &session)?)
}
