//! `mamlx devices`

use super::out;
use crate::error::Result;
use crate::lower::device::found;
use clap::Args;

#[derive(Args, Debug)]
pub struct Devices {}

impl Devices {
    pub fn call(&self) -> Result<()> {
        out::print(&text())
    }
}

/// One line a device: the word for `device:`, and its name; where there is none, why.
fn text() -> String {
    let mut text = String::new();
    for found in found() {
        let word = found.kind.word();
        match found.devices {
            Ok(names) => names.iter().for_each(|name| text.push_str(&format!("{word:<7} {name}\n"))),
            Err(why) => text.push_str(&format!("{word:<7} none: {why}\n")),
        }
    }
    text
}
