//! What a run of classification answers: the queries of one test task before and after gradient steps, and which classes
//! are taken for which over all test tasks. The same programs, tasks and parameters as in `eval.csv`.

use super::learner::Posed;
use super::sampler::Chosen;
use crate::error::{Error, Result};
use crate::run::experiment::Experiment;
use crate::run::learner::Split;
use crate::run::programs::best;
use crate::run::replay::{Choice, chosen};
use crate::run::saved::parameters;
use crate::spec::Method;
use std::collections::BTreeMap;
use std::path::Path;

/// The answers of one method.
#[derive(Clone, Debug)]
pub struct Answers {
    pub method: Method,
    pub iteration: u64,
    pub support: usize,
    /// Numbers of gradient steps that are shown, ascending.
    pub steps: Vec<usize>,
    /// The shape of an item.
    pub shape: Vec<usize>,
    /// The classes of the shown task, in the order of their labels.
    pub task: Vec<AnsweredClass>,
    /// Over all test tasks.
    pub confusion: Confusion,
}

/// One class of the shown task.
#[derive(Clone, Debug)]
pub struct AnsweredClass {
    pub name: String,
    /// Quarter turns of its images.
    pub quarters: u32,
    /// Items, each flat.
    pub support: Vec<Vec<f32>>,
    pub queries: Vec<AnsweredQuery>,
}

#[derive(Clone, Debug)]
pub struct AnsweredQuery {
    pub item: Vec<f32>,
    /// The label that it is given after each of the shown numbers of steps.
    pub given: Vec<usize>,
}

/// Answers counted by class of the split.
#[derive(Clone, Debug, Default)]
pub struct Confusion {
    pub tasks: usize,
    pub names: Vec<String>,
    /// By class: queries, and how many were answered rightly after each of the shown numbers of steps.
    pub classes: BTreeMap<usize, (usize, Vec<usize>)>,
    /// By true class and another class of the same task: queries, and how many were taken for it after the last step.
    pub pairs: BTreeMap<(usize, usize), (usize, usize)>,
}

/// A task's classes and, by query, the label given after each of the shown numbers of steps; queries class by class.
struct Given {
    classes: Vec<Chosen>,
    given: Vec<Vec<usize>>,
}

/// Evaluates saved parameters on all test tasks, and keeps the images of one.
///
/// # Errors
/// `Error::Input` for a choice that the run does not have.
pub fn answers(experiment: &Experiment, weights: &Path, choice: &Choice, threads: usize) -> Result<Answers> {
    let spec = &experiment.spec;
    let chosen = chosen(spec, weights, choice)?;
    if choice.task >= spec.eval.tasks {
        let (task, tasks) = (choice.task, spec.eval.tasks);
        return Err(Error::Input(format!("--task: {task} is not below the {tasks} test tasks (eval.tasks)")));
    }
    let learner = experiment.few_shot(threads)?;
    let theta = parameters(&chosen.weights, &learner, chosen.method, chosen.iteration)?;
    let last = learner.steps(chosen.method);
    let steps = choice.steps.clone().unwrap_or_else(|| if last == 0 { vec![0] } else { vec![0, last] });
    if let Some(step) = steps.iter().find(|step| **step > last) {
        return Err(Error::Input(format!(
            "--steps: {step}, but the run evaluates {last} gradient steps at most"
        )));
    }
    let ways = learner.ways();
    let label =
        |predicted: &[f32], query: usize| best(&predicted[query * ways..(query + 1) * ways]).unwrap_or(0);
    let given = |posed: &Posed, curve: &[Vec<f32>]| {
        let queries = posed.query.y.len() / ways;
        let of = |query| steps.iter().map(|step| label(&curve[*step], query)).collect();
        Given { classes: posed.episode.classes.clone(), given: (0..queries).map(of).collect() }
    };
    let all = learner.on_tasks(Split::Test, chosen.method, chosen.which, &theta, |_, posed, curve| {
        let predicted: Vec<Vec<f32>> = curve.iter().map(|(_, predicted)| predicted.clone()).collect();
        given(posed, &predicted)
    })?;
    let posed = learner.pose(Split::Test, choice.task, chosen.which)?;
    let spaces = learner.spaces();
    let test = spaces.splits.iter().find(|split| split.name == Split::Test.name());
    let names: Vec<String> =
        test.into_iter().flat_map(|split| &split.classes).map(|class| class.name.clone()).collect();
    let task = shown(&posed, &all[choice.task], &names, ways);
    Ok(Answers {
        method: chosen.method,
        iteration: chosen.iteration,
        support: chosen.support,
        shape: spaces.item_shape,
        task,
        confusion: count(&all, names, steps.len()),
        steps,
    })
}

