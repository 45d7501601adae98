//! Computes elementwise ops before a reshape that splits axes instead of after, so that work on the rows of a matrix
//! and work on the same rows seen as images meet in one iteration space and fuse.

use super::Pass;
use crate::graph::{Op, Shape};
use crate::lower::draft::{Draft, Rewriter, Step, elementwise};

pub struct Reshapes;

impl Pass for Reshapes {
    fn name(&self) -> &'static str {
        "reshapes"
    }

    fn run(&self, draft: &Draft) -> Draft {
        draft.rewrite(|out, step, _| rule(out, step))
    }
}

fn long_axes(shape: Shape) -> Vec<usize> {
    shape.iter().copied().filter(|n| *n != 1).collect()
}

/// So far down a tensor that repeats itself is looked for.
const DEPTH: usize = 4;

/// Whether the elements of a tensor come from one that repeats itself in this shape, perhaps through elementwise ops.
fn repeats(out: &Rewriter, x: usize, depth: usize) -> bool {
    if out.splat(x).is_some() {
        return false;
    }
    match out.op(x) {
        Op::Expand(_) => true,
        op if elementwise(&op) && depth > 0 => {
            out.steps[x].inputs.iter().any(|input| repeats(out, *input, depth - 1))
        }
        _ => false,
    }
}

fn rule(out: &mut Rewriter, step: &Step) -> Option<usize> {
    if !elementwise(&step.op) {
        return None;
    }
    // Towards fewer axes only, so that no two reshapes chase each other. Those that only add axes of length 1 do not
    // stand in the way of anything.
    let split = |out: &Rewriter, x: usize| match out.op(x) {
        Op::Reshape(_) if elementwise(&out.op(out.input(x, 0))) => {
            let from = out.shape(out.input(x, 0));
            (from.len() < step.shape.len() && long_axes(from) != long_axes(step.shape)).then_some(from)
        }
        _ => None,
    };
    let from = step.inputs.iter().find_map(|x| split(out, *x))?;
    // What repeats itself along axes of the larger shape would have to be written out.
    if step.inputs.iter().any(|x| repeats(out, *x, DEPTH)) {
        return None;
    }
    let mut inputs = Vec::with_capacity(step.inputs.len());
    for x in &step.inputs {
        inputs.push(match (out.splat(*x), out.op(*x)) {
            (Some(number), _) => out.full(number, from),
            (None, Op::Reshape(_)) => {
                let source = out.input(*x, 0);
                out.reshape(source, from)
            }
            (None, _) => out.reshape(*x, from),
        });
    }
    let result = out.push(step.op, &inputs);
    Some(out.reshape(result, step.shape))
}
