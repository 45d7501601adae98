//! `mamlx data`

use super::{SearchArgs, out};
use crate::data::fetch::{self, Outcome};
use crate::data::published::{OMNIGLOT, OMNIGLOT_HOME, OMNIGLOT_MINIMAL};
use crate::data::sheet::{self, Sheet};
use crate::data::{import, info};
use crate::error::{Error, Result};
use crate::plugin::{Plugin, places};
use crate::run::few_shot::Reader;
use crate::spec::ParamValue;
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
pub enum Data {
    /// Classes and items of a data set, and a picture of one of its tasks.
    Info(Info),
    /// Copy local files into the data folder, after checking them.
    Import(Import),
    /// Download a data set from its published home; the same command resumes.
    Fetch(Fetch),
}

#[derive(Args, Debug)]
pub struct Info {
    /// Name of the data set's plugin.
    name: String,
    #[command(flatten)]
    params: ParamArgs,
    /// Write a picture of a task: one row a class, support images on the left, queries on the right.
    #[arg(long, value_name = "FILE.png")]
    sheet: Option<PathBuf>,
    /// Split that the picture's task is drawn from [default: the last].
    #[arg(long)]
    split: Option<String>,
    /// Classes of the picture's task.
    #[arg(long, default_value_t = 5)]
    ways: u16,
    /// Support images of each class.
    #[arg(long, default_value_t = 5)]
    shots: u16,
    /// Queries of each class.
    #[arg(long, default_value_t = 5)]
    queries: u16,
    /// Turn each class by a random multiple of 90 degrees.
    #[arg(long)]
    rotate: bool,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Args, Debug)]
pub struct Import {
    /// Name of the data set's plugin, which reads and checks the files.
    name: String,
    /// Files and folders; each goes into the data folder under its own name. Give those that belong together at once.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    params: ParamArgs,
}

#[derive(Args, Debug)]
struct ParamArgs {
    /// Set a parameter of the plugin, for example `--set images=minimal`; repeatable.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    search: SearchArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fetchable {
    Omniglot,
}

#[derive(Args, Debug)]
pub struct Fetch {
    name: Fetchable,
    /// The two minimal sets of 242 characters instead of all 1,623.
    #[arg(long)]
    minimal: bool,
    /// Another home of the same files.
    #[arg(long, value_name = "URL", default_value = OMNIGLOT_HOME)]
    url: String,
    /// Where the files go [default: the first of MAMLX_DATA, else data/ if it is there, else the user's data folder].
    #[arg(long, value_name = "DIR")]
    data_dir: Vec<PathBuf>,
}

impl Data {
    pub fn call(&self) -> Result<()> {
        match self {
            Data::Info(command) => command.call(),
            Data::Import(command) => command.call(),
            Data::Fetch(command) => command.call(),
        }
    }
}

impl ParamArgs {
    fn open(&self, name: &str) -> Result<(Plugin, BTreeMap<String, ParamValue>)> {
        let plugin = self.search.search().load(name)?;
        let params = info::params(&plugin.info, &self.set)?;
        Ok((plugin, params))
    }
}

impl Info {
    fn call(&self) -> Result<()> {
        let (plugin, params) = self.params.open(&self.name)?;
        let data = plugin.data(&params)?;
        out::print(&info::text(&plugin.info.id, data.spaces()))?;
        let Some(path) = &self.sheet else { return Ok(()) };
        let splits = &data.spaces().splits;
        let split = match &self.split {
            None => splits.len() - 1,
            Some(name) => splits.iter().position(|split| split.name == *name).ok_or_else(|| {
                let names: Vec<&str> = splits.iter().map(|split| split.name.as_str()).collect();
                Error::Input(format!("--split {name}: the splits are {}", names.join(", ")))
            })?,
        };
        let sheet = Sheet {
            split,
            ways: self.ways.max(1).into(),
            shots: self.shots.max(1).into(),
            queries: self.queries.max(1).into(),
            rotate: self.rotate,
            seed: self.seed,
        };
        sheet::write(&sheet.draw(&mut Reader::new(data))?, path)?;
        eprintln!("mamlx: a task of {} is in {}", plugin.info.id, path.display());
        Ok(())
    }
}

impl Import {
    fn call(&self) -> Result<()> {
        let (plugin, mut params) = self.params.open(&self.name)?;
        // A plugin that is told a folder's name is told that of the one that is imported.
        let takes_folder = plugin.info.params.params.iter().any(|param| param.name == "folder");
        if let (true, Some(stem)) = (takes_folder, self.paths[0].file_stem().and_then(|stem| stem.to_str())) {
            params.entry("folder".into()).or_insert_with(|| ParamValue::Text(stem.to_owned()));
        }
        let home = places::home(&plugin.places);
        let copies = import::import(&plugin, &params, &self.paths, &home)?;
        let lines: String = copies.iter().map(|copy| format!("{}\n", copy.display())).collect();
        out::print(&lines)
    }
}

impl Fetch {
    fn call(&self) -> Result<()> {
        let (folder, files) = match self.name {
            Fetchable::Omniglot => ("omniglot", if self.minimal { &OMNIGLOT_MINIMAL } else { &OMNIGLOT }),
        };
        let folder = places::home(&places::standard(&self.data_dir)).join(folder);
        for file in files {
            let bar = ProgressBar::no_length().with_message(file.name);
            if let Ok(style) =
                ProgressStyle::with_template("{msg} {bytes} of {total_bytes} {bar:30} {bytes_per_sec}")
            {
                bar.set_style(style);
            }
            let outcome = fetch::fetch(&self.url, file, &folder, |at, total| {
                bar.set_position(at);
                total.into_iter().for_each(|total| bar.set_length(total));
            })?;
            bar.finish_and_clear();
            match outcome {
                Outcome::Present => eprintln!("mamlx: {} is there, whole", folder.join(file.name).display()),
                Outcome::Fetched(_) => {
                    eprintln!("mamlx: {} is here, checked", folder.join(file.name).display())
                }
            }
        }
        Ok(())
    }
}
