//! One evaluated task played again, and watched: the same programs, seeds and adaptation, so what is seen is what
//! `eval.csv` says.

use super::experiment::Experiment;
use super::film::Film;
use super::learner::{Learner, Split};
use super::rl::environment::Environments;
use super::rl::task::{Bench, Spent};
use super::saved::{iterations, parameters};
use super::selection;
use crate::error::{Error, Result};
use crate::plugin::View;
use crate::record::folder::EVAL_FILE;
use crate::record::read::read_eval;
use crate::record::weights::Weights;
use crate::spec::{Method, PluginKind, Select, Spec, Word};
use std::path::Path;

/// What to play.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Number of the test task.
    pub task: usize,
    /// The spec's first adapted method, if none is named.
    pub method: Option<Method>,
    /// If none is named, the one that was selected, or else the last evaluated one.
    pub iteration: Option<u64>,
    /// One of the spec's support sizes; its first, if none is named.
    pub support: Option<usize>,
    /// Numbers of gradient steps that are shown; as many as the spec evaluates, if none are named.
    pub steps: Option<Vec<usize>>,
    /// Number of the episode that is shown.
    pub episode: usize,
}

/// An adaptation, watched.
#[derive(Clone, Debug)]
pub struct Replay {
    pub method: Method,
    pub iteration: u64,
    pub support: usize,
    pub episode: usize,
    /// Names and values of the task's parameters.
    pub task: Vec<(String, f32)>,
    pub view: View,
    pub shown: Vec<Shown>,
}

/// A policy after some gradient steps.
#[derive(Clone, Debug)]
pub struct Shown {
    pub step: usize,
    /// Mean over all episodes: the number in `eval.csv`.
    pub mean_return: f32,
    pub film: Film,
}

/// Most gradient steps that a replay takes.
pub const MOST_STEPS: usize = 100;
/// Most trails that are kept of a batch: more would hide each other.
const TRAILS: usize = 20;

/// Plays one test task with saved weights.
///
/// Errors: [`Error::Input`] for a choice that the run does not have, or a plugin that cannot be drawn.
pub fn replay(experiment: &Experiment, weights: &Path, choice: &Choice) -> Result<Replay> {
    let (spec, plugin) = (&experiment.spec, &experiment.plugin);
    let input = |text: String| Err(Error::Input(text));
    if plugin.info.kind != PluginKind::Environment {
        return input(format!("`{}` is no environment: there are no episodes to watch", plugin.info.id));
    }
    let Chosen { method, which, support, iteration, weights } = chosen(spec, weights, choice)?;
    if choice.episode >= support {
        return input(format!(
            "--episode: {} is not below the {support} episodes of an update",
            choice.episode
        ));
    }
    let learner = experiment.reinforcement(1)?;
    let Some(task) = learner.test_tasks().get(choice.task) else {
        let count = learner.test_tasks().len();
        return input(format!("--task: {} is not below the {count} test tasks (eval.tasks)", choice.task));
    };
    let evaluation = learner.evaluation(Split::Test, method, which);
    let wanted = choice.steps.clone().unwrap_or_else(|| (0..=evaluation.steps(spec.eval.steps)).collect());
    let most = wanted.iter().copied().max().unwrap_or(0);
    if most > MOST_STEPS || most > evaluation.steps(most) {
        let limit = evaluation.steps(MOST_STEPS);
        return input(format!("--steps: `{}` is adapted by at most {limit} steps here", method.word()));
    }
    // What is drawn has to be here.
    let mut instance = plugin.clone().isolated(None).env(&spec.task.params, support as u32)?;
    let Some(view) = instance.view()? else {
        return input(format!("plugin `{}` cannot be drawn: it has no mamlx.render/1", plugin.info.id));
    };
    let theta = parameters(&weights, &learner, method, iteration)?;
    let film = || Some(Film::of(choice.episode as u32, support.min(TRAILS) as u32));
    let mut bench = Bench { env: Environments::new(instance), spent: Spent::default() };
    bench.env.film = film();
    let mut shown = vec![];
    evaluation.adapt(0, &mut bench, (choice.task, task), &theta, most, |step, mean_return, bench| {
        if let Some(film) = std::mem::replace(&mut bench.env.film, film())
            && wanted.contains(&step)
        {
            shown.push(Shown { step, mean_return: mean_return as f32, film });
        }
        Ok(())
    })?;
    let task = learner.task_names().into_iter().zip(task.iter().copied()).collect();
    Ok(Replay { method, iteration, support, episode: choice.episode, task, view, shown })
}

/// Which saved parameters a choice means.
pub(super) struct Chosen {
    pub method: Method,
    /// Which of the spec's support sizes.
    pub which: usize,
    pub support: usize,
    pub iteration: u64,
    pub weights: Weights,
}

/// Looks a choice up in a run.
///
/// Errors: [`Error::Input`] for what the run does not have.
pub(super) fn chosen(spec: &Spec, weights: &Path, choice: &Choice) -> Result<Chosen> {
    let input = |text: String| Err(Error::Input(text));
    let adapted = |method: &&Method| method.adapts();
    let first = spec.methods.iter().find(adapted).or(spec.methods.first()).copied();
    let method = choice.method.or(first).unwrap_or(Method::Maml);
    if !spec.methods.contains(&method) {
        let known: Vec<&str> = spec.methods.iter().map(|method| method.word()).collect();
        return input(format!("--method: the run has no `{}`; it has {}", method.word(), known.join(", ")));
    }
    let supports = &spec.eval.support;
    let support = choice.support.unwrap_or(supports[0]);
    let Some(which) = supports.iter().position(|known| *known == support) else {
        return input(format!("--support: the run is evaluated with {supports:?}, not with {support}"));
    };
    let selected = selected(spec, weights, method)?;
    let weights = Weights::read(weights)?;
    let known = iterations(&weights, method);
    let iteration = choice.iteration.or(selected).or(known.last().copied());
    let Some(iteration) = iteration.filter(|iteration| known.contains(iteration)) else {
        let wanted = choice.iteration.map_or("any".to_owned(), |wanted| wanted.to_string());
        return input(format!(
            "--iteration: the weights file does not have {wanted} of `{}`; it has {known:?}",
            method.word()
        ));
    };
    Ok(Chosen { method, which, support, iteration, weights })
}

/// The meta-iteration whose parameters the test rows of a run are of, where the spec selects them on validation tasks.
/// The run's `eval.csv` lies beside its weights.
fn selected(spec: &Spec, weights: &Path, method: Method) -> Result<Option<u64>> {
    if spec.eval.select == Select::Last {
        return Ok(None);
    }
    let rows = read_eval(&weights.with_file_name(EVAL_FILE))?.rows;
    Ok(selection::best(&rows, method))
}
