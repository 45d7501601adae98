//! Room `cli`: one declaration of commands and flags, one file a command.

mod answers;
mod bench;
mod bench_scaling;
mod check;
mod compare;
mod completions;
mod data;
mod devices;
mod eval;
mod explain;
mod fits;
mod out;
mod paper;
mod plugin;
mod plugin_check;
mod plugin_new;
mod replay;
mod report;
mod run;
mod runs;
mod schema;
mod sweep;
mod watch;
mod worker;

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
    /// Train and evaluate every run of a spec's `sweep:`; the same command resumes, and finished runs are skipped.
    #[command(after_help = "Examples:\n  mamlx sweep my.yaml --jobs 4\n  \
        mamlx sweep my.yaml --list                                what would run\n  \
        mamlx sweep my.yaml --shard $SLURM_ARRAY_TASK_ID/8        one of eight machines\n\n\
        A spec with a sweep:\n  sweep:\n    seeds: [0, 1, 2]\n    grid:\n      inner.rate: [0.01, 0.1]\n      \
        model.hidden: [[40, 40], [100, 100]]")]
    Sweep(sweep::Sweep),
    /// Check specs without running them; prints every problem of each.
    #[command(
        after_help = "Examples:\n  mamlx check experiments/*.yaml\n  mamlx check my.yaml --set inner.rate=0.1"
    )]
    Check(check::Check),
    /// Show the resolved spec, the programs with their ports, and what a run will take: parameters, work, memory, time.
    #[command(after_help = "Examples:\n  mamlx explain experiments/sinusoid.yaml\n  \
        mamlx explain experiments/point_nav.yaml --gradients   are the meta-gradients right?\n  \
        mamlx explain experiments/cheetah_vel.yaml --graph | less")]
    Explain(explain::Explain),
    /// Evaluate saved weights without training.
    #[command(after_help = "Examples:\n  mamlx eval results/reference/sinusoid --out /tmp/again\n  \
        mamlx eval results/point_nav/s0-1a2b3c4d --set eval.steps=10 --out /tmp/long")]
    Eval(eval::Eval),
    /// Results of one run, or of several seeds with an interval over them, beside the published numbers.
    #[command(after_help = "Examples:\n  mamlx report results/point_nav/s0-1a2b3c4d\n  \
        mamlx report results/sinusoid/s* --csv > seeds.csv\n  \
        mamlx report results/cheetah_dir/s0-1a2b3c4d --by task_direction\n  \
        mamlx report results/ant_vel/s0-1a2b3c4d --by task_velocity --bands 0,1,2,3\n  \
        mamlx report results/sinusoid/s* --html sinusoid.html")]
    Report(report::Report),
    /// Run every experiment of the paper that this machine has data for, and write one table and one page beside the
    /// published numbers; the same command goes on.
    #[command(
        after_help = "Examples:\n  mamlx paper --budget 2h\n  mamlx paper --only sinusoid,point_nav --seeds 3\n  \
        mamlx paper --from results/reference                      nothing is run\n\n\
        Every unfinished run gets an equal share of the budget that is left; finished ones are skipped."
    )]
    Paper(paper::Paper),
    /// Two runs that were evaluated on the same tasks: paired differences with an interval, and how their specs differ.
    #[command(
        after_help = "Examples:\n  mamlx compare results/point_nav/s0-1a2b3c4d results/point_nav/s0-5e6f7a8b\n  \
        mamlx compare A B --method maml --versus fomaml"
    )]
    Compare(compare::Compare),
    /// Follow a run in the terminal: where it stands, and its newest evaluations.
    #[command(
        after_help = "Examples:\n  mamlx watch results/cheetah_vel/s0-1a2b3c4d\n  mamlx watch results/cheetah_vel/s0-1a2b3c4d --once"
    )]
    Watch(watch::Watch),
    /// Watch one evaluated task before and after each gradient step: GIF, HTML page, or trails as SVG.
    #[command(
        after_help = "Examples:\n  mamlx replay results/cheetah_dir/s0-1a2b3c4d --task 3 -o run.gif\n  \
        mamlx replay results/point_nav/s0-1a2b3c4d --task 0 --steps 0,1,3 -o figure4.svg -o page.html"
    )]
    Replay(replay::Replay),
    /// Bring data sets here, and look at them.
    #[command(
        subcommand,
        after_help = "Examples:\n  mamlx data fetch omniglot\n  \
        mamlx data import omniglot ~/images_background.zip ~/images_evaluation.zip\n  \
        mamlx data info omniglot --sheet task.png"
    )]
    Data(data::Data),
    /// Time meta-steps on workloads that other frameworks are measured on too.
    #[command(after_help = "Examples:\n  mamlx bench\n  mamlx bench sine1 omni5 --json\n  \
        mamlx bench omni5 --data omni5.safetensors --save gradient.safetensors   the same gradient as a peer's?")]
    Bench(bench::Bench),
    /// What programs can run on here: a line for each device, or why there is none.
    #[command(
        after_help = "Examples:\n  mamlx devices\n  mamlx run experiments/sinusoid.yaml --device vulkan"
    )]
    Devices(devices::Devices),
    /// List, describe, check and begin plugins.
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// The JSON Schema of specs, for editors: completion, explanations and errors while you write.
    #[command(after_help = "Examples:\n  mamlx schema > mamlx.schema.json\n\nA spec that begins with\n  \
        # yaml-language-server: $schema=mamlx.schema.json\nis then checked by every editor with the YAML language server.")]
    Schema(schema::Schema),
    /// A script that completes commands and flags in your shell.
    #[command(
        after_help = "Examples:\n  mamlx completions bash > ~/.local/share/bash-completion/completions/mamlx\n  \
        mamlx completions fish > ~/.config/fish/completions/mamlx.fish\n  \
        mamlx completions zsh > ~/.zfunc/_mamlx"
    )]
    Completions(completions::Completions),
    /// An environment for a run with `isolation: process`.
    #[command(hide = true)]
    Worker(worker::Worker),
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
    /// What to run on, instead of the spec's `device`: cpu, cuda, metal or vulkan.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    #[command(flatten)]
    search: SearchArgs,
}

impl Changes {
    /// All changes as `path=value`.
    fn overrides(&self) -> Vec<String> {
        let device = self.device.iter().map(|device| format!("device={device}"));
        self.set.iter().cloned().chain(device).collect()
    }
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
        Command::Sweep(command) => command.call(),
        Command::Check(command) => command.call(),
        Command::Explain(command) => command.call(),
        Command::Eval(command) => command.call(),
        Command::Report(command) => command.call(),
        Command::Paper(command) => command.call(),
        Command::Compare(command) => command.call(),
        Command::Watch(command) => command.call(),
        Command::Replay(command) => command.call(),
        Command::Data(command) => command.call(),
        Command::Bench(command) => command.call(),
        Command::Devices(command) => command.call(),
        Command::Plugin(command) => command.call(),
        Command::Schema(command) => command.call(),
        Command::Completions(command) => command.call(),
        Command::Worker(command) => command.call(),
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
