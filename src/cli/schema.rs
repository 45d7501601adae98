//! `mamlx schema`

use super::out;
use crate::error::Result;
use crate::spec;
use clap::Args;

#[derive(Args, Debug)]
pub struct Schema {
    /// As a page for people: the spec reference of the guide.
    #[arg(long)]
    markdown: bool,
}

impl Schema {
    pub fn call(&self) -> Result<()> {
        if self.markdown {
            return out::print(&spec::reference());
        }
        out::print(&format!("{:#}\n", spec::json_schema()))
    }
}
