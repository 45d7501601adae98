//! Computes elementwise ops before their inputs are repeated instead of after.

use super::Pass;
use crate::graph::{Op, Shape};
use crate::lower::draft::{Draft, Rewriter, Step, elementwise};

pub struct Narrow;

impl Pass for Narrow {
    fn name(&self) -> &'static str {
        "narrow"
    }

    fn run(&self, draft: &Draft) -> Draft {
        draft.rewrite(|out, step, _| rule(out, step))
    }
}

fn rule(out: &mut Rewriter, step: &Step) -> Option<usize> {
    if !elementwise(&step.op) || step.shape.size() == 0 {
        return None;
    }
    // Along these axes every input only repeats itself.
    let repeated = |out: &Rewriter, x: usize, axis: usize| match out.op(x) {
        Op::Expand(_) => out.shape(out.input(x, 0))[axis] == 1,
        _ => false,
    };
    let narrow: Vec<usize> = (0..step.shape.len())
        .map(|axis| {
            let all = step.inputs.iter().all(|x| repeated(out, *x, axis));
            if all { 1 } else { step.shape[axis] }
        })
        .collect();
    let narrow = Shape::new(&narrow);
    if narrow == step.shape {
        return None;
    }
    let mut inputs = Vec::with_capacity(step.inputs.len());
    for x in &step.inputs {
        let source = out.input(*x, 0);
        inputs.push(out.expand(source, narrow));
    }
    let result = out.push(step.op, &inputs);
    Some(out.expand(result, step.shape))
}
