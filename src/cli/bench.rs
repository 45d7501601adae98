//! `mamlx bench`

use super::{Threads, out};
use crate::bench::stopwatch::{peak_memory, time};
use crate::bench::{Arrays, WORKLOADS, Workload, peak};
use crate::error::{Error, Result};
use crate::lower::Device;
use crate::lower::device::Kind;
use crate::record::Table;
use crate::record::weights::Weights;
use crate::spec::{Bytes, nearest};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Args, Debug)]
pub struct Bench {
    /// Workloads to time [default: all].
    workload: Vec<String>,
    #[command(flatten)]
    pub(super) threads: Threads,
    /// Tasks of a meta-step [default: those of the workload].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tasks: Option<u32>,
    /// Inner steps, or time steps of a policy's tasks [default: those of the workload].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    steps: Option<u32>,
    /// The most memory that the programs may take, such as "4 MiB"; inner steps are repeated to stay within it.
    #[arg(long, value_name = "SIZE")]
    memory_budget: Option<Bytes>,
    /// What to run on: cpu, cuda, metal or vulkan. A GPU takes all tasks of a meta-step at once; physics stays on the
    /// processor.
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = kind)]
    device: Kind,
    /// Timed repetitions of each workload; medians are over them.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repetitions: u16,
    /// One JSON object a line instead of the table, in the peers' format.
    #[arg(long)]
    json: bool,
    /// Show how time grows with tasks and with steps, up to this many times those of each workload, and what a second
    /// thread does [default: 16].
    #[arg(long, value_name = "TIMES", num_args = 0..=1, require_equals = true, default_missing_value = "16")]
    #[arg(value_parser = clap::value_parser!(u16).range(2..=1024), conflicts_with_all = ["json", "data", "save", "kernels"])]
    scaling: Option<u16>,
    /// List the workloads instead of timing them.
    #[arg(long, conflicts_with_all = ["json", "data", "save"])]
    list: bool,
    /// Parameters and data of one workload from a safetensors file, instead of synthetic ones.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Show where one workload's time goes: this many kernels, the slowest first, of one task on one thread, or of all
    /// tasks on a device.
    #[arg(long, value_name = "N", conflicts_with_all = ["json", "save", "list"])]
    kernels: Option<usize>,
    /// Write what one workload computes (its mean meta-gradient, or its product) as safetensors instead of timing it.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// One line of `--json`: the keys that the peers' scripts print, then our own.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    framework: String,
    workload: String,
    variant: String,
    threads: usize,
    tasks: Option<usize>,
    /// Inner steps; of a policy, time steps of each task.
    steps: Option<usize>,
    pub(super) ms_per_meta_step: f64,
    ms_min: f64,
    ms_max: f64,
    reps: usize,
    steps_per_rep: usize,
    /// Seconds from the plan to the program, the building of the graph included.
    compile_s: f64,
    peak_rss_mb: Option<f64>,
    /// Of this process before the workload was built.
    idle_rss_mb: Option<f64>,
    tasks_per_s: Option<f64>,
    env_steps_per_s: Option<f64>,
    gflops: Option<f64>,
    /// GFLOP/s of a 1024³ product on every thread at once, in the same process; none on another device.
    sgemm_gflops: Option<f64>,
    share_of_sgemm: Option<f64>,
    bytes_per_task: usize,
}

/// Products before the workload that find the machine's peak, and after it: a shared machine is not the same twice.
const PEAK_TRIES: usize = 4;

/// A task is profiled again and again for so long, and the mean is shown.
const PROFILE: Duration = Duration::from_millis(500);

fn kind(word: &str) -> std::result::Result<Kind, String> {
    let words = || Kind::ALL.map(Kind::word).join(", ");
    Kind::ALL
        .into_iter()
        .find(|kind| kind.word() == word)
        .ok_or_else(|| format!("expected one of {}", words()))
}

