//! Two runs, evaluated on the same tasks → paired differences.

use super::row::{EvalRow, Metric};
use super::stats::{Estimate, paired};
use std::collections::BTreeMap;

/// `a − b` over the tasks that both have.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub split: String,
    pub support: u32,
    pub inner_step: u32,
    pub metric: Metric,
    pub a: f64,
    pub b: f64,
    pub difference: Estimate,
}

/// Where two evaluations cannot be compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Unpaired {
    /// One of the two has no row of the method.
    NoMethod { first: bool, has: Vec<String> },
    /// A task of this number has other parameters in the other run.
    OtherTask(u32),
    /// There is no support size and number of steps that both have.
    NothingShared,
}

/// The last evaluations of `method_a` in `a` and of `method_b` in `b`, task by task.
pub fn compare(
    (a, method_a): (&[EvalRow], &str),
    (b, method_b): (&[EvalRow], &str),
) -> Result<Vec<Difference>, Unpaired> {
    let a = last(a, method_a).ok_or_else(|| Unpaired::NoMethod { first: true, has: methods(a) })?;
    let b = last(b, method_b).ok_or_else(|| Unpaired::NoMethod { first: false, has: methods(b) })?;
    let mut differences = vec![];
    for (place, rows) in &a {
        let Some(others) = b.get(place) else { continue };
        let mut pairs: BTreeMap<Metric, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for (task, ours) in rows {
            let Some(theirs) = others.get(task) else { continue };
            if ours.task_params != theirs.task_params {
                return Err(Unpaired::OtherTask(*task));
            }
            for metric in Metric::ALL {
                if let Some((x, y)) = ours.metric(metric).zip(theirs.metric(metric)) {
                    let (xs, ys) = pairs.entry(metric).or_default();
                    xs.push(f64::from(x));
                    ys.push(f64::from(y));
                }
            }
        }
        for (metric, (xs, ys)) in pairs {
            let mean = |values: &[f64]| super::stats::mean(values).unwrap_or(f64::NAN);
            let (split, support, inner_step) = place.clone();
            let (a, b) = (mean(&xs), mean(&ys));
            let difference = paired(&xs, &ys);
            differences.extend(difference.map(|difference| Difference {
                split,
                support,
                inner_step,
                metric,
                a,
                b,
                difference,
            }));
        }
    }
    if differences.is_empty() { Err(Unpaired::NothingShared) } else { Ok(differences) }
}

type Place = (String, u32, u32);

/// Rows of a method's last evaluation by split, support and inner step, then by task.
fn last<'a>(rows: &'a [EvalRow], method: &str) -> Option<BTreeMap<Place, BTreeMap<u32, &'a EvalRow>>> {
    let mine = || rows.iter().filter(|row| row.method == method);
    let iteration = mine().map(|row| row.iteration).max()?;
    let mut places: BTreeMap<Place, BTreeMap<u32, &EvalRow>> = BTreeMap::new();
    for row in mine().filter(|row| row.iteration == iteration) {
        let place = (row.split.clone(), row.support, row.inner_step);
        places.entry(place).or_default().insert(row.task, row);
    }
    Some(places)
}

/// Methods of an evaluation in the order of the file.
pub fn methods(rows: &[EvalRow]) -> Vec<String> {
    let mut methods: Vec<String> = vec![];
    for row in rows {
        if !methods.contains(&row.method) {
            methods.push(row.method.clone());
        }
    }
    methods
}
