//! Algebra that drops work: x + 0, x · 1, x / 1, nested scales, selects whose outcome is known.
//!
//! x · 0 is not folded: for infinite x it is NaN, and a run must not hide that.

use super::Pass;
use crate::graph::Op;
use crate::lower::draft::{Draft, Rewriter, Step};

pub struct Identities;

impl Pass for Identities {
    fn name(&self) -> &'static str {
        "identities"
    }

    fn run(&self, draft: &Draft) -> Draft {
        draft.rewrite(|out, step, _| rule(out, step))
    }
}

fn rule(out: &mut Rewriter, step: &Step) -> Option<usize> {
    let shape = step.shape;
    let input = |i: usize| step.inputs[i];
    let number = |out: &Rewriter, i: usize| out.splat(step.inputs[i]);
    match step.op {
        Op::StopGradient => Some(input(0)),
        Op::Add if number(out, 0) == Some(0.0) => Some(input(1)),
        Op::Add | Op::Sub if number(out, 1) == Some(0.0) => Some(input(0)),
        Op::Add if input(0) == input(1) => {
            let two = out.full(2.0, shape);
            Some(out.push(Op::Mul, &[input(0), two]))
        }
        Op::Sub if number(out, 0) == Some(0.0) => Some(out.push(Op::Neg, &[input(1)])),
        // Scales stand on the right, so that later rules look in one place.
        Op::Mul if number(out, 0).is_some() && number(out, 1).is_none() => {
            Some(out.push(Op::Mul, &[input(1), input(0)]))
        }
        Op::Mul => scale(out, input(0), number(out, 1)?),
        Op::Div => {
            let divisor = number(out, 1)?;
            // A power of two or not, the rounding of 1/c costs at most one unit in the last place.
            if divisor == 0.0 || !divisor.is_normal() || !(1.0 / divisor).is_normal() {
                return None;
            }
            let factor = out.full(1.0 / divisor, shape);
            Some(out.push(Op::Mul, &[input(0), factor]))
        }
        Op::Select => match number(out, 0) {
            Some(mask) => Some(input(if mask != 0.0 { 1 } else { 2 })),
            None if input(1) == input(2) => Some(input(1)),
            None => {
                let (mask, swapped) = asked(out, input(0))?;
                let (yes, no) = if swapped { (input(2), input(1)) } else { (input(1), input(2)) };
                Some(out.push(Op::Select, &[mask, yes, no]))
            }
        },
        _ => None,
    }
}

/// What a mask that was selected from numbers was selected by, and whether it says the opposite.
fn asked(out: &Rewriter, mask: usize) -> Option<(usize, bool)> {
    if out.op(mask) != Op::Select {
        return None;
    }
    let set = |which: usize| out.splat(out.input(mask, which)).filter(|x| !x.is_nan()).map(|x| x != 0.0);
    match (set(1)?, set(2)?) {
        (true, false) => Some((out.input(mask, 0), false)),
        (false, true) => Some((out.input(mask, 0), true)),
        _ => None,
    }
}

/// x · c, where x may itself be a scaled tensor.
fn scale(out: &mut Rewriter, x: usize, factor: f64) -> Option<usize> {
    let shape = out.shape(x);
    if factor == 1.0 {
        return Some(x);
    }
    if factor == -1.0 {
        return Some(out.push(Op::Neg, &[x]));
    }
    let (source, inner) = match out.op(x) {
        Op::Mul => (out.input(x, 0), out.splat(out.input(x, 1))?),
        Op::Neg => (out.input(x, 0), -1.0),
        _ => return None,
    };
    let factor = out.full(factor * inner, shape);
    Some(out.push(Op::Mul, &[source, factor]))
}
