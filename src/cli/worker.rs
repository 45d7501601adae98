//! `mamlx worker`: one instance of an environment in a process of its own; started by a run, not by people.

use crate::error::Result;
use crate::plugin::worker;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Worker {
    /// The plugin's library.
    library: PathBuf,
    /// Slots of the instance.
    slots: u32,
    /// Its parameters, as JSON.
    params: String,
}

impl Worker {
    pub fn call(&self) -> Result<()> {
        worker::serve(&self.library, &self.params, self.slots)
    }
}
