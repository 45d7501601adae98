//! `mamlx completions`

use super::{Cli, out};
use crate::error::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

#[derive(Args, Debug)]
pub struct Completions {
    /// The shell to complete in.
    shell: Shell,
}

impl Completions {
    pub fn call(&self) -> Result<()> {
        let mut script = vec![];
        clap_complete::generate(self.shell, &mut Cli::command(), "mamlx", &mut script);
        out::print(&String::from_utf8_lossy(&script))
    }
}
