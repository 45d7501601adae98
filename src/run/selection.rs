//! Which evaluations are made, of which parameters: the same for a run and for its saved weights.
//!
//! With `eval.select: last` every evaluation is made on the test tasks, and on validation tasks where there are some.
//! With `best` every evaluation is made on the validation tasks alone; when a method is trained, the parameters that
//! were best there are judged on the test tasks, once. Everything that this needs is in `eval.csv` and in the weights of
//! the evaluations, of which a checkpoint promises both, so a run that was killed selects the same.

use super::learner::{Learner, Split};
use crate::error::{Error, Result};
use crate::record::row::{EvalRow, Metric};
use crate::spec::{Method, Select, Spec, Word};
use std::collections::BTreeMap;

/// The rows of an evaluation after `iteration` meta-iterations.
pub fn evaluate(
    spec: &Spec,
    learner: &mut dyn Learner,
    method: Method,
    iteration: u64,
    theta: &[f32],
) -> Result<Vec<EvalRow>> {
    let mut rows = vec![];
    if spec.eval.select == Select::Last {
        rows.extend(learner.evaluate(Split::Test, method, iteration, theta)?);
    }
    if learner.validates() {
        rows.extend(learner.evaluate(Split::Val, method, iteration, theta)?);
    }
    Ok(rows)
}

/// The rows that follow when a method is trained: with `best` those of its best parameters on the test tasks, else none.
/// Their `iteration` is that of the last evaluation, because the whole training is behind the choice; so runs with
/// different choices stand beside each other.
pub fn conclude(
    spec: &Spec,
    learner: &mut dyn Learner,
    method: Method,
    rows: &[EvalRow],
    parameters: impl FnOnce(&dyn Learner, u64) -> Result<Vec<f32>>,
) -> Result<Vec<EvalRow>> {
    if spec.eval.select == Select::Last {
        return Ok(vec![]);
    }
    let last = rows.iter().filter(|row| row.method == method.word()).map(|row| row.iteration).max();
    let (Some(best), Some(last)) = (best(rows, method), last) else {
        let method = method.word();
        return Err(Error::Run(format!("eval.select is best, but there are no validation rows of {method}")));
    };
    let theta = parameters(learner, best)?;
    learner.evaluate(Split::Test, method, last, &theta)
}

/// By method, the meta-iteration that was selected; empty unless the spec selects.
pub fn selected(spec: &Spec, rows: &[EvalRow]) -> BTreeMap<String, u64> {
    let methods = spec.methods.iter().filter(|_| spec.eval.select == Select::Best);
    methods.filter_map(|method| Some((method.word().to_string(), best(rows, *method)?))).collect()
}

/// The meta-iteration with the best mean over a method's validation tasks of all support sizes, after the last gradient
/// step: the highest accuracy or return, else the lowest loss; of equals the first. What is not a number is the worst.
pub fn best(rows: &[EvalRow], method: Method) -> Option<u64> {
    let mine = || rows.iter().filter(|row| row.method == method.word() && row.split == Split::Val.name());
    let steps = mine().map(|row| row.inner_step).max()?;
    let score = |row: &EvalRow| {
        let better = row.metric(Metric::Accuracy).or(row.metric(Metric::Return));
        better.or(row.metric(Metric::Loss).map(|loss| -loss)).map(f64::from)
    };
    let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for row in mine().filter(|row| row.inner_step == steps) {
        let (sum, count) = sums.entry(row.iteration).or_default();
        *sum += score(row).unwrap_or(f64::NAN);
        *count += 1.0;
    }
    let mean = |(iteration, (sum, count)): (u64, (f64, f64))| {
        let mean = sum / count;
        (iteration, if mean.is_nan() { f64::NEG_INFINITY } else { mean })
    };
    let best = sums.into_iter().map(mean).reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(iteration, _)| iteration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(iteration: u64, split: &str, inner_step: u32, accuracy: Option<f32>, loss: f32) -> EvalRow {
        let (method, split) = ("maml".into(), split.into());
        EvalRow { iteration, method, split, inner_step, accuracy, loss: Some(loss), ..EvalRow::default() }
    }

    #[test]
    fn the_best_is_by_accuracy_on_validation_after_the_last_step_and_the_first_of_equals() {
        let rows = [
            row(10, "val", 0, Some(0.9), 1.0),
            row(10, "val", 3, Some(0.4), 1.0),
            row(20, "val", 3, Some(0.6), 2.0),
            row(20, "val", 3, Some(0.4), 2.0),
            row(30, "val", 3, Some(0.5), 0.1),
            row(40, "val", 3, Some(f32::NAN), 0.0),
            row(50, "test", 3, Some(1.0), 0.0),
        ];
        assert_eq!(best(&rows, Method::Maml), Some(20));
        assert_eq!(best(&rows[3..5], Method::Maml), Some(30));
        assert_eq!(best(&rows[5..6], Method::Maml), Some(40), "the only one");
        assert_eq!(best(&rows[6..], Method::Maml), None);
        assert_eq!(best(&rows, Method::Fomaml), None);
    }

    #[test]
    fn without_accuracy_the_lowest_loss_is_the_best() {
        let rows = [row(1, "val", 1, None, 3.0), row(2, "val", 1, None, 0.5), row(3, "val", 1, None, 0.7)];
        assert_eq!(best(&rows, Method::Maml), Some(2));
    }
}
