//! `mamlx eval`

use super::{Changes, Threads, out};
use crate::error::{Error, Result};
use crate::record::curves::{self, slices};
use crate::run::experiment::Experiment;
use crate::run::saved;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Eval {
    /// A run's folder, or its weights.safetensors with the run's spec.yaml beside it.
    run: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// Where spec.yaml, eval.csv and summary.csv go.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    threads: Threads,
}

impl Eval {
    pub fn call(&self) -> Result<()> {
        let folder =
            if self.run.is_dir() { self.run.clone() } else { self.run.parent().unwrap_or(&self.run).into() };
        let weights = if self.run.is_dir() { folder.join("weights.safetensors") } else { self.run.clone() };
        if same_folder(&folder, &self.out) {
            return Err(Error::Input(
                "--out: the run's own folder would be overwritten; name another".into(),
            ));
        }
        let experiment = Experiment::open(
            &folder.join("spec.yaml"),
            &self.changes.overrides(),
            &self.changes.search.search(),
        )?;
        let summary = saved::evaluate(&experiment, &weights, &self.out, self.threads.count())?;
        for slice in slices(&summary) {
            out::print(&format!("{}\n{}\n", slice.label(), curves::adaptation_table(slice)))?;
        }
        eprintln!("mamlx: the rows are in {}.", self.out.display());
        Ok(())
    }
}

fn same_folder(a: &std::path::Path, b: &std::path::Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
