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
            match Experiment::open_all(path, &self.changes.overrides(), &self.changes.search.search()) {
                Ok(runs) => {
                    let name = runs.first().map_or(String::new(), |run| run.experiment.spec.run_name());
                    let more = if runs.len() == 1 {
                        String::new()
                    } else {
                        format!(", the first of {} runs", runs.len())
                    };
                    out::print(&format!("{}: ok ({name}{more})\n", path.display()))?
                }
                Err(Error::Input(text)) => bad.push(text),
                Err(other) => return Err(other),
            }
        }
        if bad.is_empty() { Ok(()) } else { Err(Error::Input(bad.join("\n"))) }
    }
}
