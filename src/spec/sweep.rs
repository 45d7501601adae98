//! `sweep:` → many specs: every combination of the grid's values, with every seed.
//!
//! A combination is put into the tree exactly as overrides are, and its values keep their places in the file, so a
//! wrong value is shown where it stands in the grid.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::draft::Draft;
use super::params::{ParamTable, PluginKind};
use super::report::join;
use super::schema::Spec;
use super::set::{self, Step};
use super::source::{Place, quote};
use super::tree::{Entry, Kind, Node};
use std::collections::BTreeMap;
use std::sync::Arc;

/// More runs than this are a slip of the keyboard.
pub const MAX_RUNS: usize = 10_000;
/// With this many problems at hand, further runs are not looked at.
const ENOUGH_PROBLEMS: usize = 200;
/// Keys that a grid cannot change, and what to do instead.
const FIXED: [(&str, &str); 4] = [
    ("name", "the runs of one sweep share a name; write another file for another experiment"),
    ("seed", "write `seeds: [0, 1, 2]` beside `grid`"),
    ("task.plugin", "the runs of one sweep share a plugin; write another file for another one"),
    ("sweep", "a sweep has no sweeps inside"),
];

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepRun {
    /// What the grid sets, in its order: key path and value as the file has it. The seed is in the spec.
    pub settings: Vec<(String, String)>,
    pub spec: Spec,
}

/// A key path of the grid with the values it takes.
struct Axis<'a> {
    path: String,
    key_at: Place,
    values: Vec<&'a Arc<Node>>,
}

/// The `sweep` entry of a tree, unless it is null.
pub(super) fn entry(root: &Node) -> Option<&Entry> {
    root.get("sweep").filter(|entry| !entry.value.is_null())
}

/// How many runs a sweep has, as far as that can be told.
pub(super) fn count(root: &Node) -> usize {
    let axes = axes(root, &mut vec![]);
    let combinations = axes.iter().map(|axis| axis.values.len().max(1));
    combinations.chain([seeds(root).len().max(1)]).fold(1, usize::saturating_mul)
}

impl Draft {
    /// Every run of the file: those of its sweep, or the one that it describes.
    ///
    /// `Err` has every problem of every run, each once, in the order of the text.
    pub fn expand(&self, table: &ParamTable, kind: PluginKind) -> Result<Vec<SweepRun>, Diagnostics> {
        let root = self.root();
        let Some(sweep) = entry(root) else {
            return Ok(vec![SweepRun { settings: vec![], spec: self.resolve(table, kind)? }]);
        };
        let mut problems = vec![];
        let axes = axes(root, &mut problems);
        let total = count(root);
        if total > MAX_RUNS {
            let message = format!("`sweep` has {total} runs; the limit is {MAX_RUNS}");
            problems.push(problem(sweep.key_at, "sweep", message, "make the grid smaller, or several files"));
        }
        if !problems.is_empty() {
            // One walk over the file as it is, so that its other problems are told as well.
            problems.extend(self.walked_over(root, Some((table, kind))).1);
            return Err(self.refused(problems));
        }
        let mut base = root.clone();
        if let Kind::Map(entries) = &mut base.kind {
            // The block itself stays to be checked; what it says about runs is done here.
            entries.retain(|entry| entry.key != "sweep");
        }
        let mut runs: Vec<SweepRun> = vec![];
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for number in 0..total {
            if problems.len() > ENOUGH_PROBLEMS {
                break;
            }
            let mut root = base.clone();
            let settings = match combine(&mut root, &axes, &seeds(self.root()), number) {
                Ok(settings) => settings,
                Err(found) => {
                    problems.push(found);
                    continue;
                }
            };
            let (spec, mut found) = self.walked_over(&root, Some((table, kind)));
            // A wrong seed of the list is reported once, as an entry of the list.
            found.retain(|found| found.path != "seed" || seeds(self.root()).is_empty());
            if found.is_empty() {
                if let Some(first) = names.insert(spec.hash(), number) {
                    let message =
                        format!("runs {} and {} of the sweep are the same experiment", first + 1, number + 1);
                    problems.push(problem(sweep.key_at, "sweep", message, "remove one of their values"));
                }
                runs.push(SweepRun { settings, spec });
            }
            problems.extend(found);
        }
        // The block's own keys and types.
        problems.extend(
            self.walked_over(root, Some((table, kind)))
                .1
                .into_iter()
                .filter(|found| found.path.starts_with("sweep")),
        );
        problems.extend(self.early().iter().cloned());
        if problems.is_empty() { Ok(runs) } else { Err(self.refused(problems)) }
    }
}

fn problem(place: Place, path: &str, message: String, help: &str) -> Diagnostic {
    Diagnostic { place, path: path.to_string(), message, help: Some(help.to_string()) }
}

