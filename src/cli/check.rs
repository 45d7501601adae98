//! `mamlx check`

use super::{Changes, out};
use crate::error::{Error, Result};
use crate::run::experiment::Experiment;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Check {
    /// The experiments' YAML files.
    #[arg(required = true)]
    specs: Vec<PathBuf>,
    #[command(flatten)]
    changes: Changes,
}

impl Check {
    pub fn call(&self) -> Result<()> {
        let mut bad = vec![];
        for path in &self.specs {
            match Experiment::open(path, &self.changes.set, &self.changes.search.search()) {
                Ok(experiment) => {
                    out::print(&format!("{}: ok ({})\n", path.display(), experiment.spec.run_name()))?
                }
                Err(Error::Input(text)) => bad.push(text),
                Err(other) => return Err(other),
            }
        }
        if bad.is_empty() { Ok(()) } else { Err(Error::Input(bad.join("\n"))) }
    }
}
