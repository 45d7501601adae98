//! `mamlx replay` of a run on a data set: a test task with its answers, and what is confused with what.

use super::replay::step_name;
use crate::data::sheet;
use crate::error::{Error, Result};
use crate::record::answers::{AnswerSheet, SheetClass, SheetQuery, SheetTable, page, svg};
use crate::record::disk;
use crate::run::experiment::Experiment;
use crate::run::few_shot::answers::{AnsweredClass, AnsweredQuery, Answers, answers};
use crate::run::replay::Choice;
use crate::spec::Word;
use std::path::{Path, PathBuf};

/// Rows of a table.
const MOST_ROWS: usize = 20;

/// Writes the pictures, and returns the lines that say what they show.
pub(super) fn write(
    experiment: &Experiment,
    run: &Path,
    choice: &Choice,
    out: &[PathBuf],
    threads: usize,
) -> Result<Vec<String>> {
    let ending = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "html" || ending == "svg");
    if let Some(path) = out.iter().find(|path| !ending(path)) {
        let path = path.display();
        return Err(Error::Input(format!(
            "--out: {path}: answers to images are shown in a .svg or .html file"
        )));
    }
    let found = answers(experiment, &run.join("weights.safetensors"), choice, threads)?;
    let picture = picture(&experiment.spec.name, choice.task, &found)?;
    let said = said(choice.task, &found);
    for path in out {
        let text = match path.extension().is_some_and(|ending| ending == "html") {
            true => page(&picture, &said, &[pairs(&found), classes(&found)]),
            false => svg(&picture),
        };
        disk::replace(path, text.as_bytes())?;
    }
    Ok(said)
}

fn picture(name: &str, task: usize, found: &Answers) -> Result<AnswerSheet> {
    let png = |item: &Vec<f32>| sheet::png(item, &found.shape);
    let class = |class: &AnsweredClass| -> Result<SheetClass> {
        let turned = match class.quarters {
            0 => String::new(),
            quarters => format!(", {}°", 90 * quarters),
        };
        let query = |query: &AnsweredQuery| -> Result<SheetQuery> {
            Ok(SheetQuery { png: png(&query.item)?, answers: query.given.clone() })
        };
        Ok(SheetClass {
            name: format!("{}{turned}", class.name),
            support: class.support.iter().map(png).collect::<Result<_>>()?,
            queries: class.queries.iter().map(query).collect::<Result<_>>()?,
        })
    };
    let (method, iteration, support) = (found.method.word(), found.iteration, found.support);
    Ok(AnswerSheet {
        title: format!("{name}, {method} {iteration}, test task {task}, support {support}"),
        after: found.steps.iter().copied().map(step_name).collect(),
        classes: found.task.iter().map(class).collect::<Result<_>>()?,
    })
}

/// Accuracies of the task and of all tasks, a line for each number of steps.
fn said(task: usize, found: &Answers) -> Vec<String> {
    let queries = || {
        let labelled = found.task.iter().enumerate();
        labelled.flat_map(|(label, class)| class.queries.iter().map(move |query| (label, query)))
    };
    let line = |(at, (step, all)): (usize, (&usize, f64))| {
        let right = queries().filter(|(label, query)| query.given[at] == *label).count();
        let (step, asked, tasks) = (step_name(*step), queries().count(), found.confusion.tasks);
        format!(
            "{step}: {right} of {asked} queries of task {task} right; {:.2} % over {tasks} test tasks",
            100.0 * all
        )
    };
    found.steps.iter().zip(found.confusion.accuracy()).enumerate().map(line).collect()
}

fn pairs(found: &Answers) -> SheetTable {
    let mut pairs: Vec<_> = found.confusion.pairs.iter().filter(|(_, (_, taken))| *taken > 0).collect();
    pairs.sort_by_key(|(_, (_, taken))| std::cmp::Reverse(*taken));
    let name = |class: usize| found.confusion.names[class].clone();
    let row = |((truth, other), (asked, taken)): (&(usize, usize), &(usize, usize))| {
        vec![name(*truth), name(*other), taken.to_string(), asked.to_string()]
    };
    let after = found.steps.last().copied().map_or(String::new(), step_name);
    SheetTable {
        heading: format!("Most often taken for another ({after})"),
        header: ["class", "taken for", "times", "of queries where it was a choice"]
            .map(String::from)
            .to_vec(),
        rows: pairs.into_iter().take(MOST_ROWS).map(|(pair, counts)| row((pair, counts))).collect(),
    }
}

fn classes(found: &Answers) -> SheetTable {
    let share = |right: usize, asked: usize| 100.0 * right as f64 / asked as f64;
    let mut classes: Vec<_> = found.confusion.classes.iter().collect();
    let last = |(asked, right): &(usize, Vec<usize>)| share(right.last().copied().unwrap_or(0), *asked);
    classes.sort_by(|a, b| last(a.1).total_cmp(&last(b.1)).then(a.0.cmp(b.0)));
    let row = |(class, (asked, right)): (&usize, &(usize, Vec<usize>))| {
        let shares = right.iter().map(|right| format!("{:.1} %", share(*right, *asked)));
        [found.confusion.names[*class].clone(), asked.to_string()].into_iter().chain(shares).collect()
    };
    let names = ["class".to_string(), "queries".to_string()];
    SheetTable {
        heading: "Hardest classes: share of queries answered rightly".into(),
        header: names.into_iter().chain(found.steps.iter().copied().map(step_name)).collect(),
        rows: classes.into_iter().take(MOST_ROWS).map(row).collect(),
    }
}
