//! The legality check between passes.

use super::draft::Draft;
use crate::graph::{Op, ops};

/// Whether every step follows from its inputs by its row of the table, comes after them, and every root exists.
pub fn verify(draft: &Draft) -> Result<(), String> {
    for (at, step) in draft.steps.iter().enumerate() {
        if let Some(late) = step.inputs.iter().find(|i| **i >= at) {
            return Err(format!("step {at} ({}) reads step {late}, which does not come before it", step.op));
        }
        if let Op::Input(_) = step.op {
            continue;
        }
        let shapes: Vec<_> = step.inputs.iter().map(|i| draft.steps[*i].shape).collect();
        match (ops::row(&step.op).shape)(&step.op, &shapes) {
            Ok(shape) if shape == step.shape => {}
            Ok(shape) => {
                return Err(format!("step {at} ({}) says {:?}, its row {shape:?}", step.op, step.shape));
            }
            Err(why) => return Err(format!("step {at} ({}) of {shapes:?}: {why}", step.op)),
        }
    }
    match draft.roots.iter().find(|root| **root >= draft.steps.len()) {
        Some(root) => Err(format!("port node {root} is gone")),
        None => Ok(()),
    }
}
