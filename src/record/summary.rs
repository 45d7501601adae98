//! Rows of `eval.csv` → rows of `summary.csv`: means over tasks, and paired differences between methods.

use super::row::{EvalRow, Metric, SummaryRow};
use super::stats::{Estimate, paired};
use std::collections::BTreeMap;

/// Which evaluation of the other method a paired difference uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// The one after the same number of meta-iterations.
    SameIteration,
    /// Its last one: for a method that is never trained, or trained to the end before this one began.
    LastEvaluation,
}

/// A row `method` minus `versus` is wanted wherever both were evaluated on the same tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    pub method: String,
    pub versus: String,
    pub against: Against,
}

/// What a row of `summary.csv` is about; the published number is looked up by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SummaryKey<'a> {
    pub iteration: u64,
    pub method: &'a str,
    pub split: &'a str,
    pub support: u32,
    pub inner_step: u32,
    pub metric: Metric,
}

/// Position of a group of rows in the file. Methods, splits and norms rank by first appearance in `eval.csv`, so
/// the order is the order of the work, the same in every run of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    iteration: u64,
    method: usize,
    split: usize,
    norm: usize,
    support: u32,
    inner_step: u32,
}

/// Means with intervals for every (iteration, method, split, support, inner step, metric) that has values, each
/// followed by its paired differences in the order of `comparisons`.
///
/// Rows with different `norm` are never averaged together. A difference takes the tasks that both methods have.
/// `published` is asked for the rows that are not differences.
pub fn summarise(
    rows: &[EvalRow],
    comparisons: &[Comparison],
    published: impl Fn(SummaryKey) -> Option<f64>,
) -> Vec<SummaryRow> {
    let (mut methods, mut splits, mut norms) = (Vec::new(), Vec::new(), Vec::new());
    let mut groups: BTreeMap<Place, Vec<&EvalRow>> = BTreeMap::new();
    for row in rows {
        let place = Place {
            iteration: row.iteration,
            method: rank(&mut methods, row.method.as_str()),
            split: rank(&mut splits, row.split.as_str()),
            norm: rank(&mut norms, row.norm.as_deref()),
            support: row.support,
            inner_step: row.inner_step,
        };
        groups.entry(place).or_default().push(row);
    }
    let mut summary = Vec::new();
    for (&place, group) in &groups {
        let (method, split) = (methods[place.method], splits[place.split]);
        for metric in Metric::ALL {
            let values: Vec<f64> = group.iter().filter_map(|row| row.metric(metric)).map(f64::from).collect();
            let Some(estimate) = Estimate::of(&values) else { continue };
            let key = SummaryKey {
                iteration: place.iteration,
                method,
                split,
                support: place.support,
                inner_step: place.inner_step,
                metric,
            };
            let number = published(key);
            summary.push(row_of(key, estimate, None, number));
            for comparison in comparisons.iter().filter(|comparison| comparison.method == method) {
                let other = other_group(&groups, &methods, place, comparison);
                let difference = other.and_then(|other| difference(group, other, metric));
                summary
                    .extend(difference.map(|estimate| row_of(key, estimate, Some(&comparison.versus), None)));
            }
        }
    }
    summary
}

/// The rows that a comparison sets against those at `place`.
fn other_group<'a, 'b>(
    groups: &'b BTreeMap<Place, Vec<&'a EvalRow>>,
    methods: &[&str],
    place: Place,
    comparison: &Comparison,
) -> Option<&'b [&'a EvalRow]> {
    let method = methods.iter().position(|name| *name == comparison.versus)?;
    let wanted = Place { method, ..place };
    match comparison.against {
        Against::SameIteration => groups.get(&wanted).map(Vec::as_slice),
        Against::LastEvaluation => {
            let same = |other: &Place| Place { iteration: place.iteration, ..*other } == wanted;
            groups.iter().rev().find(|(other, _)| same(other)).map(|(_, rows)| rows.as_slice())
        }
    }
}

fn difference(group: &[&EvalRow], other: &[&EvalRow], metric: Metric) -> Option<Estimate> {
    let other: BTreeMap<u32, f32> =
        other.iter().filter_map(|row| Some((row.task, row.metric(metric)?))).collect();
    let pairs = group.iter().filter_map(|row| {
        let (ours, theirs) = (row.metric(metric)?, *other.get(&row.task)?);
        Some((f64::from(ours), f64::from(theirs)))
    });
    let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.unzip();
    paired(&ours, &theirs)
}

fn row_of(key: SummaryKey, estimate: Estimate, versus: Option<&str>, published: Option<f64>) -> SummaryRow {
    SummaryRow {
        iteration: key.iteration,
        method: key.method.to_string(),
        split: key.split.to_string(),
        support: key.support,
        inner_step: key.inner_step,
        metric: key.metric,
        mean: estimate.mean as f32,
        ci95_low: estimate.low().map(|value| value as f32),
        ci95_high: estimate.high().map(|value| value as f32),
        tasks: estimate.tasks as u32,
        versus: versus.map(str::to_string),
        published: published.map(|value| value as f32),
    }
}

/// Index of a value among those seen so far, in order of first appearance.
fn rank<T: PartialEq>(seen: &mut Vec<T>, value: T) -> usize {
    seen.iter().position(|known| *known == value).unwrap_or_else(|| {
        seen.push(value);
        seen.len() - 1
    })
}
