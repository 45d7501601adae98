//! `mamlx sweep`

use super::run::pictures;
use super::{SpecArgs, out};
use crate::error::{Error, Result};
use crate::run::experiment::Experiment;
use crate::run::sweep::{self, Options, TABLE_FILE};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args, Debug)]
pub struct Sweep {
    #[command(flatten)]
    spec: SpecArgs,
    /// The folder of the runs' folders [default: results/<name>].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs at a time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
    /// Threads of each run [default: the processors, divided by the jobs].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Make only every n-th run, from the i-th on; i counts from 0, as in `--shard $SLURM_ARRAY_TASK_ID/8`.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    shard: Option<(usize, usize)>,
    /// Print the runs and what the grid sets in each, and make none.
    #[arg(long)]
    list: bool,
    /// Write a checkpoint at most this often; results do not depend on it.
    #[arg(long, value_name = "SECS", default_value_t = 30)]
    checkpoint_every: u32,
}

fn shard(text: &str) -> std::result::Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match parts {
        Some((i, n)) if i < n => Ok((i, n)),
        Some((_, n)) if n > 0 => Err(format!("the first number counts from 0 to {}", n - 1)),
        _ => Err("write i/n, such as 0/4 for the first of four shards".into()),
    }
}

impl Sweep {
    pub fn call(&self) -> Result<()> {
        let changes = &self.spec.changes;
        let runs = Experiment::open_all(&self.spec.spec, &changes.overrides(), &changes.search.search())?;
        let Some(first) = runs.first() else { return Ok(()) };
        let name = &first.experiment.spec.name;
        let (i, n) = self.shard.unwrap_or((0, 1));
        if self.list {
            let lines = runs.iter().skip(i).step_by(n).map(|run| {
                let settings = run.settings.iter().map(|(path, value)| format!("  {path}={value}"));
                format!("{}{}\n", run.experiment.spec.run_name(), settings.collect::<String>())
            });
            return out::print(&lines.collect::<String>());
        }
        let folder = self.out.clone().unwrap_or_else(|| Path::new("results").join(name));
        let jobs = usize::from(self.jobs);
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.map_or((all / jobs).max(1), usize::from);
        let checkpoint_every = Duration::from_secs(u64::from(self.checkpoint_every));
        eprintln!(
            "mamlx: {name}, {} runs, {jobs} at a time with {threads} thread{} each, into {}",
            runs.len(),
            if threads == 1 { "" } else { "s" },
            folder.display()
        );
        let options = Options { jobs, threads, shard: (i, n), checkpoint_every };
        let outcome = sweep::run(&runs, &folder, &options, &|run, folder, finished| {
            if finished.already { Ok(()) } else { pictures(folder, &run.experiment.spec.name, finished) }
        })?;
        eprintln!(
            "mamlx: {} run{} made, {} finished before, {} failed; the table of all is {}",
            outcome.made,
            if outcome.made == 1 { "" } else { "s" },
            outcome.skipped,
            outcome.failed.len(),
            folder.join(TABLE_FILE).display()
        );
        match outcome.failed.len() {
            0 => Ok(()),
            failed => Err(Error::Run(format!("{failed} of {} runs failed", runs.len()))),
        }
    }
}
