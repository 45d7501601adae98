//! Folds each term of a sum of patches by itself: a fold can take a matrix product in (see the CPU's `conv`), and images
//! are cheaper to add than their patches.

use super::Pass;
use crate::graph::Op;
use crate::lower::draft::{Draft, Rewriter, Step};

pub struct Folds;

impl Pass for Folds {
    fn name(&self) -> &'static str {
        "folds"
    }

    fn run(&self, draft: &Draft) -> Draft {
        draft.rewrite(|out, step, _| rule(out, step))
    }
}

fn rule(out: &mut Rewriter, step: &Step) -> Option<usize> {
    let Op::Fold(..) = step.op else { return None };
    let patches = step.inputs[0];
    let shape = out.shape(patches);
    let sum = match out.op(patches) {
        Op::Reshape(_) => out.input(patches, 0),
        _ => patches,
    };
    let op = out.op(sum);
    if !matches!(op, Op::Add | Op::Sub) {
        return None;
    }
    let terms = [0, 1].map(|which| out.input(sum, which));
    let images = terms.map(|term| {
        let term = out.reshape(term, shape);
        out.push(step.op, &[term])
    });
    Some(out.push(op, &images))
}
