//! Moves negation towards the results, where additions and subtractions absorb it.

use super::Pass;
use crate::graph::Op;
use crate::lower::draft::{Draft, Rewriter, Step};

pub struct Signs;

impl Pass for Signs {
    fn name(&self) -> &'static str {
        "signs"
    }

    fn run(&self, draft: &Draft) -> Draft {
        draft.rewrite(|out, step, _| rule(out, step))
    }
}

fn rule(out: &mut Rewriter, step: &Step) -> Option<usize> {
    let negated = |out: &Rewriter, i: usize| match out.op(*step.inputs.get(i)?) {
        Op::Neg => Some(out.input(step.inputs[i], 0)),
        _ => None,
    };
    let (first, second) = (negated(out, 0), negated(out, 1));
    match step.op {
        Op::Neg => negative(out, step.inputs[0]),
        Op::Add => match (first, second) {
            (_, Some(b)) => Some(out.push(Op::Sub, &[step.inputs[0], b])),
            (Some(a), None) => Some(out.push(Op::Sub, &[step.inputs[1], a])),
            _ => None,
        },
        Op::Sub => match (first, second) {
            (_, Some(b)) => Some(out.push(Op::Add, &[step.inputs[0], b])),
            (Some(a), None) => {
                let sum = out.push(Op::Add, &[a, step.inputs[1]]);
                Some(out.push(Op::Neg, &[sum]))
            }
            _ => None,
        },
        Op::Mul | Op::Div | Op::MatMul { .. } => match (first, second) {
            (Some(a), Some(b)) => Some(out.push(step.op, &[a, b])),
            (Some(a), None) => {
                let product = out.push(step.op, &[a, step.inputs[1]]);
                Some(out.push(Op::Neg, &[product]))
            }
            (None, Some(b)) => {
                let product = out.push(step.op, &[step.inputs[0], b]);
                Some(out.push(Op::Neg, &[product]))
            }
            _ => None,
        },
        Op::Sum(mask) => {
            let sum = out.sum(first?, mask);
            Some(out.push(Op::Neg, &[sum]))
        }
        _ => None,
    }
}

/// -x without a negation, where x can take the sign in.
fn negative(out: &mut Rewriter, x: usize) -> Option<usize> {
    let (op, shape) = (out.op(x), out.shape(x));
    match op {
        Op::Neg => Some(out.input(x, 0)),
        Op::Sub => Some(out.push(Op::Sub, &[out.input(x, 1), out.input(x, 0)])),
        Op::Mul => {
            let factor = out.splat(out.input(x, 1))?;
            let factor = out.full(-factor, shape);
            Some(out.push(Op::Mul, &[out.input(x, 0), factor]))
        }
        _ => None,
    }
}
