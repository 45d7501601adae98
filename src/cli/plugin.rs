//! `mamlx plugin`

use super::plugin_check::CheckPlugin;
use super::plugin_new::New;
use super::{SearchArgs, out};
use crate::error::Result;
use crate::plugin::report;
use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub enum Plugin {
    /// Every plugin in the search path, without running any of their code.
    List(List),
    /// What a plugin offers: parameters, spaces, versions.
    Info(Info),
    /// Try a plugin's promises: determinism, bounds, errors, memory, speed; each in a process of its own.
    #[command(after_help = "Examples:\n  mamlx plugin check my_world --plugin-path target/release\n  \
        mamlx plugin check cheetah --set preset=gym --only steps,speed\n  \
        mamlx plugin check my_world --record numbers.json         and after a change of the code\n  \
        mamlx plugin check my_world --against numbers.json")]
    Check(CheckPlugin),
    /// Write a new plugin's project, which builds and passes `plugin check` as it is.
    #[command(
        after_help = "Examples:\n  mamlx plugin new my_world\n  mamlx plugin new my_tasks --kind tasks --lang c"
    )]
    New(New),
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

impl Plugin {
    pub fn call(&self) -> Result<()> {
        match self {
            Plugin::New(new) => new.call(),
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
            Plugin::Check(check) => check.call(),
        }
    }
}
