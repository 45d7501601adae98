//! The test tasks of a spec, read from a file or drawn from the plugin, and its validation tasks.

use super::learner::Split;
use crate::error::{Error, Result};
use crate::random::seed_at;
use crate::spec::{Select, Spec};
use std::path::Path;

/// `eval.tasks` tasks, each one number per entry of `names`; the same for every method.
///
/// Errors: [`Error::Input`] naming file, line and column when the file lacks a column, has too few rows or a cell
/// is no number; [`Error::Io`].
pub fn of(
    spec: &Spec,
    folder: &Path,
    names: &[String],
    sample: impl FnMut(u64, &mut [f32]) -> Result<()>,
) -> Result<Vec<Vec<f32>>> {
    let Some(file) = &spec.eval.task_file else { return drawn(spec, Split::Test, names, sample) };
    let path = folder.join(file);
    let shown = path.display();
    let text = std::fs::read(&path).map_err(Error::io("read the test tasks (eval.task_file)", &path))?;
    let mut reader = csv::Reader::from_reader(&text[..]);
    let bad = |e: csv::Error| Error::Input(format!("{shown}: {e}"));
    let header = reader.headers().map_err(bad)?.clone();
    let column = |name: &String| {
        header.iter().position(|h| h == name).ok_or_else(|| {
            let found: Vec<&str> = header.iter().collect();
            Error::Input(format!(
                "{shown}:1: no column `{name}`; the task needs {names:?}, the file has {found:?}"
            ))
        })
    };
    let columns: Vec<usize> = names.iter().map(column).collect::<Result<_>>()?;
    let mut tasks = vec![];
    for (row, record) in reader.records().take(spec.eval.tasks).enumerate() {
        let record = record.map_err(bad)?;
        let cell = |c: &usize| {
            let text = record.get(*c).unwrap_or("");
            let number = text.trim().parse::<f32>().ok().filter(|x| x.is_finite());
            number.ok_or_else(|| Error::Input(format!("{shown}:{}: `{text}` is not a number", row + 2)))
        };
        tasks.push(columns.iter().map(cell).collect::<Result<Vec<f32>>>()?);
    }
    if tasks.len() < spec.eval.tasks {
        return Err(Error::Input(format!(
            "{shown}: eval.tasks is {}, but the file has {}",
            spec.eval.tasks,
            tasks.len()
        )));
    }
    Ok(tasks)
}

/// The validation tasks, of which there are some where the spec selects by them: as many as test tasks, drawn like
/// training tasks.
pub fn validation(
    spec: &Spec,
    names: &[String],
    sample: impl FnMut(u64, &mut [f32]) -> Result<()>,
) -> Result<Vec<Vec<f32>>> {
    match spec.eval.select {
        Select::Best => drawn(spec, Split::Val, names, sample),
        Select::Last => Ok(vec![]),
    }
}

fn drawn(
    spec: &Spec,
    split: Split,
    names: &[String],
    mut sample: impl FnMut(u64, &mut [f32]) -> Result<()>,
) -> Result<Vec<Vec<f32>>> {
    let draw = |number| {
        let mut task = vec![0.0; names.len()];
        sample(seed_at(spec.seed, split.task(), 0, number as u32, 0), &mut task)?;
        Ok(task)
    };
    (0..spec.eval.tasks).map(draw).collect()
}
