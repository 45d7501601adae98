//! What the programs of a run take, and how they are kept within `memory_budget`.

use super::meta_gradient::MetaGradient;
use super::programs::{Counts, Programs};
use crate::error::{Error, Result};
use crate::spec::Spec;

/// Keeps the programs of all methods, with the tasks that they work on, within the spec's budget. `width` is the numbers
/// of a point and its label, `more` the bytes of programs that are not among these.
///
/// Errors: [`Error::Input`] where the budget is too little; it names the least.
pub fn keep_within(
    spec: &Spec,
    threads: usize,
    (counts, width): (&Counts, usize),
    more: u64,
    mut programs: Vec<&mut Programs>,
) -> Result<()> {
    let Some(budget) = spec.memory_budget else { return Ok(()) };
    let parameters = programs.iter().map(|programs| programs.layout.size()).max().unwrap_or(0);
    let shown = counts.eval.iter().copied().max().unwrap_or(0);
    // Of every task of a meta-batch its points and gradient, of every thread a test task with two sets of parameters, and
    // once the parameters, the sum of gradients and the two moments of Adam.
    let task = (counts.support + counts.query) * width + parameters;
    let test_task = (shown + counts.query) * width + 2 * parameters;
    let floats = spec.outer.tasks * task + threads * test_task + 4 * parameters;
    let fixed = programs.iter().map(|programs| programs.other_bytes()).sum::<u64>();
    let mut gradients: Vec<&mut MetaGradient> =
        programs.iter_mut().filter_map(|programs| programs.meta_gradient()).collect();
    let mut held = more + fixed + 4 * floats as u64;
    held += gradients.iter().map(|gradient| threads as u64 * gradient.least_bytes()).sum::<u64>();
    if gradients.is_empty() && held > budget.0 {
        return Err(Error::Input(super::meta_gradient::too_little(budget.0, held, threads as u64)));
    }
    for gradient in &mut gradients {
        let others = held - threads as u64 * gradient.least_bytes();
        gradient.keep_within(budget.0, others, threads).map_err(Error::Input)?;
        held = others + threads as u64 * gradient.bytes();
    }
    Ok(())
}