/// The axes of the grid in the order of the file, and what is wrong with them.
fn axes<'a>(root: &'a Node, problems: &mut Vec<Diagnostic>) -> Vec<Axis<'a>> {
    let grid = entry(root).and_then(|sweep| sweep.value.get("grid"));
    let Some(Kind::Map(entries)) = grid.map(|grid| &grid.value.kind) else { return vec![] };
    let mut axes: Vec<Axis> = vec![];
    for entry in entries {
        let path = entry.key.clone();
        let mut fail = |place: Place, message: String, help: &str| {
            problems.push(problem(place, &join("sweep.grid", &path), message, help));
        };
        let fixed = FIXED.iter().find(|(key, _)| path == *key || path.starts_with(&format!("{key}.")));
        if let Some((key, help)) = fixed {
            fail(entry.key_at, format!("a grid cannot change `{key}`"), help);
        }
        let inside = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('.'));
        if let Some(other) = axes.iter().find(|o| inside(&o.path, &path) || inside(&path, &o.path)) {
            let message =
                format!("the grid changes {} and {}, one inside the other", quote(&other.path), quote(&path));
            fail(entry.key_at, message, "name the inner keys only");
        }
        if value_at(root, &path).is_some_and(|node| node.at.source > 0) {
            let message = format!("{} is set by --set and changed by the grid", quote(&path));
            fail(entry.key_at, message, "leave out one of the two");
        }
        let values: Vec<&Arc<Node>> = match &entry.value.kind {
            Kind::List(items) => items.iter().collect(),
            Kind::Scalar { .. } if !entry.value.is_null() => vec![&entry.value],
            _ => vec![],
        };
        if values.is_empty() {
            let message = format!("{} must be a list of values", quote(&join("sweep.grid", &path)));
            let help = match &entry.value.kind {
                Kind::Map(below) if !below.is_empty() => {
                    format!("write the whole path: `{}.{}: [A, B]`", path, below[0].key)
                }
                _ => format!("write `{path}: [A, B]`"),
            };
            fail(entry.value.at, message, &help);
        }
        axes.push(Axis { path, key_at: entry.key_at, values });
    }
    axes
}

fn seeds(root: &Node) -> Vec<&Arc<Node>> {
    match entry(root).and_then(|sweep| sweep.value.get("seeds")).map(|seeds| &seeds.value) {
        Some(node) => match &node.kind {
            Kind::List(items) => items.iter().collect(),
            Kind::Scalar { .. } if !node.is_null() => vec![node],
            _ => vec![],
        },
        None => vec![],
    }
}

fn value_at<'a>(root: &'a Node, path: &str) -> Option<&'a Node> {
    path.split('.').try_fold(root, |node, key| node.get(key).map(|entry| &*entry.value))
}

/// Puts the combination with this number into the tree: the seeds change fastest, then the last axis.
fn combine(
    root: &mut Node,
    axes: &[Axis<'_>],
    seeds: &[&Arc<Node>],
    mut number: usize,
) -> Result<Vec<(String, String)>, Diagnostic> {
    let mut settings = vec![];
    if !seeds.is_empty() {
        let seed = seeds[number % seeds.len()];
        number /= seeds.len();
        put(root, "seed", seed.at, seed)?;
    }
    for axis in axes.iter().rev() {
        let value = axis.values[number % axis.values.len()];
        number /= axis.values.len();
        put(root, &axis.path, axis.key_at, value)?;
        settings.push((axis.path.clone(), flow(value)));
    }
    settings.reverse();
    Ok(settings)
}

fn put(root: &mut Node, path: &str, at: Place, value: &Node) -> Result<(), Diagnostic> {
    let mut column = at.column;
    let mut steps = vec![];
    for key in path.split('.') {
        let width = (key.chars().count() as u32).max(1);
        steps.push(Step { key, at: Place { column, width, ..at } });
        column += width + 1;
    }
    set::put(root, &steps, value.clone()).map_err(|(place, message)| {
        problem(place, &join("sweep.grid", path), message, "name a key of the spec, as in `--set`")
    })
}

/// A value on one line, as a person would write it after `--set path=`.
fn flow(node: &Node) -> String {
    let join = |parts: Vec<String>| parts.join(", ");
    match &node.kind {
        Kind::Scalar { text, .. } => text.clone(),
        Kind::List(items) => format!("[{}]", join(items.iter().map(|item| flow(item)).collect())),
        Kind::Map(entries) => {
            let pair = |entry: &Entry| format!("{}: {}", entry.key, flow(&entry.value));
            format!("{{{}}}", join(entries.iter().map(pair).collect()))
        }
    }
}