impl Bench {
    pub fn call(&self) -> Result<()> {
        if self.list {
            let mut table = Table::new(["workload", "what"]);
            for workload in WORKLOADS {
                table.row([workload.name.to_string(), workload.about.to_string()]);
            }
            return out::print(&table.to_string());
        }
        let chosen = self.chosen()?;
        if let Some(times) = self.scaling {
            return self.scale(&chosen, usize::from(times));
        }
        if let (Some(option), false) = (self.single(), chosen.len() == 1) {
            return Err(Error::Input(format!("{option} goes with one workload; name it")));
        }
        match (&chosen[..], &self.save) {
            ([one], Some(path)) => {
                let data = self.data.as_deref().map(Arrays::read).transpose()?;
                let on = (&Device::open(self.device)?, self.threads.count());
                let mut work = one.prepare(on, data.as_ref(), self.memory_budget)?;
                let tensors = work.answer()?;
                let bytes = Weights { spec_hash: None, tensors }.to_bytes()?;
                std::fs::write(path, bytes).map_err(Error::io("write", path))
            }
            ([one], None) if self.kernels.is_some() => self.slowest(one, self.kernels.unwrap_or(0)),
            ([one], None) if self.json => {
                let line = serde_json::to_string(&self.measure(one)?);
                out::print(&format!("{}\n", line.map_err(|e| Error::Run(e.to_string()))?))
            }
            (many, _) => self.each_alone(many),
        }
    }

