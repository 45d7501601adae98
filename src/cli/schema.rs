//! `mamlx schema`

use super::out;
use crate::error::Result;
use crate::spec;
use clap::Args;

#[derive(Args, Debug)]
pub struct Schema {}

impl Schema {
    pub fn call(&self) -> Result<()> {
        out::print(&format!("{:#}\n", spec::json_schema()))
    }
}
