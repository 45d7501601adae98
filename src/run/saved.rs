//! Evaluation of saved weights, without training.

use super::experiment::Experiment;
use super::learner::Learner;
use super::{selection, session};
use crate::error::{Error, Result};
use crate::record::weights::Weights;
use crate::record::{RunFolder, SummaryRow};
use crate::spec::{Method, Word};
use std::path::Path;

/// Evaluates every set of parameters in a weights file, in the order of the run that saved them, and writes
/// `spec.yaml`, `eval.csv` and `summary.csv` into a folder. With the spec of that run the bytes are those of its own
/// `eval.csv` on the same kind of machine.
pub fn evaluate(
    experiment: &Experiment,
    weights: &Path,
    folder: &Path,
    threads: usize,
) -> Result<Vec<SummaryRow>> {
    let weights = Weights::read(weights)?;
    let spec = &experiment.spec;
    let mut learner = experiment.learner(threads)?;
    let mut folder = RunFolder::open(folder)?;
    folder.write_spec(&spec.to_yaml())?;
    if let Some((name, bytes)) = experiment.task_file()? {
        folder.write_copy(&name, &bytes)?;
    }
    folder.begin(experiment.identity(), &learner.task_names(), None)?;
    let mut all = vec![];
    for method in &spec.methods {
        for iteration in iterations(&weights, *method) {
            let theta = parameters(&weights, &*learner, *method, iteration)?;
            let rows = selection::evaluate(spec, &mut *learner, *method, iteration, &theta)?;
            rows.iter().try_for_each(|row| folder.eval(row))?;
            folder.flush()?;
            all.extend(rows);
        }
        if iterations(&weights, *method).is_empty() {
            continue;
        }
        let saved = |learner: &dyn Learner, at| parameters(&weights, learner, *method, at);
        let rows = selection::conclude(spec, &mut *learner, *method, &all, saved)?;
        rows.iter().try_for_each(|row| folder.eval(row))?;
        folder.flush()?;
        all.extend(rows);
    }
    if all.is_empty() {
        let names: Vec<&str> = spec.methods.iter().map(|m| m.word()).collect();
        return Err(Error::Input(format!(
            "the weights file holds none of the spec's methods ({})",
            names.join(", ")
        )));
    }
    let summary = session::summary(spec, &all);
    folder.write_summary(&summary)?;
    Ok(summary)
}

/// The meta-iterations of which a file has a method's parameters, ascending.
pub(super) fn iterations(weights: &Weights, method: Method) -> Vec<u64> {
    let of = |name: &str| {
        let rest = name.strip_prefix(method.word())?.strip_prefix('/')?;
        rest.split('/').next()?.parse().ok()
    };
    let mut found: Vec<u64> = weights.tensors.iter().filter_map(|tensor| of(&tensor.name)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

pub(super) fn parameters(
    weights: &Weights,
    learner: &dyn Learner,
    method: Method,
    iteration: u64,
) -> Result<Vec<f32>> {
    let mut theta = vec![];
    for (name, shape, _) in learner.layout(method).parts() {
        let name = format!("{}/{iteration}/{name}", method.word());
        let tensor = weights.get(&name).filter(|tensor| tensor.shape[..] == shape[..]);
        let tensor = tensor.ok_or_else(|| {
            Error::Input(format!(
                "the weights file has no tensor `{name}` of shape {shape:?}; is it of this model?"
            ))
        })?;
        theta.extend_from_slice(&tensor.values);
    }
    Ok(theta)
}
