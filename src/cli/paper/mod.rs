//! `mamlx paper`

mod collect;
mod list;

use super::report::figures;
use super::run::pictures;
use super::{SearchArgs, Threads, out};
use crate::error::{Error, Result};
use crate::plugin::SearchPath;
use crate::record::disk;
use crate::record::paper::{PaperExperiment, csv, headline_table, html};
use crate::run::experiment::Experiment;
use crate::run::paper::{Fate, Options, Outcome, Unit};
use crate::run::signals::RESUMABLE;
use crate::spec::{Method, PluginKind, Word, nearest};
use clap::Args;
use list::{Listed, PAPER};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args, Debug)]
pub struct Paper {
    /// Only these experiments, by name.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Stop after this long, such as 2h or 1h30m, with everything saved [default: when all is done].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    budget: Option<Duration>,
    /// Seeds of each experiment, from that of its file on.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    seeds: u16,
    /// Where the runs, paper.csv and paper.html go [default: results, or the folder of --from].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run nothing: write table and page from the runs below this folder; repeatable.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["budget", "seeds", "threads"])]
    from: Vec<PathBuf>,
    /// Write every picture of the page into this folder, as SVG and as PNG.
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
    /// The folder of the experiments' files.
    #[arg(long, value_name = "DIR", default_value = "experiments")]
    experiments: PathBuf,
    #[command(flatten)]
    threads: Threads,
    /// Write a checkpoint at most this often; results do not depend on it.
    #[arg(long, value_name = "SECS", default_value_t = 30)]
    checkpoint_every: u32,
    #[command(flatten)]
    search: SearchArgs,
}

