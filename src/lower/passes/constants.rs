//! Computes what depends on numbers alone. A tensor of one repeated number has one canonical spelling:
//! a constant, reshaped to axes of length 1, expanded.

use super::Pass;
use crate::graph::eval::Value;
use crate::graph::{Op, Shape, ops};
use crate::lower::draft::{Draft, Rewriter, Step, elementwise};

pub struct ConstantFolding;

impl Pass for ConstantFolding {
    fn name(&self) -> &'static str {
        "constant folding"
    }

    fn run(&self, draft: &Draft) -> Draft {
        draft.rewrite(|out, step, _| rule(out, step))
    }
}

fn rule(out: &mut Rewriter, step: &Step) -> Option<usize> {
    if step.inputs.is_empty() || canonical(out, step) || step.shape.size() == 0 {
        return None;
    }
    let numbers: Vec<f64> = step.inputs.iter().map(|i| out.splat(*i)).collect::<Option<_>>()?;
    let count = out.shape(step.inputs[0]).size() / step.shape.size();
    let value = match step.op {
        Op::Sum(_) => numbers[0] * count as f64,
        Op::MaxReduce(_) | Op::Reshape(_) | Op::Permute(_) | Op::Expand(_) | Op::Slice { .. } => numbers[0],
        Op::Concat(_) if numbers.iter().all(|x| x.to_bits() == numbers[0].to_bits()) => numbers[0],
        Op::Pad { .. } if numbers[0] == 0.0 => 0.0,
        op if elementwise(&op) => {
            let args: Vec<Value> = numbers.iter().map(|x| Value::new(&[], vec![*x])).collect();
            (ops::row(&op).eval)(&op, Shape::scalar(), &args.iter().collect::<Vec<_>>())[0]
        }
        _ => return None,
    };
    Some(out.full(value, step.shape))
}

/// Whether a step is part of the canonical spelling, which must not be rewritten into itself for ever.
fn canonical(out: &Rewriter, step: &Step) -> bool {
    let of_constant = |at: usize| matches!(out.op(at), Op::Constant(_));
    let source = step.inputs[0];
    match step.op {
        Op::Reshape(_) => of_constant(source),
        Op::Expand(_) => matches!(out.op(source), Op::Reshape(_)) && of_constant(out.input(source, 0)),
        _ => false,
    }
}
