//! `mamlx run`

use super::{SpecArgs, Threads, out};
use crate::error::Result;
use crate::record::curves::{self, slices};
use crate::record::row::TEST;
use crate::record::{Metric, RunFolder, SummaryRow};
use crate::run::experiment::Experiment;
use crate::run::session::{self, Finished, Options};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    spec: SpecArgs,
    /// The run's folder [default: results/<name>/<run>].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
    /// Start over, whatever the folder holds.
    #[arg(long)]
    fresh: bool,
    /// Take what a shorter run of this experiment has learnt, instead of computing it again. Its spec may differ in
    /// outer.iterations, outer.log_every, methods and eval.every; the results are the same bytes as without it.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Write a checkpoint at most this often; results do not depend on it.
    #[arg(long, value_name = "SECS", default_value_t = 30)]
    checkpoint_every: u32,
}

impl Run {
    pub fn call(&self) -> Result<()> {
        let experiment = Experiment::open(
            &self.spec.spec,
            &self.spec.changes.overrides(),
            &self.spec.changes.search.search(),
        )?;
        let spec = &experiment.spec;
        let default = || Path::new("results").join(&spec.name).join(spec.run_name());
        let folder = self.out.clone().unwrap_or_else(default);
        let threads = self.threads.count();
        eprintln!(
            "mamlx: {} ({}), plugin {} {}, {} thread{}, into {}",
            spec.name,
            spec.run_name(),
            experiment.plugin.info.id,
            experiment.plugin.info.version,
            threads,
            if threads == 1 { "" } else { "s" },
            folder.display()
        );
        let checkpoint_every = Duration::from_secs(u64::from(self.checkpoint_every));
        let from = self.from.clone();
        let options =
            Options { threads, fresh: self.fresh, from, checkpoint_every, label: None, deadline: None };
        let finished = session::run(&experiment, &folder, &options)?;
        if !finished.already {
            pictures(&folder, &spec.name, &finished)?;
        }
        report(&finished, &folder)
    }
}

/// Draws the curves of a finished run into its folder.
pub(super) fn pictures(folder: &Path, name: &str, finished: &Finished) -> Result<()> {
    let folder = RunFolder::open(folder)?;
    for slice in slices(&finished.summary) {
        let tail = slice.file_tail();
        let title = format!("{name}: {} with {}", slice.metric.name(), slice.label());
        folder.write_picture(
            &format!("adaptation_{tail}.svg"),
            &curves::adaptation_picture(slice, &title).svg(),
        )?;
        folder.write_picture(
            &format!("learning_{tail}.svg"),
            &curves::learning_picture(slice, &[0, 1], &title).svg(),
        )?;
    }
    Ok(())
}

fn report(finished: &Finished, folder: &Path) -> Result<()> {
    let tables: String = slices(&finished.summary)
        .into_iter()
        .map(|slice| format!("{}\n{}\n", slice.label(), curves::adaptation_table(slice)))
        .collect();
    out::print(&tables)?;
    if finished.already {
        eprintln!("mamlx: this run was finished before; --fresh starts over.");
    }
    eprintln!("mamlx: {} All files are in {}.", sentence(&finished.summary), folder.display());
    Ok(())
}

/// What was learnt, in one plain sentence.
fn sentence(rows: &[SummaryRow]) -> String {
    let adapted = |row: &&SummaryRow| {
        row.versus.is_none() && row.inner_step == 1 && row.metric != Metric::Accuracy && row.split == TEST
    };
    let learnt = rows.iter().filter(adapted).filter(|row| row.method == "maml" || row.method == "fomaml");
    let Some(one) = learnt.max_by_key(|row| row.iteration) else {
        return "The run is done.".into();
    };
    let same = |row: &&SummaryRow| {
        (row.iteration, &row.method, &row.split, row.support, row.metric)
            == (one.iteration, &one.method, &one.split, one.support, one.metric)
    };
    let before = rows.iter().filter(same).find(|row| row.inner_step == 0 && row.versus.is_none());
    let versus = rows.iter().filter(same).filter(|row| row.inner_step == 1).filter_map(|row| {
        let (low, high) = (row.ci95_low?, row.ci95_high?);
        Some(format!("{:.3} from {} (95 % [{low:.3}, {high:.3}])", row.mean, row.versus.as_deref()?))
    });
    let versus: Vec<String> = versus.collect();
    let differs =
        if versus.is_empty() { String::new() } else { format!("; it differs by {}", versus.join(", ")) };
    format!(
        "After {} meta-iterations one gradient step takes {} from a mean {} of {:.3} to {:.3} on {} test tasks{differs}.",
        one.iteration,
        one.method,
        one.metric.name(),
        before.map_or(f32::NAN, |row| row.mean),
        one.mean,
        one.tasks
    )
}
