//! Runs → one HTML page that needs nothing else: pictures inside, no script, no network.

use super::bootstrap::{RESAMPLINGS, iqm};
use super::breakdown;
use super::curves::{self, Slice};
use super::manifest::Manifest;
use super::number::short_text;
use super::picture::{Picture, Series, escape};
use super::progress::format_duration;
use super::read::EvalTable;
use super::row::{EvalRow, Identity, SummaryRow, TimingRow, TrainRow};
use super::seeds;
use super::summary::summarise;
use super::verdict::Verdict;
use crate::error::Result;
use std::fmt::Write;

/// Everything that a page shows of one run.
pub struct RunFiles {
    pub identity: Identity,
    pub manifest: Manifest,
    pub spec: String,
    pub train: Vec<TrainRow>,
    /// Parameters of the tasks, as the rows of `eval` have them.
    pub task_names: Vec<String>,
    pub eval: Vec<EvalRow>,
    pub summary: Vec<SummaryRow>,
    pub timing: Vec<TimingRow>,
}

/// Runs that differ in nothing but their seed.
pub struct Group {
    /// What sets them apart from the other groups of the page; empty where there is only one.
    pub heading: String,
    pub runs: Vec<RunFiles>,
}

pub(super) const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:62rem;margin:2rem auto;\
    padding:0 1rem}table{border-collapse:collapse;margin:1rem 0}th,td{padding:.2rem .7rem;text-align:right;\
    border-bottom:1px solid #e6e6e6}th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #888}\
    svg{max-width:100%;height:auto}pre{background:#f6f6f6;padding:1rem;overflow:auto}.reached{color:#00694d}\
    .short{color:#b3402a}.open{color:#888}small{color:#666}";

/// The page. `by`: a parameter of the tasks that results are split by, with the edges of its bands (none: chosen); without
/// one, every parameter of the tasks of environments.
///
/// Errors: those of [`breakdown::groups`].
pub fn html(title: &str, groups: &[Group], by: Option<(&str, &[f32])>) -> Result<String> {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{0}</title>\n<style>{STYLE}</style>\n<h1>{0}</h1>\n",
        escape(title)
    );
    for group in groups {
        if !group.heading.is_empty() {
            let _ = writeln!(page, "<h2>{}</h2>", escape(&group.heading));
        }
        group.runs_table(&mut page);
        for slice in curves::slices(&group.summary()) {
            group.slice(&mut page, slice);
        }
        group.breakdown(&mut page, by)?;
        group.training(&mut page);
        group.timing(&mut page);
        group.gradients(&mut page);
        if let Some(run) = group.runs.first() {
            let _ = writeln!(
                page,
                "<details><summary>Specification of {}</summary><pre>{}</pre></details>",
                escape(&run.identity.run),
                run.spec.lines().map(escape).collect::<Vec<_>>().join("\n")
            );
        }
    }
    page.push_str("</html>\n");
    Ok(page)
}

impl Group {
    /// Rows over seeds where there are several runs, else over the tasks of the only one.
    fn summary(&self) -> Vec<SummaryRow> {
        joined(self.runs.iter().map(|run| run.summary.clone()).collect())
    }

    /// The last evaluation, split by parameters of the tasks: each direction, or bands of velocity.
    fn breakdown(&self, page: &mut String, by: Option<(&str, &[f32])>) -> Result<()> {
        let table_of = |run: &RunFiles| EvalTable {
            identity: None,
            task_names: run.task_names.clone(),
            rows: run.eval.clone(),
        };
        let tables: Vec<EvalTable> = self.runs.iter().map(table_of).collect();
        let returns = tables.iter().flat_map(|table| &table.rows).any(|row| row.episode_return.is_some());
        let names = tables.first().filter(|_| returns).map_or(&[][..], |table| &table.task_names[..]);
        let every = names.iter().map(|name| (&name[..], &[][..]));
        for (by, edges) in by.map_or_else(|| every.collect(), |one| vec![one]) {
            let mut rows = vec![];
            for group in breakdown::groups(&tables, by, edges)? {
                let tasks = tables.first().map_or(0, |table| group.tasks(&table.rows)).to_string();
                let parts = tables.iter().map(|table| summarise(&group.of(&table.rows), &[], |_| None));
                for slice in curves::slices(&joined(parts.collect())) {
                    for (method, _, steps) in slice.last().into_iter().filter(|of| of.1.is_none()) {
                        rows.extend(steps.iter().map(|row| {
                            let interval = row.ci95_low.zip(row.ci95_high);
                            vec![
                                group.label.clone(),
                                tasks.clone(),
                                slice.label(),
                                method.to_string(),
                                row.inner_step.to_string(),
                                short_text(f64::from(row.mean)),
                                interval.map_or(String::new(), |(l, h)| range((l.into(), h.into()))),
                            ]
                        }));
                    }
                }
            }
            let _ = writeln!(page, "<h3>By {}</h3>", escape(by));
            table(page, &["tasks", "number", "", "method", "steps", "mean", "95 %"], rows.into_iter());
        }
        Ok(())
    }

    fn over(&self) -> String {
        match self.runs.len() {
            1 => "the test tasks".into(),
            runs => format!("{runs} seeds (Student)"),
        }
    }

    fn runs_table(&self, page: &mut String) {
        let rows = self.runs.iter().map(|run| {
            let manifest = &run.manifest;
            let list = |pairs: Vec<String>| pairs.join(", ");
            let versions = manifest.versions.iter().map(|(name, version)| format!("{name} {version}"));
            let plugins = manifest.plugins.iter().map(|plugin| {
                format!("{} {} ({})", plugin.id, plugin.version, plugin.sha256.get(..8).unwrap_or(""))
            });
            let host = &manifest.host;
            vec![
                run.identity.run.clone(),
                format!("{:?}", manifest.status).to_lowercase(),
                list(versions.collect()),
                list(plugins.collect()),
                format!(
                    "{} on {}, {} processors",
                    manifest.device,
                    host.cpu.as_deref().unwrap_or(&host.arch),
                    host.cpus
                ),
            ]
        });
        table(page, &["run", "status", "versions", "plugin", "machine"], rows);
    }

    /// One metric and support size: pictures, and a table beside the published numbers.
    fn slice(&self, page: &mut String, slice: Slice) {
        let name = slice.metric.name();
        let title = format!("{name} with {}", slice.label());
        let _ = writeln!(page, "<h3>{}</h3>", escape(&title));
        page.push_str(&curves::adaptation_picture(slice, "After gradient steps").svg());
        page.push_str(&curves::learning_picture(slice, &[0, 1], "While training").svg());
        let mut rows = vec![];
        for (method, versus, steps) in slice.last() {
            for row in steps {
                let interval = row.ci95_low.zip(row.ci95_high).map(|(l, h)| (f64::from(l), f64::from(h)));
                let middle = if versus.is_none() { self.iqm(row) } else { None };
                let verdict = row.published.map(|published| {
                    Verdict::of(row.metric, f64::from(row.mean), interval, f64::from(published))
                });
                rows.push(vec![
                    versus.map_or(method.to_string(), |versus| format!("{method} − {versus}")),
                    row.inner_step.to_string(),
                    short_text(f64::from(row.mean)),
                    interval.map_or(String::new(), range),
                    middle.map_or(String::new(), |m| short_text(m.mean)),
                    middle.map_or(String::new(), |m| range((m.low, m.high))),
                    row.published.map_or(String::new(), |value| short_text(f64::from(value))),
                    verdict.map_or(String::new(), |verdict| verdict.to_string()),
                ]);
            }
        }
        let header = ["method", "steps", "mean", "95 %", "IQM", "95 % (bootstrap)", "published", "verdict"];
        table(page, &header, rows.into_iter());
        let _ = writeln!(
            page,
            "<p><small>Intervals of means are over {}; IQM: mean of the middle half of all run × task scores, with a \
             stratified bootstrap of {RESAMPLINGS} resamplings.</small></p>",
            self.over()
        );
    }

    /// The interquartile mean of the raw scores behind a row.
    fn iqm(&self, row: &SummaryRow) -> Option<super::bootstrap::Iqm> {
        let scores = self.runs.iter().map(|run| {
            let mine = run.eval.iter().filter(|eval| {
                (eval.iteration, &eval.method, &eval.split, eval.support, eval.inner_step)
                    == (row.iteration, &row.method, &row.split, row.support, row.inner_step)
            });
            mine.filter_map(|eval| eval.metric(row.metric)).map(f64::from).collect::<Vec<f64>>()
        });
        iqm(&scores.collect::<Vec<_>>(), RESAMPLINGS)
    }

    /// Curves of `train.csv`: the mean over runs, with a band from the lowest to the highest.
    fn training(&self, page: &mut String) {
        type Column = (&'static str, fn(&TrainRow) -> Option<f32>);
        let columns: [Column; 3] = [
            ("outer loss", |row| row.loss_outer),
            ("return before adaptation", |row| row.return_pre),
            ("return after adaptation", |row| row.return_post),
        ];
        for (name, value) in columns {
            let mut picture = Picture::new(&format!("Training: {name}"), "meta-iterations", name);
            let first = self.runs.first().map_or(&[][..], |run| &run.train);
            let mut methods: Vec<&str> = vec![];
            for row in first.iter().filter(|row| value(row).is_some()) {
                if !methods.contains(&row.method.as_str()) {
                    methods.push(&row.method);
                }
            }
            for method in methods {
                picture.series.push(self.training_curve(method, value));
            }
            if !picture.series.is_empty() {
                page.push_str(&picture.svg());
            }
        }
    }

    fn training_curve(&self, method: &str, value: fn(&TrainRow) -> Option<f32>) -> Series {
        /// A page with more points than this a curve is slow to draw and shows no more.
        const MOST_POINTS: usize = 500;
        let of = |run: &RunFiles| -> Vec<(u64, f64)> {
            let mine = run.train.iter().filter(|row| row.method == method);
            mine.filter_map(|row| Some((row.iteration, f64::from(value(row)?)))).collect()
        };
        let runs: Vec<Vec<(u64, f64)>> = self.runs.iter().map(of).collect();
        let mut series = Series { name: method.to_string(), ..Series::default() };
        let points = runs.iter().map(Vec::len).min().unwrap_or(0);
        for at in (0..points).step_by(points.div_ceil(MOST_POINTS).max(1)) {
            let values: Vec<f64> = runs.iter().map(|run| run[at].1).collect();
            series.x.push(runs[0][at].0 as f64);
            series.mean.push(values.iter().sum::<f64>() / values.len() as f64);
            series.low.push(values.iter().copied().fold(f64::INFINITY, f64::min));
            series.high.push(values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        }
        series
    }

    fn timing(&self, page: &mut String) {
        let mut rows = vec![];
        for run in &self.runs {
            let mut methods: Vec<&str> = vec![];
            for row in &run.timing {
                if !methods.contains(&row.method.as_str()) {
                    methods.push(&row.method);
                }
            }
            for method in methods {
                let mine: Vec<&TimingRow> = run.timing.iter().filter(|row| row.method == method).collect();
                let each = mine.iter().map(|row| f64::from(row.total_secs)).sum::<f64>() / mine.len() as f64;
                let last = mine.last().map_or(0, |row| row.iteration);
                let mean = |column: fn(&TimingRow) -> Option<f32>| {
                    let values: Vec<f64> = mine.iter().filter_map(|row| column(row)).map(f64::from).collect();
                    super::stats::mean(&values).map_or(String::new(), short_text)
                };
                rows.push(vec![
                    format!("{} {method}", run.identity.run),
                    last.to_string(),
                    short_text(1e3 * each),
                    format_duration(each * last as f64),
                    mean(|row| row.env_steps_per_sec),
                    mean(|row| row.eval_secs),
                ]);
            }
        }
        if !rows.is_empty() {
            page.push_str("<h3>Time</h3>\n");
            let header =
                ["", "meta-iterations", "ms each", "training in all", "env steps/s", "s an evaluation"];
            table(page, &header, rows.into_iter());
        }
    }

    /// The gradient certificate of the first run that has one.
    fn gradients(&self, page: &mut String) {
        let Some(run) = self.runs.iter().find(|run| !run.manifest.gradients.is_empty()) else { return };
        page.push_str("<h3>Gradients against differences of the outer loss</h3>\n");
        let rows = run.manifest.gradients.iter().map(|(of, record)| {
            vec![
                of.clone(),
                record.derivative_order.to_string(),
                record.error_f32.clone(),
                record.error_f64.clone(),
                record.other_order.clone().unwrap_or_default(),
                if record.holds { "holds".into() } else { "does not hold".to_string() },
            ]
        });
        table(page, &["of", "order", "error f32", "error f64", "other order is away", ""], rows);
    }
}

/// Rows over seeds where there are several runs, else those of the only one.
fn joined(mut all: Vec<Vec<SummaryRow>>) -> Vec<SummaryRow> {
    match all.len() {
        1 => all.remove(0),
        _ => seeds::over_seeds(&all).into_iter().map(|row| row.row).collect(),
    }
}

fn range((low, high): (f64, f64)) -> String {
    format!("[{}, {}]", short_text(low), short_text(high))
}

pub(super) fn table(page: &mut String, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    page.push_str("<table><thead><tr>");
    header.iter().for_each(|cell| put(page, "th", cell));
    page.push_str("</tr></thead><tbody>\n");
    for row in rows {
        page.push_str("<tr>");
        row.iter().for_each(|cell| put(page, "td", cell));
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table>\n");
}

fn put(page: &mut String, tag: &str, cell: &str) {
    let class = match cell {
        "reached" | "within interval" => " class=\"reached\"",
        _ if cell.starts_with("short by") => " class=\"short\"",
        "not run" => " class=\"open\"",
        _ => "",
    };
    let _ = write!(page, "<{tag}{class}>{}</{tag}>", escape(cell));
}
