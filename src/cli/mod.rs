//! Room `cli`: one declaration of commands and flags, one file a command.

mod check;
mod data;
mod eval;
mod explain;
mod out;
mod plugin;
mod report;
mod run;

use crate::error::{Error, Result};
use crate::plugin::SearchPath;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Model-agnostic meta-learning from a YAML file: train, evaluate, compare with the paper.
#[derive(Parser, Debug)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
        mamlx run experiments/sinusoid.yaml            minutes; the paper's Table 2\n  \
        mamlx run experiments/cheetah_vel.yaml         the main job\n  \
        mamlx check my.yaml                            every mistake at once, nothing run\n\n\
        Exit codes: 0 done, 1 the run failed, 2 bad input, 3 a file could not be read or written,\n\
        75 stopped and resumable, 130 Ctrl-C (resumable too)."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Train and evaluate every method of a spec; the same command resumes.
    #[command(after_help = "Examples:\n  mamlx run experiments/point_nav.yaml\n  \
        mamlx run experiments/sinusoid.yaml --set seed=1 --set outer.iterations=1000 --out /tmp/try")]
    Run(run::Run),
    /// Check specs without running them; prints every problem of each.
    #[command(
        after_help = "Examples:\n  mamlx check experiments/*.yaml\n  mamlx check my.yaml --set inner.rate=0.1"
    )]
    Check(check::Check),
    /// Show the resolved spec, the programs with their ports, sizes and work.
    #[command(after_help = "Examples:\n  mamlx explain experiments/sinusoid.yaml\n  \
        mamlx explain experiments/cheetah_vel.yaml --graph | less")]
    Explain(explain::Explain),
    /// Evaluate saved weights without training.
    #[command(after_help = "Examples:\n  mamlx eval results/reference/sinusoid --out /tmp/again\n  \
        mamlx eval results/point_nav/s0-1a2b3c4d --set eval.steps=10 --out /tmp/long")]
    Eval(eval::Eval),
    /// Results of one run, or of several seeds with an interval over them, beside the published numbers.
    #[command(after_help = "Examples:\n  mamlx report results/point_nav/s0-1a2b3c4d\n  \
        mamlx report results/sinusoid/s* --csv > seeds.csv")]
    Report(report::Report),
    /// Bring data sets here, and look at them.
    #[command(
        subcommand,
        after_help = "Examples:\n  mamlx data fetch omniglot\n  \
        mamlx data import omniglot ~/images_background.zip ~/images_evaluation.zip\n  \
        mamlx data info omniglot --sheet task.png"
    )]
    Data(data::Data),
    /// List, describe and check plugins.
    #[command(subcommand)]
    Plugin(plugin::Plugin),
}

/// A spec and what changes it from the command line.
#[derive(Args, Debug)]
struct SpecArgs {
    /// The experiment's YAML file.
    spec: PathBuf,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Args, Debug)]
struct Changes {
    /// Change a key, for example `--set inner.rate=0.1`; repeatable, checked like the file.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    search: SearchArgs,
}

#[derive(Args, Debug)]
struct SearchArgs {
    /// Look for plugins here first; repeatable. Then MAMLX_PLUGIN_PATH, then beside the executable.
    #[arg(long, value_name = "DIR")]
    plugin_path: Vec<PathBuf>,
    /// Look for data sets here first; repeatable. Then MAMLX_DATA, then data/, then the user's data folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Vec<PathBuf>,
}

impl SearchArgs {
    fn search(&self) -> SearchPath {
        SearchPath::new(&self.plugin_path).with_data(&self.data_dir)
    }
}

#[derive(Args, Debug)]
struct Threads {
    /// Worker threads [default: one for each processor]. The results are the same bytes for any number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl Threads {
    fn count(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(all, usize::from)
    }
}

/// Runs one command.
pub fn call(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Run(command) => command.call(),
        Command::Check(command) => command.call(),
        Command::Explain(command) => command.call(),
        Command::Eval(command) => command.call(),
        Command::Report(command) => command.call(),
        Command::Data(command) => command.call(),
        Command::Plugin(command) => command.call(),
    }
}

/// The text of an error on stderr; diagnostics of a spec carry their own headings.
pub fn complaint(error: &Error) -> String {
    match error {
        Error::Stopped { message, .. } => format!("mamlx: {message}"),
        Error::Input(text) if text.starts_with("error") => text.clone(),
        other => format!("error: {other}"),
    }
}
