//! `mamlx replay`

use super::{Changes, Threads, answers, fits, out};
use crate::error::{Error, Result};
use crate::plugin::{Role, Shape, Side};
use crate::record::disk;
use crate::record::number::short_text;
use crate::record::raster::png;
use crate::record::scene::{Mark, Paint, Pane, Scene, Viewpoint};
use crate::run::experiment::Experiment;
use crate::run::replay::{self, Choice, MOST_STEPS, Shown};
use crate::spec::{Method, PluginKind, Word};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct Replay {
    /// A run's folder.
    run: PathBuf,
    /// Number of the test task, as in eval.csv.
    #[arg(long, value_name = "K")]
    task: usize,
    /// Method [default: the run's first adapted one].
    #[arg(long, value_parser = method)]
    method: Option<Method>,
    /// Meta-iteration [default: the one that was selected, or the last].
    #[arg(long, value_name = "N")]
    iteration: Option<u64>,
    /// Episodes of an update, or examples of a class: one of the run's eval.support [default: the first].
    #[arg(long, value_name = "N")]
    support: Option<usize>,
    /// Numbers of gradient steps to show: `0..3` or `0,1,3` [default: all that the run evaluates;
    /// of a data set none and all].
    #[arg(long, value_parser = steps)]
    steps: Option<Steps>,
    /// Which of an update's episodes to show.
    #[arg(long, value_name = "E", default_value_t = 0)]
    episode: usize,
    /// A .gif, .html, .svg or .png file; repeatable. Of a data set: the task with its answers as .svg, and with tables of
    /// what is taken for what over all test tasks as .html. Of functions of one number: the function and its fits as .svg
    /// or .png.
    #[arg(short, long, value_name = "FILE", required = true)]
    out: Vec<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    threads: Threads,
}

/// Numbers of gradient steps, ascending.
#[derive(Clone, Debug, PartialEq)]
struct Steps(Vec<usize>);

impl Replay {
    pub fn call(&self) -> Result<()> {
        let kinds = self.out.iter().map(|path| Kind::of(path)).collect::<Result<Vec<Kind>>>()?;
        let spec = self.run.join("spec.yaml");
        let experiment = Experiment::open(&spec, &self.changes.overrides(), &self.changes.search.search())?;
        let choice = Choice {
            task: self.task,
            method: self.method,
            iteration: self.iteration,
            support: self.support,
            steps: self.steps.clone().map(|steps| steps.0),
            episode: self.episode,
        };
        if experiment.plugin.info.kind == PluginKind::Data {
            let said = answers::write(&experiment, &self.run, &choice, &self.out, self.threads.count())?;
            return out::print(&said.iter().map(|line| format!("{line}\n")).collect::<String>());
        }
        if experiment.plugin.info.kind == PluginKind::Tasks {
            let said = fits::write(&experiment, &self.run, &choice, &self.out)?;
            return out::print(&said.iter().map(|line| format!("{line}\n")).collect::<String>());
        }
        let replay = replay::replay(&experiment, &self.run.join("weights.safetensors"), &choice)?;
        let scene = scene(&experiment.spec.name, &choice, &replay);
        for (path, kind) in self.out.iter().zip(kinds) {
            let bytes = match kind {
                Kind::Gif => scene.gif()?,
                Kind::Page => scene.page().into_bytes(),
                Kind::Trails => scene.trails_svg().into_bytes(),
                Kind::TrailPixels => png(&scene.trails_svg())?,
            };
            disk::replace(path, &bytes)?;
        }
        out::print(&replay.shown.iter().map(|shown| format!("{}\n", caption(shown))).collect::<String>())
    }
}

/// What a file is, by its ending.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Gif,
    Page,
    Trails,
    TrailPixels,
}

impl Kind {
    fn of(path: &Path) -> Result<Kind> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("gif") => Ok(Kind::Gif),
            Some("html") => Ok(Kind::Page),
            Some("svg") => Ok(Kind::Trails),
            Some("png") => Ok(Kind::TrailPixels),
            _ => Err(Error::Input(format!(
                "--out: {}: expected a name in .gif, .html, .svg or .png",
                path.display()
            ))),
        }
    }
}

fn scene(name: &str, choice: &Choice, replay: &replay::Replay) -> Scene {
    let values = replay.task.iter().map(|(name, value)| format!("{name} {}", short_text(f64::from(*value))));
    let task = values.collect::<Vec<_>>().join(", ");
    let (method, iteration) = (replay.method.word(), replay.iteration);
    let pane = |shown: &Shown| Pane {
        title: step_name(shown.step),
        caption: format!(
            "return {}; this episode {}",
            short_text(f64::from(shown.mean_return)),
            short_text(shown.film.episode_return)
        ),
        frames: shown.film.frames.iter().map(|frame| frame.iter().map(mark).collect()).collect(),
        trails: shown.film.trails.clone(),
        watched: replay.episode,
    };
    Scene {
        title: format!("{name}, {method} {iteration}, task {}: {task}", choice.task),
        viewpoint: match replay.view.side {
            Side::Side => Viewpoint::Side,
            Side::Top => Viewpoint::Top,
        },
        frame_secs: f64::from(replay.view.step_secs),
        panes: replay.shown.iter().map(pane).collect(),
    }
}

fn mark(shape: &Shape) -> Mark {
    let paint = match shape.role {
        Role::Body => Paint::Body,
        Role::Limb => Paint::Limb,
        Role::Goal => Paint::Goal,
        Role::Ground => Paint::Ground,
    };
    Mark { from: shape.from, to: shape.to, radius: shape.radius, paint }
}

pub(super) fn step_name(step: usize) -> String {
    match step {
        0 => "before".to_owned(),
        1 => "1 step".to_owned(),
        more => format!("{more} steps"),
    }
}

fn caption(shown: &Shown) -> String {
    format!("{}: mean return {}", step_name(shown.step), shown.mean_return)
}

fn method(word: &str) -> std::result::Result<Method, String> {
    let words: Vec<&str> = Method::TABLE.iter().map(|row| row.0).collect();
    Method::from_word(word).ok_or_else(|| format!("expected one of {}", words.join(", ")))
}

fn steps(text: &str) -> std::result::Result<Steps, String> {
    let number = |text: &str| {
        let number = text.trim().parse::<usize>().ok().filter(|number| *number <= MOST_STEPS);
        number.ok_or_else(|| format!("`{text}` is not a number from 0 to {MOST_STEPS}"))
    };
    let mut steps = match text.split_once("..") {
        Some((first, last)) => (number(first)?..=number(last)?).collect(),
        None => text.split(',').map(number).collect::<std::result::Result<Vec<usize>, String>>()?,
    };
    steps.sort_unstable();
    steps.dedup();
    if steps.is_empty() { Err("expected at least one number".to_owned()) } else { Ok(Steps(steps)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_a_range_or_a_list() {
        assert_eq!(steps("0..3"), Ok(Steps(vec![0, 1, 2, 3])));
        assert_eq!(steps("3,0, 1,1"), Ok(Steps(vec![0, 1, 3])));
        for bad in ["", "x", "2..1", "0..", "-1", "101", "1,,2"] {
            assert!(steps(bad).is_err(), "{bad}");
        }
    }
}
