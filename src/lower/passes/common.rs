//! Computes equal expressions once.

use super::Pass;
use crate::graph::{Op, Shape};
use crate::lower::draft::Draft;
use std::collections::HashMap;

pub struct CommonSubexpressions;

impl Pass for CommonSubexpressions {
    fn name(&self) -> &'static str {
        "common subexpressions"
    }

    fn run(&self, draft: &Draft) -> Draft {
        let mut seen: HashMap<(Op, Shape, Vec<usize>), usize> = HashMap::new();
        draft.rewrite(|out, step, _| {
            let mut inputs = step.inputs.clone();
            if matches!(step.op, Op::Add | Op::Mul) {
                inputs.sort_unstable();
            }
            let next = out.steps.len();
            let first = *seen.entry((step.op, step.shape, inputs)).or_insert(next);
            (first != next).then_some(first)
        })
    }
}