    /// The option that only makes sense for one workload, if one is given.
    fn single(&self) -> Option<&'static str> {
        let given = [
            ("--data", self.data.is_some()),
            ("--save", self.save.is_some()),
            ("--kernels", self.kernels.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    fn chosen(&self) -> Result<Vec<Workload>> {
        let named = |name: &String| {
            Workload::named(name).ok_or_else(|| {
                let near = nearest(name, WORKLOADS.iter().map(|w| w.name));
                let meant = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                Error::Input(format!("no workload is called `{name}`{meant} (mamlx bench --list)"))
            })
        };
        let chosen: Vec<&Workload> = match &self.workload[..] {
            [] => WORKLOADS.iter().filter(|w| self.device == Kind::Cpu || w.size().is_some()).collect(),
            names => names.iter().map(named).collect::<Result<_>>()?,
        };
        let given = |size: Option<u32>, default: usize| size.map_or(default, |size| size as usize);
        let sized = |w: &Workload| match w.size() {
            Some([tasks, steps]) => Ok(w.sized([given(self.tasks, tasks), given(self.steps, steps)])),
            None if self.tasks.or(self.steps).is_some() && !self.workload.is_empty() => {
                Err(Error::Input(format!("--tasks, --steps: {} has neither", w.name)))
            }
            None => Ok(w.clone()),
        };
        chosen.into_iter().map(sized).collect()
    }

    fn slowest(&self, workload: &Workload, count: usize) -> Result<()> {
        let data = self.data.as_deref().map(Arrays::read).transpose()?;
        let mut work =
            workload.prepare((&Device::open(self.device)?, 1), data.as_ref(), self.memory_budget)?;
        let mut times = work.profile()?;
        if times.is_empty() {
            return Err(Error::Input(format!("--kernels: {} runs no kernels", workload.name)));
        }
        let (began, mut rounds) = (Instant::now(), 1);
        while began.elapsed() < PROFILE {
            rounds += 1;
            work.profile()?.into_iter().zip(&mut times).for_each(|((_, more), (_, time))| *time += more);
        }
        times.iter_mut().for_each(|(_, time)| *time /= rounds);
        let total: f64 = times.iter().map(|(_, time)| time.as_secs_f64()).sum();
        let kernels = times.len();
        times.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        let mut text = format!("{kernels} kernels, {:.3} ms\n", 1e3 * total);
        for (kernel, time) in times.iter().take(count) {
            let ms = 1e3 * time.as_secs_f64();
            text += &format!("{ms:9.4} ms {:5.1} %  {kernel}\n", ms / 10.0 / total);
        }
        out::print(&text)
    }

    fn measure(&self, workload: &Workload) -> Result<Line> {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let (device, threads) = (Device::open(self.device)?, self.threads.count());
        let idle = peak_memory();
        let data = self.data.as_deref().map(Arrays::read).transpose()?;
        let began = Instant::now();
        let mut work = workload.prepare((&device, threads), data.as_ref(), self.memory_budget)?;
        let compile_s = began.elapsed().as_secs_f64();
        let timing = time(&mut *work, usize::from(self.repetitions))?;
        let peak_rss = peak_memory();
        let (bytes_per_task, env_steps) = (work.bytes_per_task(), work.env_steps());
        let per_second = |count: Option<u64>| count.map(|n| n as f64 / timing.median * 1e3);
        drop(work);
        let size = workload.size();
        let on_processor = !device.batches();
        let sgemm_gflops = on_processor.then(|| peak::sgemm(threads, PEAK_TRIES)).transpose()?;
        let gflops = workload.flops().map(|flops| flops / timing.median / 1e6);
        Ok(Line {
            framework: format!("mamlx-{}", env!("CARGO_PKG_VERSION")),
            workload: workload.name.into(),
            variant: match self.device {
                Kind::Cpu => format!("cpu {}", crate::lower::cpu::Isa::detect()),
                kind => format!("{} {}", kind.word(), device.name()),
            },
            threads,
            tasks: size.map(|[tasks, _]| tasks),
            steps: size.map(|[_, steps]| steps),
            ms_per_meta_step: timing.median,
            ms_min: timing.min,
            ms_max: timing.max,
            reps: timing.repetitions,
            steps_per_rep: timing.steps_per_repetition,
            compile_s,
            peak_rss_mb: peak_rss.map(megabytes),
            idle_rss_mb: idle.map(megabytes),
            tasks_per_s: per_second(size.map(|[tasks, _]| tasks as u64)),
            env_steps_per_s: per_second(env_steps),
            gflops,
            sgemm_gflops,
            share_of_sgemm: gflops.zip(sgemm_gflops).map(|(rate, sgemm)| rate / sgemm),
            bytes_per_task,
        })
    }

    /// The line of a workload, from a process of its own.
    pub(super) fn alone(&self, workload: &Workload, threads: usize) -> Result<String> {
        let program = std::env::current_exe().map_err(Error::io("find", "this program"))?;
        let mut command = Command::new(&program);
        command.args(["bench", workload.name, "--json"]).stderr(Stdio::inherit());
        command.args(["--threads", &threads.to_string(), "--repetitions", &self.repetitions.to_string()]);
        command.args(["--device", self.device.word()]);
        if let Some([tasks, steps]) = workload.size() {
            command.args(["--tasks", &tasks.to_string(), "--steps", &steps.to_string()]);
        }
        if let Some(budget) = self.memory_budget {
            command.args(["--memory-budget", &budget.to_string()]);
        }
        if let Some(data) = &self.data {
            command.arg("--data").arg(data);
        }
        let done = command.output().map_err(Error::io("start", &program))?;
        match done.status.success() {
            true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
            false => {
                let (name, status) = (workload.name, done.status);
                Err(Error::Run(format!("{name}: the measuring process ended with {status}")))
            }
        }
    }

    /// Every workload in a process of its own, so that one's memory and warm caches are not another's.
    fn each_alone(&self, workloads: &[Workload]) -> Result<()> {
        let headings = [
            "workload",
            "ms",
            "min",
            "max",
            "tasks/s",
            "env steps/s",
            "GFLOP/s",
            "of sgemm",
            "lowered in",
            "memory",
        ];
        let mut table = Table::new(headings);
        for workload in workloads {
            if !self.json {
                eprintln!("{}: {}", workload.name, workload.about);
            }
            let text = self.alone(workload, self.threads.count())?;
            if self.json {
                out::print(&text)?;
                continue;
            }
            table.row(Line::read(&text)?.cells());
        }
        if self.json { Ok(()) } else { out::print(&table.to_string()) }
    }
}

impl Line {
    pub(super) fn read(text: &str) -> Result<Line> {
        serde_json::from_str(text).map_err(|e| Error::Run(e.to_string()))
    }

    fn cells(&self) -> [String; 10] {
        let above = self.peak_rss_mb.zip(self.idle_rss_mb).map(|(peak, idle)| peak - idle);
        [
            self.workload.clone(),
            format!("{:.3}", self.ms_per_meta_step),
            format!("{:.3}", self.ms_min),
            format!("{:.3}", self.ms_max),
            self.tasks_per_s.map_or(String::new(), |rate| format!("{rate:.0}")),
            self.env_steps_per_s.map_or(String::new(), |rate| format!("{rate:.0}")),
            self.gflops.map_or(String::new(), |rate| format!("{rate:.1}")),
            self.share_of_sgemm.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share)),
            format!("{:.3} s", self.compile_s),
            above.map_or(String::new(), |megabytes| format!("{megabytes:.1} MB")),
        ]
    }
}
