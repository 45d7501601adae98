//! The paper's experiments beside ours: which runs stand for which published number, as rows of one table.
//!
//! | file | what |
//! |---|---|
//! | here | runs → rows, a row for each experiment, method, support size, number of gradient steps and metric |
//! | `page` | the same as one HTML page |
//!
//! A method's rows come from one group of runs: those that differ from the experiment's file in the same way and were
//! evaluated after as many meta-iterations. Of several groups the one nearest to the file speaks: fewest differences,
//! then most meta-iterations, then most seeds. Further seeds of it that were trained for less are named in the note with
//! their own means, because a mean over unlike trainings says nothing and a choice among seeds would say too much.

mod page;

pub use page::{headline_table, html};

use super::csv_file::line;
use super::manifest::{Manifest, Status};
use super::number::{f32_text, optional_text, short_text};
use super::row::{Metric, SummaryRow, TEST};
use super::seeds::over_seeds;
use super::verdict::Verdict;
use std::collections::{BTreeMap, BTreeSet};

/// Columns of `paper.csv`.
pub const PAPER_HEADER: [&str; 20] = [
    "experiment",
    "method",
    "split",
    "support",
    "inner_step",
    "metric",
    "mean",
    "ci95_low",
    "ci95_high",
    "over",
    "seeds",
    "tasks",
    "iterations",
    "planned",
    "published",
    "difference",
    "verdict",
    "engine",
    "differs",
    "note",
];

/// Not adapted, so its only row is its result.
const ORACLE: &str = "oracle";

/// One experiment of the paper.
#[derive(Clone, Debug, PartialEq)]
pub struct PaperExperiment {
    pub name: String,
    /// Where the paper has it, such as `section 5.3, figure 5`.
    pub place: String,
    /// What simulates or draws the tasks here, and in the paper where that is something else.
    pub engine: String,
    /// Meta-iterations of the experiment's file.
    pub planned: u64,
    /// Those of the methods that have a number of their own.
    pub planned_otherwise: BTreeMap<String, u64>,
    /// Methods of the experiment's file.
    pub methods: Vec<String>,
    pub published: Vec<PublishedCurve>,
    pub runs: Vec<PaperRun>,
    /// The commands that bring what is missing: data, then a run.
    pub next: String,
    /// Pictures that lie beside the runs, as SVG.
    pub pictures: Vec<String>,
}

/// Published means of one method.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedCurve {
    pub method: String,
    /// `None`: any support size.
    pub support: Option<u32>,
    pub metric: Metric,
    /// (gradient steps, mean)
    pub points: Vec<(u32, f64)>,
}

/// A run folder as the table needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct PaperRun {
    pub manifest: Manifest,
    pub summary: Vec<SummaryRow>,
    /// Keys in which the run's specification differs from the experiment's file, with the run's value. What cannot change
    /// a result or has a column of its own is not among them.
    pub differs: BTreeMap<String, String>,
    /// Meta-iterations trained so far, by method.
    pub trained: BTreeMap<String, u64>,
    /// Seconds of training so far.
    pub secs: f64,
}

/// One row of `paper.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct PaperRow {
    pub experiment: String,
    pub method: String,
    pub split: String,
    pub support: Option<u32>,
    pub inner_step: u32,
    pub metric: Metric,
    /// `None`: no run has it.
    pub mean: Option<f32>,
    pub ci95: Option<(f32, f32)>,
    /// `seeds` or `tasks`: what the interval is over; empty without one.
    pub over: &'static str,
    pub seeds: usize,
    /// Test tasks of each seed.
    pub tasks: Option<u32>,
    /// Meta-iterations behind the mean.
    pub iterations: Option<u64>,
    pub planned: u64,
    pub published: Option<f64>,
    pub verdict: String,
    pub engine: String,
    pub differs: String,
    pub note: String,
}

impl PaperRow {
    pub fn cells(&self) -> Vec<String> {
        let number = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        let difference = self.mean.zip(self.published).map(|(mean, published)| mean - published as f32);
        vec![
            self.experiment.clone(),
            self.method.clone(),
            self.split.clone(),
            number(self.support.map(u64::from)),
            self.inner_step.to_string(),
            self.metric.name().to_string(),
            optional_text(self.mean),
            optional_text(self.ci95.map(|(low, _)| low)),
            optional_text(self.ci95.map(|(_, high)| high)),
            self.over.to_string(),
            self.seeds.to_string(),
            number(self.tasks.map(u64::from)),
            number(self.iterations),
            self.planned.to_string(),
            self.published.map_or_else(String::new, |value| f32_text(value as f32)),
            optional_text(difference),
            self.verdict.clone(),
            self.engine.clone(),
            self.differs.clone(),
            self.note.clone(),
        ]
    }
}

/// The whole table.
pub fn csv(experiments: &[PaperExperiment]) -> Vec<u8> {
    let rows = experiments.iter().flat_map(|experiment| experiment.rows());
    let cells = std::iter::once(PAPER_HEADER.map(String::from).to_vec()).chain(rows.map(|row| row.cells()));
    cells.flat_map(|cells| line(&cells)).collect()
}

