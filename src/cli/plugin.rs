//! `mamlx plugin`

use super::{SearchArgs, out};
use crate::error::{Error, Result};
use crate::plugin::report;
use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub enum Plugin {
    /// Every plugin in the search path, without running any of their code.
    List(List),
    /// What a plugin offers: parameters, spaces, versions.
    Info(Info),
    /// Try a plugin's promises: determinism, bounds, errors, speed.
    Check(CheckPlugin),
}

#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    search: SearchArgs,
}

#[derive(Args, Debug)]
pub struct Info {
    /// Name or path of the plugin.
    name: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// As Markdown tables, as in the plugin's README.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    #[command(flatten)]
    search: SearchArgs,
}

#[derive(Args, Debug)]
pub struct CheckPlugin {
    /// Name or path of the plugin.
    name: String,
    #[command(flatten)]
    search: SearchArgs,
}

impl Plugin {
    pub fn call(&self) -> Result<()> {
        match self {
            Plugin::List(list) => out::print(&report::list(&list.search.search())?),
            Plugin::Info(info) => {
                let search = info.search.search();
                let text = match (info.json, info.markdown) {
                    (true, _) => report::info_json(&search, &info.name)?,
                    (_, true) => report::info_markdown(&search, &info.name)?,
                    _ => report::info_text(&search, &info.name)?,
                };
                out::print(&text)
            }
            Plugin::Check(check) => {
                let (text, passed) = report::check(&check.search.search(), &check.name)?;
                out::print(&text)?;
                if passed { Ok(()) } else { Err(Error::Run(format!("plugin {} failed its checks", check.name))) }
            }
        }
    }
}
