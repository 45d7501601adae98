//! What every device asks of a step before it decides whether the tensor exists in memory.

use super::draft::Draft;
use crate::graph::Op;

/// Whether the result is its input under other coordinates.
pub fn is_view(op: &Op) -> bool {
    matches!(op, Op::Reshape(_) | Op::Permute(_) | Op::Expand(_) | Op::Slice { .. })
}

/// Whether computing it again costs more than reading it.
pub fn expensive(op: &Op) -> bool {
    matches!(op, Op::Recip | Op::Sqrt | Op::Exp | Op::Log | Op::Sin | Op::Tanh | Op::Div)
}

/// The number that a step holds everywhere, where it does.
pub fn splats(draft: &Draft) -> Vec<Option<f64>> {
    let mut splats: Vec<Option<f64>> = Vec::with_capacity(draft.steps.len());
    for step in &draft.steps {
        splats.push(match step.op {
            Op::Constant(_) => step.op.as_constant(),
            op if is_view(&op) => splats[step.inputs[0]],
            _ => None,
        });
    }
    splats
}

/// Adds what is not yet there.
pub fn merge(into: &mut Vec<usize>, from: &[usize]) {
    for x in from {
        if !into.contains(x) {
            into.push(*x);
        }
    }
}