/// The runs that speak for a method.
struct Group<'a> {
    runs: Vec<&'a PaperRun>,
    iterations: u64,
    differs: Vec<String>,
    /// Of every other seed that differs in the same way, the run that went furthest.
    shorter: Vec<&'a PaperRun>,
}

impl PaperRun {
    /// The iteration of a method's last evaluation.
    fn last(&self, method: &str) -> Option<u64> {
        self.summary.iter().filter(|row| row.method == method).map(|row| row.iteration).max()
    }

    /// Differences that concern a method: step sizes of others do not.
    fn differs_for(&self, method: &str) -> Vec<String> {
        let concerns = |path: &str| match path.strip_prefix("eval.rate.") {
            Some(other) => other == method,
            None => true,
        };
        let mine = self.differs.iter().filter(|(path, _)| concerns(path));
        mine.map(|(path, value)| format!("{path}={value}")).collect()
    }

    /// `done`, `unfinished` or `failed`.
    fn state(&self) -> &'static str {
        match self.manifest.status {
            Status::Done => "done",
            Status::Running | Status::Stopped => "unfinished",
            Status::Failed => "failed",
        }
    }
}

impl PaperExperiment {
    /// Methods with a published number, then those of the file, then those that runs have beside them.
    fn all_methods(&self) -> Vec<&str> {
        let mut all: Vec<&str> = vec![];
        let published = self.published.iter().map(|curve| &curve.method);
        let evaluated = self.runs.iter().flat_map(|run| run.summary.iter().map(|row| &row.method));
        for method in published.chain(&self.methods).chain(evaluated) {
            if !all.contains(&method.as_str()) {
                all.push(method);
            }
        }
        all
    }

