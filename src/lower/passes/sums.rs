//! Sums of sums, of repetitions, and of products with a factor that the sum can leave outside.

use super::Pass;
use crate::graph::{Op, Shape};
use crate::lower::draft::{Draft, Rewriter, Step};

pub struct Sums;

impl Pass for Sums {
    fn name(&self) -> &'static str {
        "sums"
    }

    fn run(&self, draft: &Draft) -> Draft {
        draft.rewrite(|out, step, _| rule(out, step))
    }
}

fn rule(out: &mut Rewriter, step: &Step) -> Option<usize> {
    let x = *step.inputs.first()?;
    let from = out.shape(x);
    match step.op {
        Op::MaxReduce(mask) if axes(mask).all(|axis| from[axis] == 1) => Some(x),
        Op::Sum(mask) => {
            let useful = axes(mask).filter(|axis| from[*axis] != 1).fold(0, |mask, axis| mask | 1 << axis);
            if useful != mask {
                return Some(out.sum(x, useful));
            }
            match out.op(x) {
                Op::Sum(inner) => Some(out.sum(out.input(x, 0), mask | inner)),
                Op::Expand(_) => of_repetition(out, x, mask, step.shape),
                Op::Mul => factor(out, x, mask, step.shape),
                _ => None,
            }
        }
        _ => None,
    }
}

fn axes(mask: u8) -> impl Iterator<Item = usize> {
    (0..8).filter(move |axis| mask >> axis & 1 == 1)
}

/// The axes of the mask along which `x` repeats itself.
fn repeated(out: &Rewriter, x: usize, mask: u8) -> u8 {
    match out.op(x) {
        Op::Expand(_) => {
            let source = out.shape(out.input(x, 0));
            axes(mask).filter(|axis| source[*axis] == 1).fold(0, |mask, axis| mask | 1 << axis)
        }
        _ => 0,
    }
}

/// Σ of n equal elements is n times one of them.
fn of_repetition(out: &mut Rewriter, x: usize, mask: u8, to: Shape) -> Option<usize> {
    let (from, again) = (out.shape(x), repeated(out, x, mask));
    if again == 0 {
        return None;
    }
    let count: usize = axes(again).map(|axis| from[axis]).product();
    let once = axes(again).fold(from, |shape, axis| shape.with(axis, 1));
    let once = out.expand(out.input(x, 0), once);
    let sum = out.sum(once, mask & !again);
    let count = out.full(count as f64, to);
    Some(out.push(Op::Mul, &[sum, count]))
}

/// Σ a b = (Σ a) b along the axes on which b is the same.
fn factor(out: &mut Rewriter, product: usize, mask: u8, to: Shape) -> Option<usize> {
    let (a, b) = (out.input(product, 0), out.input(product, 1));
    let (of_a, of_b) = (repeated(out, a, mask), repeated(out, b, mask));
    let (a, b, outside) = if of_b != 0 {
        (a, b, of_b)
    } else if of_a != 0 {
        (b, a, of_a)
    } else {
        return None;
    };
    let inner = out.sum(a, outside);
    let shape = out.shape(inner);
    let factor = out.expand(out.input(b, 0), shape);
    let scaled = out.push(Op::Mul, &[inner, factor]);
    let sum = out.sum(scaled, mask & !outside);
    debug_assert_eq!(out.shape(sum), to, "the sum keeps its shape");
    Some(sum)
}
