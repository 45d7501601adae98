//! The table of the paper's experiments as one HTML page that needs nothing else.

use super::super::curves::{self, slices};
use super::super::number::short_text;
use super::super::page::{STYLE, table};
use super::super::picture::escape;
use super::super::progress::format_duration;
use super::super::row::{Metric, SummaryRow, TEST};
use super::super::table::Table;
use super::{PaperExperiment, PaperRow, PaperRun};
use std::fmt::Write;

/// Evaluations that a learning curve needs to say anything.
const LEAST_EVALUATIONS: usize = 3;

/// The page. `command` regenerates it.
pub fn html(experiments: &[PaperExperiment], command: &str) -> String {
    let title = "The experiments of the MAML paper, run again";
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n\
         <p>Finn, Abbeel and Levine, ICML 2017: every experiment with the numbers printed there or released with its code, \
         beside what mamlx measured. Written by <code>{}</code>; the same numbers as a table are in paper.csv.</p>\n",
        escape(command)
    );
    headlines(&mut page, experiments);
    page.push_str(
        "<p><small>One row an experiment: the paper's method after the first gradient step that has a published number. \
         <b>reached</b>: our mean is as good as the published one, or better. <b>within interval</b>: not as good, but the \
         published number lies inside our 95 % interval. Intervals are over seeds (Student) where there are several, else \
         over the test tasks of the one seed (normal). Locomotion runs on another physics engine than the paper's: \
         compare in kind, not in number.</small></p>\n",
    );
    for experiment in experiments {
        section(&mut page, experiment);
    }
    page.push_str("</html>\n");
    page
}

fn headlines(page: &mut String, experiments: &[PaperExperiment]) {
    let rows = experiments.iter().map(|experiment| {
        let [name, rest @ ..] = headline_cells(experiment);
        let mut cells = vec![name, experiment.place.clone()];
        cells.extend(rest);
        cells.insert(cells.len() - 1, experiment.engine.clone());
        cells
    });
    let header =
        ["experiment", "in the paper", "measured", "ours", "95 %", "paper", "verdict", "engine", "runs"];
    table(page, &header, rows);
}

/// The headlines for a terminal.
pub fn headline_table(experiments: &[PaperExperiment]) -> Table {
    let mut table = Table::new(["experiment", "measured", "ours", "95 %", "paper", "verdict", "runs"]);
    for experiment in experiments {
        table.row(headline_cells(experiment));
    }
    table
}

/// Name, what was measured, mean, interval, published number, verdict, remark.
fn headline_cells(experiment: &PaperExperiment) -> [String; 7] {
    let rows = experiment.rows();
    let name = experiment.name.clone();
    match headline(&rows) {
        Some(row) => {
            [name, measured(row), mean(row), range(row), published(row), row.verdict.clone(), remark(row)]
        }
        None => {
            let blank = String::new;
            [name, blank(), blank(), blank(), blank(), "not run".into(), experiment.not_run("maml")]
        }
    }
}

/// The first published row after at least one step of MAML; without published rows the last measured one.
fn headline(rows: &[PaperRow]) -> Option<&PaperRow> {
    let adapted = |row: &&PaperRow| row.split == TEST && row.inner_step > 0 && row.method == "maml";
    let main = main_metric(rows.iter().map(|row| row.metric))?;
    let last = || rows.iter().filter(adapted).rev().find(|row| row.metric == main);
    rows.iter().filter(adapted).find(|row| row.published.is_some()).or_else(last)
}

/// What an experiment is about: accuracy before return before loss.
fn main_metric(metrics: impl Iterator<Item = Metric>) -> Option<Metric> {
    let rank = |metric: &Metric| match metric {
        Metric::Loss => 0,
        Metric::Return => 1,
        Metric::Accuracy => 2,
    };
    metrics.max_by_key(rank)
}

fn measured(row: &PaperRow) -> String {
    let steps = match row.inner_step {
        1 => "1 step".into(),
        steps => format!("{steps} steps"),
    };
    let support = row.support.map_or(String::new(), |support| format!(" on {support}"));
    format!("{}, {steps}{support}", row.metric.name())
}

fn mean(row: &PaperRow) -> String {
    row.mean.map_or(String::new(), |mean| short_text(f64::from(mean)))
}

fn range(row: &PaperRow) -> String {
    row.ci95.map_or(String::new(), |(low, high)| {
        format!("[{}, {}]", short_text(f64::from(low)), short_text(f64::from(high)))
    })
}