    /// The group of runs nearest to the experiment's file.
    fn group(&self, method: &str) -> Option<Group<'_>> {
        let mut groups: Vec<Group> = vec![];
        for run in &self.runs {
            let Some(iterations) = run.last(method) else { continue };
            let differs = run.differs_for(method);
            let same = |g: &&mut Group| (&g.differs, g.iterations) == (&differs, iterations);
            match groups.iter_mut().find(same) {
                // A seed counts once, however often it was run.
                Some(group) if group.runs.iter().any(|r| r.manifest.seed == run.manifest.seed) => {}
                Some(group) => group.runs.push(run),
                None => groups.push(Group { runs: vec![run], iterations, differs, shorter: vec![] }),
            }
        }
        let near = |g: &Group| (std::cmp::Reverse(g.differs.len()), g.iterations, g.runs.len());
        // The first of equals, in the order of the folders.
        let mut best = groups.into_iter().rev().max_by_key(near)?;
        best.shorter = self.shorter(method, &best);
        Some(best)
    }

    fn shorter(&self, method: &str, best: &Group) -> Vec<&PaperRun> {
        let mut furthest: BTreeMap<u64, &PaperRun> = BTreeMap::new();
        for run in &self.runs {
            let seed = run.manifest.seed;
            let alike = run.last(method).is_some() && run.differs_for(method) == best.differs;
            let further = furthest.get(&seed).is_none_or(|known| known.last(method) < run.last(method));
            if alike && further && best.runs.iter().all(|known| known.manifest.seed != seed) {
                furthest.insert(seed, run);
            }
        }
        furthest.into_values().collect()
    }

    fn published(&self, method: &str, support: u32, metric: Metric, step: u32) -> Option<f64> {
        let mut curves = self.published.iter().filter(|curve| {
            curve.method == method
                && curve.metric == metric
                && curve.support.is_none_or(|size| size == support)
        });
        curves.find_map(|curve| curve.points.iter().find(|(at, _)| *at == step)).map(|(_, value)| *value)
    }

    /// The last evaluation of every method, over seeds where there are several; the published number in every row that has
    /// one, whatever it was trained for.
    pub fn summary(&self) -> Vec<SummaryRow> {
        let mut all = vec![];
        for method in self.all_methods() {
            let Some(group) = self.group(method) else { continue };
            all.extend(self.group_rows(method, &group));
        }
        all
    }

    fn group_rows(&self, method: &str, group: &Group) -> Vec<SummaryRow> {
        let mine = |row: &&SummaryRow| {
            row.method == method && row.iteration == group.iterations && row.versus.is_none()
        };
        let runs: Vec<Vec<SummaryRow>> =
            group.runs.iter().map(|run| run.summary.iter().filter(mine).cloned().collect()).collect();
        let mut rows = match &runs[..] {
            // The interval of a single run is over its tasks.
            [one] => one.clone(),
            _ => over_seeds(&runs).into_iter().map(|row| row.row).collect(),
        };
        for row in rows.iter_mut().filter(|row| row.split == TEST) {
            let number = self.published(method, row.support, row.metric, row.inner_step);
            row.published = number.map(|value| value as f32);
        }
        rows
    }

    /// Every row of the experiment; a published number that no run has an answer to is a row too.
    pub fn rows(&self) -> Vec<PaperRow> {
        let mut rows = vec![];
        for method in self.all_methods() {
            let group = self.group(method);
            let before = rows.len();
            if let Some(group) = &group {
                rows.extend(self.group_rows(method, group).iter().map(|row| self.row(row, group)));
            }
            let have: BTreeSet<(Metric, Option<u32>, u32)> =
                rows[before..].iter().map(|row| (row.metric, row.support, row.inner_step)).collect();
            for curve in self.published.iter().filter(|curve| curve.method == method) {
                for &(step, value) in &curve.points {
                    let answered = have.iter().any(|(metric, support, at)| {
                        (*metric, *at) == (curve.metric, step)
                            && (curve.support.is_none() || *support == curve.support)
                    });
                    if !answered {
                        rows.push(self.unanswered(curve, step, value));
                    }
                }
            }
        }
        rows
    }

    fn row(&self, row: &SummaryRow, group: &Group) -> PaperRow {
        let published = row.published.map(f64::from);
        let ci95 = row.ci95_low.zip(row.ci95_high);
        let interval = ci95.map(|(low, high)| (f64::from(low), f64::from(high)));
        // Before adaptation there is nothing to reach, except for a method that is not adapted.
        let judged = row.inner_step > 0 || row.method == ORACLE;
        let verdict = published
            .filter(|_| judged)
            .map(|published| Verdict::of(row.metric, f64::from(row.mean), interval, published));
        PaperRow {
            experiment: self.name.clone(),
            method: row.method.clone(),
            split: row.split.clone(),
            support: Some(row.support),
            inner_step: row.inner_step,
            metric: row.metric,
            mean: Some(row.mean),
            ci95,
            over: match (ci95, group.runs.len()) {
                (None, _) => "",
                (_, 1) => "tasks",
                _ => "seeds",
            },
            seeds: group.runs.len(),
            tasks: self.tasks(row, group),
            iterations: Some(row.iteration),
            planned: self.planned_for(&row.method),
            published,
            verdict: verdict.map_or_else(String::new, |verdict| verdict.to_string()),
            engine: self.engine.clone(),
            differs: group.differs.join(" "),
            note: [self.partial(&row.method, row.iteration), elsewhere(row, group)]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("; "),
        }
    }

    /// Test tasks of each run, if it is the same number everywhere.
    fn tasks(&self, row: &SummaryRow, group: &Group) -> Option<u32> {
        let same = |other: &&SummaryRow| answers(other, row, row.iteration);
        let counts: BTreeSet<u32> =
            group.runs.iter().filter_map(|run| run.summary.iter().find(same)).map(|row| row.tasks).collect();
        counts.first().copied().filter(|_| counts.len() == 1)
    }

    fn unanswered(&self, curve: &PublishedCurve, step: u32, value: f64) -> PaperRow {
        PaperRow {
            experiment: self.name.clone(),
            method: curve.method.clone(),
            split: "test".into(),
            support: curve.support,
            inner_step: step,
            metric: curve.metric,
            mean: None,
            ci95: None,
            over: "",
            seeds: 0,
            tasks: None,
            iterations: None,
            planned: self.planned_for(&curve.method),
            published: Some(value),
            verdict: "not run".into(),
            engine: self.engine.clone(),
            differs: String::new(),
            note: self.not_run(&curve.method),
        }
    }

    fn planned_for(&self, method: &str) -> u64 {
        self.planned_otherwise.get(method).copied().unwrap_or(self.planned)
    }

    /// `200 of 500 iterations`; empty where all were done.
    fn partial(&self, method: &str, iterations: u64) -> String {
        match self.planned_for(method) {
            planned if iterations < planned => format!("{iterations} of {planned} iterations"),
            _ => String::new(),
        }
    }

    /// Why a method has no row, and what to do about it.
    fn not_run(&self, method: &str) -> String {
        let begun = self.runs.iter().filter_map(|run| run.trained.get(method)).max();
        match begun {
            Some(trained) if *trained > 0 => {
                format!(
                    "{trained} of {} iterations, not evaluated yet; {}",
                    self.planned_for(method),
                    self.next
                )
            }
            _ if self.methods.iter().any(|known| known == method) => self.next.clone(),
            _ => format!("{} --set methods=[{method}]", self.next),
        }
    }
}

/// Whether a row of a run is the same quantity as `row`, after so many meta-iterations.
fn answers(other: &SummaryRow, row: &SummaryRow, iteration: u64) -> bool {
    other.versus.is_none()
        && (&other.method, other.iteration, &other.split, other.support)
            == (&row.method, iteration, &row.split, row.support)
        && (other.inner_step, other.metric) == (row.inner_step, row.metric)
}

/// `seed 2 after 280: -89.02`, for every further seed that has the row of its own last evaluation.
fn elsewhere(row: &SummaryRow, group: &Group) -> String {
    let of = |run: &&PaperRun| {
        let last = run.last(&row.method)?;
        let mean = run.summary.iter().find(|other| answers(other, row, last))?.mean;
        Some(format!("seed {} after {last}: {}", run.manifest.seed, short_text(f64::from(mean))))
    };
    group.shorter.iter().filter_map(of).collect::<Vec<_>>().join(", ")
}
