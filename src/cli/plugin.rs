//! `mamlx plugin`

use super::{SearchArgs, out};
use crate::error::{Error, Result};
use crate::plugin::{self, report};
use clap::{Args, Subcommand};
use std::collections::BTreeMap;

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
            Plugin::List(list) => out::print(&report::list_text(&list.search.search())),
            Plugin::Info(info) => {
                let found = report::info(&info.search.search(), &info.name)?;
                let text = match (info.json, info.markdown) {
                    (true, _) => format!("{:#}\n", found.json()),
                    (_, true) => found.markdown(),
                    _ => found.text(),
                };
                out::print(&text)
            }
            Plugin::Check(check) => {
                let plugin = check.search.search().load(&check.name)?;
                let findings = plugin::check(&plugin, &BTreeMap::new())?;
                let line = |finding: &plugin::Finding| format!("{finding}\n");
                out::print(&findings.iter().map(line).collect::<String>())?;
                if findings.iter().all(|finding| finding.outcome != plugin::Outcome::Fail) {
                    Ok(())
                } else {
                    Err(Error::Run(format!("plugin {} failed its checks", check.name)))
                }
            }
        }
    }
}