fn published(row: &PaperRow) -> String {
    row.published.map_or(String::new(), short_text)
}

/// Seeds, and what keeps a row from being the experiment's own.
fn remark(row: &PaperRow) -> String {
    let seeds = match row.seeds {
        0 => String::new(),
        1 => "1 seed".into(),
        seeds => format!("{seeds} seeds"),
    };
    let parts = [seeds, row.differs.clone(), row.note.clone()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn section(page: &mut String, experiment: &PaperExperiment) {
    let _ = writeln!(page, "<h2>{}</h2>", escape(&experiment.name));
    let _ = writeln!(page, "<p>Paper: {}. {}</p>", escape(&experiment.place), escape(&experiment.engine));
    if experiment.runs.is_empty() {
        let _ = writeln!(page, "<p>Not run yet: <code>{}</code></p>", escape(&experiment.next));
    }
    let summary = experiment.summary();
    let has_published = |metric| experiment.published.iter().any(|curve| curve.metric == metric);
    let main = main_metric(summary.iter().map(|row| row.metric));
    for slice in slices(&summary) {
        // Losses beside accuracies are in the CSV.
        if has_published(slice.metric) || Some(slice.metric) == main {
            let title =
                format!("{}: {} with {} per update", experiment.name, slice.metric.name(), slice.support);
            page.push_str(&curves::adaptation_picture(slice, &title).svg());
        }
    }
    if let Some(metric) = main {
        learning(page, experiment, metric);
    }
    for picture in &experiment.pictures {
        let _ = writeln!(page, "<div>{picture}</div>");
    }
    let rows = experiment.rows();
    let shown = rows.iter().filter(|row| has_published(row.metric) || Some(row.metric) == main);
    let cells = shown.map(|row| {
        vec![
            row.method.clone(),
            measured(row),
            mean(row),
            range(row),
            row.over.to_string(),
            published(row),
            row.verdict.clone(),
            remark(row),
        ]
    });
    table(page, &["method", "measured", "ours", "95 %", "over", "paper", "verdict", "runs"], cells);
    runs(page, experiment);
}

/// Curves over training, of the run that was evaluated most often.
fn learning(page: &mut String, experiment: &PaperExperiment, metric: Metric) {
    let evaluations = |run: &&PaperRun| {
        let mut all: Vec<u64> = run.summary.iter().map(|row| row.iteration).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    };
    // The first of equals.
    let run = experiment.runs.iter().rev().max_by_key(evaluations);
    let Some(run) = run.filter(|run| evaluations(run) >= LEAST_EVALUATIONS) else { return };
    let rows: Vec<SummaryRow> = run.summary.iter().filter(|row| row.metric == metric).cloned().collect();
    for slice in slices(&rows) {
        let title = format!("{} while training, {} per update", run.manifest.run, slice.support);
        page.push_str(&curves::learning_picture(slice, &[0, 1], &title).svg());
    }
}

fn runs(page: &mut String, experiment: &PaperExperiment) {
    if experiment.runs.is_empty() {
        return;
    }
    let rows = experiment.runs.iter().map(|run| {
        let manifest = &run.manifest;
        let trained = run.trained.iter().map(|(method, iterations)| format!("{method} {iterations}"));
        let versions = manifest.versions.iter().map(|(name, version)| format!("{name} {version}"));
        let plugins = manifest.plugins.iter().map(|plugin| format!("{} {}", plugin.id, plugin.version));
        let differs = run.differs.iter().map(|(path, value)| format!("{path}={value}"));
        let held = match manifest.gradients.values().filter(|record| record.holds).count() {
            0 if manifest.gradients.is_empty() => "not taken".to_string(),
            held => format!("{held} of {} hold", manifest.gradients.len()),
        };
        vec![
            manifest.run.clone(),
            run.state().to_string(),
            trained.collect::<Vec<_>>().join(", "),
            differs.collect::<Vec<_>>().join(" "),
            format_duration(run.secs),
            format!("{}, {} processors", manifest.host.cpu.as_deref().unwrap_or("?"), manifest.host.cpus),
            manifest.device.clone(),
            versions.chain(plugins).collect::<Vec<_>>().join(", "),
            held,
        ]
    });
    let header = [
        "run",
        "state",
        "meta-iterations",
        "differs",
        "training",
        "machine",
        "device",
        "versions",
        "gradients",
    ];
    page.push_str("<details><summary>Receipts</summary>\n");
    table(page, &header, rows);
    page.push_str("</details>\n");
}