fn shown(posed: &Posed, given: &Given, names: &[String], ways: usize) -> Vec<AnsweredClass> {
    let items = |points: &[f32], each: usize| -> Vec<Vec<f32>> {
        let length = points.len() / (ways * each);
        points.chunks_exact(length).map(<[f32]>::to_vec).collect()
    };
    let [shots, queries] = [&posed.support, &posed.query].map(|points| points.y.len() / (ways * ways));
    let (support, query) = (items(&posed.support.x, shots), items(&posed.query.x, queries));
    let class = |(label, chosen): (usize, &Chosen)| AnsweredClass {
        name: names[chosen.class].clone(),
        quarters: chosen.quarters,
        support: support[label * shots..(label + 1) * shots].to_vec(),
        queries: (label * queries..(label + 1) * queries)
            .map(|at| AnsweredQuery { item: query[at].clone(), given: given.given[at].clone() })
            .collect(),
    };
    given.classes.iter().enumerate().map(class).collect()
}

fn count(all: &[Given], names: Vec<String>, steps: usize) -> Confusion {
    let mut confusion = Confusion { tasks: all.len(), names, ..Confusion::default() };
    for task in all {
        let queries = task.given.len() / task.classes.len();
        for (at, given) in task.given.iter().enumerate() {
            let label = at / queries;
            let truth = task.classes[label].class;
            let (asked, right) = confusion.classes.entry(truth).or_insert_with(|| (0, vec![0; steps]));
            *asked += 1;
            given.iter().zip(right).for_each(|(given, right)| *right += usize::from(*given == label));
            for (other, chosen) in task.classes.iter().enumerate().filter(|(other, _)| *other != label) {
                let (asked, taken) = confusion.pairs.entry((truth, chosen.class)).or_default();
                *asked += 1;
                *taken += usize::from(given.last() == Some(&other));
            }
        }
    }
    confusion
}

impl Confusion {
    /// Share of all queries answered rightly after each of the shown numbers of steps.
    pub fn accuracy(&self) -> Vec<f64> {
        let asked: usize = self.classes.values().map(|(asked, _)| asked).sum();
        let steps = self.classes.values().next().map_or(0, |(_, right)| right.len());
        let right = |step: usize| self.classes.values().map(|(_, right)| right[step]).sum::<usize>();
        (0..steps).map(|step| right(step) as f64 / asked as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_class_and_by_pair() {
        let chosen = |class| Chosen { class, quarters: 0 };
        // Two tasks of two classes with two queries each; labels after 0 steps and after the last.
        let first = Given {
            classes: vec![chosen(4), chosen(7)],
            given: vec![vec![1, 0], vec![1, 1], vec![0, 1], vec![1, 1]],
        };
        let second = Given {
            classes: vec![chosen(7), chosen(9)],
            given: vec![vec![0, 1], vec![0, 1], vec![0, 1], vec![0, 1]],
        };
        let confusion = count(&[first, second], vec![String::new(); 10], 2);
        assert_eq!(confusion.classes[&4], (2, vec![0, 1]));
        assert_eq!(confusion.classes[&7], (4, vec![3, 2]));
        assert_eq!(confusion.classes[&9], (2, vec![0, 2]));
        assert_eq!(confusion.pairs[&(4, 7)], (2, 1));
        assert_eq!(confusion.pairs[&(7, 9)], (2, 2));
        assert_eq!(confusion.pairs[&(7, 4)], (2, 0));
        assert_eq!(confusion.accuracy(), [3.0 / 8.0, 5.0 / 8.0]);
    }
}