/// `1h30m`, `90m`, `45s`, `2d`.
fn duration(text: &str) -> std::result::Result<Duration, String> {
    let expected = || "write a time such as 2h, 90m, 45s or 1h30m".to_string();
    let (mut secs, mut digits) = (0u64, String::new());
    for character in text.chars() {
        let unit = match character {
            '0'..='9' => {
                digits.push(character);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(expected()),
        };
        let count: u64 = digits.parse().map_err(|_| expected())?;
        secs = count.checked_mul(unit).and_then(|more| secs.checked_add(more)).ok_or_else(expected)?;
        digits.clear();
    }
    if digits.is_empty() && secs > 0 { Ok(Duration::from_secs(secs)) } else { Err(expected()) }
}

/// An experiment of the paper whose file is here.
struct Known {
    listed: &'static Listed,
    path: PathBuf,
    experiment: Experiment,
    /// Its data are not on this machine.
    lacks_data: bool,
}

impl Paper {
    pub fn call(&self) -> Result<()> {
        let search = self.search.search();
        let mut known = self.known(&search)?;
        if !self.from.is_empty() {
            // What the page says must not depend on the data that this machine has.
            known.iter_mut().for_each(|one| one.lacks_data = one.listed.data.is_some());
            return self.write(&known, &self.from, &self.from[0], &search);
        }
        let folder = self.out.clone().unwrap_or_else(|| "results".into());
        let units = self.units(&known, &folder, &search)?;
        for lacking in known.iter().filter(|one| one.lacks_data) {
            let command = lacking.listed.data.unwrap_or_default();
            eprintln!("mamlx: {} has no data here; `{command}` brings it.", lacking.listed.name);
        }
        let options = Options {
            budget: self.budget,
            threads: self.threads.count(),
            checkpoint_every: Duration::from_secs(u64::from(self.checkpoint_every)),
        };
        let outcome = crate::run::paper::run(&units, &options, &|unit, finished| {
            let name = &unit.experiment.spec.name;
            if finished.already { Ok(()) } else { pictures(&unit.folder, name, finished) }
        })?;
        let own: Vec<PathBuf> =
            known.iter().map(|one| folder.join(one.listed.name)).filter(|own| own.is_dir()).collect();
        disk::make_folder(&folder)?;
        self.write(&known, &own, &folder, &search)?;
        ending(&outcome)
    }

    /// The experiments that were asked for, in the order of the paper.
    fn known(&self, search: &SearchPath) -> Result<Vec<Known>> {
        for name in &self.only {
            let names = || PAPER.iter().map(|listed| listed.name);
            if !names().any(|known| known == name) {
                let hint =
                    nearest(name, names()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                let all: Vec<&str> = names().collect();
                return Err(Error::Input(format!(
                    "--only: `{name}` is no experiment of the paper{hint} There are {}",
                    all.join(", ")
                )));
            }
        }
        let wanted =
            |listed: &&Listed| self.only.is_empty() || self.only.iter().any(|name| name == listed.name);
        let mut known = vec![];
        for listed in PAPER.iter().filter(wanted) {
            let path = self.experiments.join(listed.name).with_extension("yaml");
            if !path.is_file() {
                continue;
            }
            let experiment = Experiment::open(&path, &[], search)?;
            let lacks_data = experiment.plugin.info.kind == PluginKind::Data
                && experiment.plugin.data(&experiment.spec.task.params).is_err();
            known.push(Known { listed, path, experiment, lacks_data });
        }
        if known.is_empty() {
            return Err(Error::Input(format!(
                "{} holds none of the paper's experiments; name their folder with --experiments",
                self.experiments.display()
            )));
        }
        Ok(known)
    }

    /// The runs to make: every experiment as its file has it, then the methods that the paper has besides, then further
    /// seeds; of each the short ones first.
    fn units(&self, known: &[Known], folder: &Path, search: &SearchPath) -> Result<Vec<Unit>> {
        let mut ready: Vec<&Known> = known.iter().filter(|one| !one.lacks_data).collect();
        ready.sort_by_key(|one| one.listed.minutes);
        let mut units = vec![];
        let mut add = |one: &Known, set: &[String]| -> Result<()> {
            let experiment = Experiment::open(&one.path, set, search)?;
            let folder = folder.join(one.listed.name).join(experiment.spec.run_name());
            units.push(Unit { experiment, folder });
            Ok(())
        };
        for seed in 0..u64::from(self.seeds) {
            for one in &ready {
                add(one, &[format!("seed={}", one.experiment.spec.seed + seed)])?;
            }
            for one in ready.iter().filter(|_| seed == 0) {
                let spec = &one.experiment.spec;
                let mut rest: Vec<Method> = vec![];
                for method in spec.published.iter().map(|curve| curve.method) {
                    if !spec.methods.contains(&method) && !rest.contains(&method) {
                        rest.push(method);
                    }
                }
                if !rest.is_empty() {
                    let words: Vec<&str> = rest.iter().map(|method| method.word()).collect();
                    add(one, &[format!("methods=[{}]", words.join(", "))])?;
                }
            }
        }
        Ok(units)
    }

    /// Writes table and page from the runs below `roots` into `folder`, unless `--out` says another.
    fn write(&self, known: &[Known], roots: &[PathBuf], folder: &Path, search: &SearchPath) -> Result<()> {
        let mut folders = vec![];
        for root in roots {
            folders.extend(collect::run_folders(root)?);
        }
        let mut experiments: Vec<PaperExperiment> = vec![];
        for one in known {
            let run = format!("mamlx run {}", one.path.display());
            let next = match one.listed.data.filter(|_| one.lacks_data) {
                Some(data) => format!("{data} && {run}"),
                None => run,
            };
            experiments.push(collect::collect(one.listed, &one.experiment.spec, &folders, search, next)?);
        }
        let folder = self.out.as_deref().unwrap_or(folder);
        disk::make_folder(folder)?;
        let (table, page) = (folder.join("paper.csv"), folder.join("paper.html"));
        disk::replace(&table, &csv(&experiments))?;
        let text = html(&experiments, &self.command());
        disk::replace(&page, text.as_bytes())?;
        if let Some(folder) = &self.figures {
            figures(&text, folder)?;
        }
        out::print(&headline_table(&experiments).to_string())?;
        eprintln!("mamlx: the table is {}, the page {}.", table.display(), page.display());
        Ok(())
    }

    /// The command that writes the page again.
    fn command(&self) -> String {
        let from = self.from.iter().map(|folder| format!(" --from {}", folder.display()));
        let out = self.out.iter().map(|folder| format!(" --out {}", folder.display()));
        format!("mamlx paper{}", from.chain(out).collect::<String>())
    }
}

/// What became of the runs, as an exit code.
fn ending(outcome: &Outcome) -> Result<()> {
    let count = |wanted: fn(&Fate) -> bool| outcome.fates.iter().filter(|fate| wanted(fate)).count();
    let all = outcome.fates.len();
    let (open, failed) =
        (count(|fate| matches!(fate, Fate::Open)), count(|fate| matches!(fate, Fate::Failed(_))));
    if let Some(code) = outcome.stopped {
        let message = format!("stopped; {open} of {all} runs are open, and the same command goes on.");
        return Err(Error::Stopped { code, message });
    }
    match (failed, open) {
        (0, 0) => Ok(()),
        (0, open) => Err(Error::Stopped {
            code: RESUMABLE,
            message: format!(
                "the budget is spent; {open} of {all} runs are open, and the same command goes on."
            ),
        }),
        (failed, _) => Err(Error::Run(format!("{failed} of {all} runs failed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn times_are_numbers_with_units() {
        for (text, secs) in [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("1d", 86_400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        for wrong in
            ["", "2", "h", "2 h", "1.5h", "-1h", "0s", "99999999999999999999h", "999999999999999999d"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
