//! `mamlx replay` of a run on drawn tasks: a task's function, and what each method takes it for.

use super::replay::step_name;
use crate::error::{Error, Result};
use crate::record::disk;
use crate::record::number::{f32_text, short_text};
use crate::record::picture::{Picture, Published, Series, column};
use crate::record::raster::png;
use crate::run::experiment::Experiment;
use crate::run::fits::{Fit, FitStep, Fits, fits};
use crate::run::replay::Choice;
use crate::spec::Word;
use std::path::{Path, PathBuf};

/// Writes the pictures, and returns the lines that say what they show.
pub(super) fn write(
    experiment: &Experiment,
    run: &Path,
    choice: &Choice,
    out: &[PathBuf],
) -> Result<Vec<String>> {
    let ending = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "png" || ending == "svg");
    if let Some(path) = out.iter().find(|path| !ending(path)) {
        let path = path.display();
        return Err(Error::Input(format!("--out: {path}: functions are drawn in a .svg or .png file")));
    }
    let found = fits(experiment, &run.join("weights.safetensors"), choice)?;
    let pictures: Vec<Picture> =
        found.methods.iter().map(|fit| picture(&experiment.spec.name, choice.task, &found, fit)).collect();
    let svg = column(&pictures);
    for path in out {
        match path.extension().is_some_and(|ending| ending == "png") {
            true => disk::replace(path, &png(&svg)?)?,
            false => disk::replace(path, svg.as_bytes())?,
        }
    }
    Ok(found.methods.iter().flat_map(said).collect())
}

fn picture(name: &str, task: usize, found: &Fits, fit: &Fit) -> Picture {
    let values = found.task.iter().map(|(name, value)| format!("{name} {}", short_text(f64::from(*value))));
    let of_task = values.collect::<Vec<_>>().join(", ");
    let title = format!("{name}, {} {}, test task {task}: {of_task}", fit.method.word(), fit.iteration);
    let mut picture = Picture::new(&title, &found.axes[0], &found.axes[1]);
    let line = |name: &str, points: &[[f32; 2]]| {
        let side = |at: usize| points.iter().map(|point| f64::from(point[at])).collect();
        Series::line(name, side(0), side(1))
    };
    let predicted = fit.steps.iter().map(|step| line(&step_name(step.step), &step.predicted));
    picture.series = std::iter::once(line("ground truth", &fit.truth)).chain(predicted).collect();
    let points = fit.support.iter().map(|[x, y]| (f64::from(*x), f64::from(*y))).collect();
    picture.published.push(Published {
        name: format!("{} support points", fit.support.len()),
        series: String::new(),
        points,
    });
    picture
}

/// Losses of the task, a line for each number of steps: those in `eval.csv`.
fn said(fit: &Fit) -> Vec<String> {
    let line = |step: &FitStep| {
        format!("{}, {}: loss {}", fit.method.word(), step_name(step.step), f32_text(step.loss))
    };
    fit.steps.iter().map(line).collect()
}
