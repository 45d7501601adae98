//! A CSV of ours → typed rows: for summaries over earlier evaluations, pictures and comparisons.

use super::row::{
    EVAL_HEADER, EvalRow, Identity, Metric, SUMMARY_HEADER, SummaryRow, TASK_PREFIX, TIMING_HEADER,
    TRAIN_HEADER, TimingRow, TrainRow,
};
use crate::error::{Error, Result};
use std::path::Path;
use std::str::FromStr;

/// The rows of an `eval.csv`, with the identity of the run that wrote the first of them.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalTable {
    /// `None` when there is no row yet.
    pub identity: Option<Identity>,
    /// Names of the task's parameters, without the `task_` prefix.
    pub task_names: Vec<String>,
    pub rows: Vec<EvalRow>,
}

/// Reads an `eval.csv`.
///
/// Errors: [`Error::Io`] when it cannot be read; [`Error::Input`] naming line and column when a header or a cell
/// is not what mamlx writes.
pub fn read_eval(path: &Path) -> Result<EvalTable> {
    let (header, records) = read_records(path, &EVAL_HEADER)?;
    let extra = header[EVAL_HEADER.len()..].iter();
    let task_names = extra.map(|name| name.strip_prefix(TASK_PREFIX).unwrap_or(name).to_string()).collect();
    let mut identity = None;
    let mut rows = Vec::with_capacity(records.len());
    for record in &records {
        let mut cells = Cells { path, header: &header, record, at: 0 };
        let owner = cells.identity()?;
        identity.get_or_insert(owner);
        rows.push(EvalRow {
            iteration: cells.required()?,
            method: cells.required()?,
            split: cells.required()?,
            support: cells.required()?,
            norm: cells.optional()?,
            task: cells.required()?,
            inner_step: cells.required()?,
            loss: cells.optional()?,
            accuracy: cells.optional()?,
            episode_return: cells.optional()?,
            task_params: (EVAL_HEADER.len()..header.len())
                .map(|_| cells.required())
                .collect::<Result<_>>()?,
        });
    }
    Ok(EvalTable { identity, task_names, rows })
}

/// Reads a `summary.csv`. Errors as for [`read_eval`].
pub fn read_summary(path: &Path) -> Result<Vec<SummaryRow>> {
    let (header, records) = read_records(path, &SUMMARY_HEADER)?;
    let mut rows = Vec::with_capacity(records.len());
    for record in &records {
        let mut cells = Cells { path, header: &header, record, at: 0 };
        rows.push(SummaryRow {
            iteration: cells.required()?,
            method: cells.required()?,
            split: cells.required()?,
            support: cells.required()?,
            inner_step: cells.required()?,
            metric: {
                let name = cells.next().to_string();
                Metric::ALL.into_iter().find(|metric| metric.name() == name).ok_or_else(|| cells.wrong())?
            },
            mean: cells.required()?,
            ci95_low: cells.optional()?,
            ci95_high: cells.optional()?,
            tasks: cells.required()?,
            versus: cells.optional()?,
            published: cells.optional()?,
        });
    }
    Ok(rows)
}

/// Reads a `train.csv`. Errors as for [`read_eval`].
pub fn read_train(path: &Path) -> Result<Vec<TrainRow>> {
    let (header, records) = read_records(path, &TRAIN_HEADER)?;
    let mut rows = Vec::with_capacity(records.len());
    for record in &records {
        let mut cells = Cells { path, header: &header, record, at: 0 };
        cells.identity()?;
        rows.push(TrainRow {
            method: cells.required()?,
            iteration: cells.required()?,
            tasks_seen: cells.required()?,
            env_steps: cells.optional()?,
            loss_outer: cells.optional()?,
            return_pre: cells.optional()?,
            return_post: cells.optional()?,
            kl: cells.optional()?,
            step_accepted: cells.optional()?,
        });
    }
    Ok(rows)
}

/// Reads a `timing.csv`. Errors as for [`read_eval`].
pub fn read_timing(path: &Path) -> Result<Vec<TimingRow>> {
    let (header, records) = read_records(path, &TIMING_HEADER)?;
    let mut rows = Vec::with_capacity(records.len());
    for record in &records {
        let mut cells = Cells { path, header: &header, record, at: 0 };
        rows.push(TimingRow {
            method: cells.required()?,
            iteration: cells.required()?,
            total_secs: cells.required()?,
            physics_secs: cells.optional()?,
            policy_secs: cells.optional()?,
            update_secs: cells.optional()?,
            env_steps_per_sec: cells.optional()?,
            fit_secs: cells.optional()?,
            inner_secs: cells.optional()?,
            products_secs: cells.optional()?,
            line_search_secs: cells.optional()?,
            eval_secs: cells.optional()?,
        });
    }
    Ok(rows)
}

fn read_records(path: &Path, expected: &[&str]) -> Result<(Vec<String>, Vec<csv::StringRecord>)> {
    let mut reader = csv::ReaderBuilder::new().from_path(path).map_err(|error| from_csv(path, error))?;
    let header: Vec<String> =
        reader.headers().map_err(|error| from_csv(path, error))?.iter().map(str::to_string).collect();
    if header.len() < expected.len() || header.iter().zip(expected).any(|(name, wanted)| name != wanted) {
        return Err(Error::Input(format!(
            "{}:1: expected the columns {}; found {}",
            path.display(),
            expected.join(","),
            header.join(",")
        )));
    }
    let records = reader.records().collect::<std::result::Result<Vec<_>, _>>();
    Ok((header, records.map_err(|error| from_csv(path, error))?))
}

fn from_csv(path: &Path, error: csv::Error) -> Error {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(source) => Error::Io { path: path.to_path_buf(), action: "read", source },
        _ => Error::Input(format!("{}: not a CSV file of mamlx: {text}", path.display())),
    }
}

/// The cells of one record, left to right.
struct Cells<'a> {
    path: &'a Path,
    header: &'a [String],
    record: &'a csv::StringRecord,
    at: usize,
}

impl Cells<'_> {
    fn identity(&mut self) -> Result<Identity> {
        Ok(Identity { experiment: self.required()?, run: self.required()?, seed: self.required()? })
    }

    fn next(&mut self) -> &str {
        let cell = self.record.get(self.at).unwrap_or("");
        self.at += 1;
        cell
    }

    fn required<T: FromStr>(&mut self) -> Result<T> {
        let parsed = self.next().parse();
        parsed.map_err(|_| self.wrong())
    }

    fn optional<T: FromStr>(&mut self) -> Result<Option<T>> {
        match self.next() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| self.wrong()),
        }
    }

    /// The complaint about the cell that was read last.
    fn wrong(&self) -> Error {
        let column = self.at - 1;
        Error::Input(format!(
            "{}:{}: column {}: cannot understand {:?}",
            self.path.display(),
            self.record.position().map_or(0, csv::Position::line),
            self.header.get(column).map_or("?", String::as_str),
            self.record.get(column).unwrap_or("")
        ))
    }
}
