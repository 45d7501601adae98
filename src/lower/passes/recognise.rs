//! Finds matrix products that are spelled as a sum over a product of two repeated tensors.

use super::Pass;
use crate::graph::{Op, Shape};
use crate::lower::draft::{Draft, Rewriter, Step};

pub struct RecogniseProducts;

impl Pass for RecogniseProducts {
    fn name(&self) -> &'static str {
        "recognise products"
    }

    fn run(&self, draft: &Draft) -> Draft {
        draft.rewrite(|out, step, _| rule(out, step))
    }
}

/// The axes of Σ a b by the sides on which they are real: a matrix product has rows (only a), columns (only b),
/// an inner axis (both, summed) and batches (both, kept).
#[derive(Default)]
struct Sides {
    batch: Vec<usize>,
    rows: Vec<usize>,
    columns: Vec<usize>,
    inner: Vec<usize>,
}

fn rule(out: &mut Rewriter, step: &Step) -> Option<usize> {
    let Op::Sum(mask) = step.op else { return None };
    let product = step.inputs[0];
    if out.op(product) != Op::Mul {
        return None;
    }
    let whole = out.shape(product);
    let unrepeated = |out: &Rewriter, x: usize| match out.op(x) {
        Op::Expand(_) => out.input(x, 0),
        _ => x,
    };
    let (a, b) = (unrepeated(out, out.input(product, 0)), unrepeated(out, out.input(product, 1)));
    let mut sides = Sides::default();
    for axis in (0..whole.len()).filter(|axis| whole[*axis] != 1) {
        let real = (out.shape(a)[axis] != 1, out.shape(b)[axis] != 1);
        let group = match (real, mask >> axis & 1 == 1) {
            ((true, true), true) => &mut sides.inner,
            ((true, true), false) => &mut sides.batch,
            ((true, false), false) => &mut sides.rows,
            ((false, true), false) => &mut sides.columns,
            // Summed on one side only, or repeated on both: other passes take these first.
            _ => return None,
        };
        group.push(axis);
    }
    if sides.inner.is_empty() || sides.rows.is_empty() || sides.columns.is_empty() {
        return None;
    }
    let count = |axes: &[usize]| axes.iter().map(|axis| whole[*axis]).product::<usize>();
    let batch: Vec<usize> = sides.batch.iter().map(|axis| whole[*axis]).collect();
    if batch.len() + 2 > crate::graph::shape::MAX_RANK {
        return None;
    }
    let matrix = |out: &mut Rewriter, x: usize, rows: &[usize], columns: &[usize]| {
        let real: Vec<usize> = [&sides.batch, rows, columns].concat();
        let x = only(out, x, &real);
        out.reshape(x, Shape::new(&[&batch[..], &[count(rows), count(columns)]].concat()))
    };
    let a = matrix(out, a, &sides.rows, &sides.inner);
    let b = matrix(out, b, &sides.inner, &sides.columns);
    let y = out.push(Op::MatMul { transpose_a: false, transpose_b: false }, &[a, b]);
    // Back to the axes of the sum: split, order, and put the axes of length 1 in again.
    let order: Vec<usize> = [&sides.batch[..], &sides.rows, &sides.columns].concat();
    let split: Vec<usize> = order.iter().map(|axis| whole[*axis]).collect();
    let y = out.reshape(y, Shape::new(&split));
    let mut sorted = order.clone();
    sorted.sort_unstable();
    let back: Vec<usize> =
        sorted.iter().map(|axis| order.iter().position(|o| o == axis).unwrap_or(0)).collect();
    let y = out.permute(y, &back);
    Some(out.reshape(y, step.shape))
}

/// `x` with exactly these axes, in this order; the others have length 1.
fn only(out: &mut Rewriter, x: usize, axes: &[usize]) -> usize {
    let mut sorted = axes.to_vec();
    sorted.sort_unstable();
    let lengths: Vec<usize> = sorted.iter().map(|axis| out.shape(x)[*axis]).collect();
    let x = out.reshape(x, Shape::new(&lengths));
    let order: Vec<usize> =
        axes.iter().map(|axis| sorted.iter().position(|s| s == axis).unwrap_or(0)).collect();
    out.permute(x, &order)
}
