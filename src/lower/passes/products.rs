//! Matrix products in their cheapest spelling: transposes as flags, batches that share a side as more rows,
//! sums over batches as a longer inner axis, and products with an inner axis of length 1 as elementwise ones.

use super::Pass;
use crate::graph::{Op, Shape};
use crate::lower::draft::{Draft, Rewriter, Step};

pub struct Products;

impl Pass for Products {
    fn name(&self) -> &'static str {
        "products"
    }

    fn run(&self, draft: &Draft) -> Draft {
        draft.rewrite(|out, step, _| rule(out, step))
    }
}

fn rule(out: &mut Rewriter, step: &Step) -> Option<usize> {
    match step.op {
        Op::MatMul { transpose_a, transpose_b } => {
            let (a, b) = (step.inputs[0], step.inputs[1]);
            transposed_inputs(out, a, b, transpose_a, transpose_b)
                .or_else(|| outer(out, a, b, transpose_a, transpose_b, step.shape))
                .or_else(|| one_batch(out, a, b, transpose_a, transpose_b, step.shape))
                .or_else(|| shared_side(out, a, b, transpose_a, transpose_b, step.shape))
        }
        Op::Permute(order) => transposed_result(out, step.inputs[0], order),
        Op::Sum(mask) => summed_batches(out, step.inputs[0], mask, step.shape),
        _ => None,
    }
}

fn swaps_last_two(order: Shape) -> bool {
    let n = order.len();
    n >= 2 && order[n - 1] == n - 2 && order[n - 2] == n - 1 && (0..n - 2).all(|i| order[i] == i)
}

/// A transpose below a product is a flag of it.
fn transposed_inputs(out: &mut Rewriter, a: usize, b: usize, ta: bool, tb: bool) -> Option<usize> {
    let turned = |out: &Rewriter, x: usize| match out.op(x) {
        Op::Permute(order) if swaps_last_two(order) => Some(out.input(x, 0)),
        _ => None,
    };
    let (of_a, of_b) = (turned(out, a), turned(out, b));
    if of_a.is_none() && of_b.is_none() {
        return None;
    }
    let op = Op::MatMul { transpose_a: ta ^ of_a.is_some(), transpose_b: tb ^ of_b.is_some() };
    Some(out.push(op, &[of_a.unwrap_or(a), of_b.unwrap_or(b)]))
}

/// (A B)ᵀ = Bᵀ Aᵀ.
fn transposed_result(out: &mut Rewriter, x: usize, order: Shape) -> Option<usize> {
    match out.op(x) {
        Op::MatMul { transpose_a, transpose_b } if swaps_last_two(order) => {
            let op = Op::MatMul { transpose_a: !transpose_b, transpose_b: !transpose_a };
            Some(out.push(op, &[out.input(x, 1), out.input(x, 0)]))
        }
        _ => None,
    }
}

/// With an inner axis of length 1, y[i, j] = a[i] b[j] is an elementwise product that fuses with its neighbours.
fn outer(out: &mut Rewriter, a: usize, b: usize, ta: bool, tb: bool, to: Shape) -> Option<usize> {
    let rank = to.len();
    let inner = out.shape(a)[if ta { rank - 2 } else { rank - 1 }];
    if inner != 1 {
        return None;
    }
    let column = out.reshape(a, to.with(rank - 1, 1));
    let row = out.reshape(b, to.with(rank - 2, 1));
    debug_assert!(!tb || out.shape(b)[rank - 1] == 1, "the inner axis of b has length 1 too");
    let (column, row) = (out.expand(column, to), out.expand(row, to));
    Some(out.push(Op::Mul, &[column, row]))
}

/// Leading axes of length 1 are no batches.
fn one_batch(out: &mut Rewriter, a: usize, b: usize, ta: bool, tb: bool, to: Shape) -> Option<usize> {
    let rank = to.len();
    if rank == 2 || to[..rank - 2].iter().any(|n| *n != 1) {
        return None;
    }
    let matrix = |out: &mut Rewriter, x: usize| {
        let shape = Shape::new(&out.shape(x)[rank - 2..]);
        out.reshape(x, shape)
    };
    let (a, b) = (matrix(out, a), matrix(out, b));
    let y = out.push(Op::MatMul { transpose_a: ta, transpose_b: tb }, &[a, b]);
    Some(out.reshape(y, to))
}

/// Batches whose right (or left) side is one repeated matrix are one product with more rows (columns).
fn shared_side(out: &mut Rewriter, a: usize, b: usize, ta: bool, tb: bool, to: Shape) -> Option<usize> {
    let rank = to.len();
    let shared = |out: &Rewriter, x: usize| match out.op(x) {
        Op::Expand(_) => {
            let source = out.input(x, 0);
            let shape = out.shape(source);
            let one = shape[..rank - 2].iter().all(|n| *n == 1);
            (one && shape[rank - 2..] == out.shape(x)[rank - 2..]).then_some(source)
        }
        _ => None,
    };
    if rank == 2 {
        return None;
    }
    let batch: usize = to[..rank - 2].iter().product();
    if let (false, Some(b)) = (ta, shared(out, b)) {
        let (rows, inner) = (out.shape(a)[rank - 2], out.shape(a)[rank - 1]);
        let tall = out.reshape(a, Shape::new(&[batch * rows, inner]));
        let shape = Shape::new(&out.shape(b)[rank - 2..]);
        let b = out.reshape(b, shape);
        let y = out.push(Op::MatMul { transpose_a: false, transpose_b: tb }, &[tall, b]);
        return Some(out.reshape(y, to));
    }
    None
}

/// Σ over batches of Aᵀ B is one product with all rows as its inner axis.
fn summed_batches(out: &mut Rewriter, x: usize, mask: u8, to: Shape) -> Option<usize> {
    let Op::MatMul { transpose_a: true, transpose_b: false } = out.op(x) else { return None };
    let rank = to.len();
    if rank < 3 || mask >> (rank - 2) != 0 {
        return None;
    }
    let summed: Vec<usize> = (0..rank - 2).filter(|axis| mask >> axis & 1 == 1).collect();
    let kept = (0..rank - 2).filter(|axis| !summed.contains(axis)).any(|axis| out.shape(x)[axis] != 1);
    if kept {
        return None;
    }
    let tall = |out: &mut Rewriter, x: usize| {
        let shape = out.shape(x);
        let rows = shape[..rank - 1].iter().product();
        out.reshape(x, Shape::new(&[rows, shape[rank - 1]]))
    };
    let (a, b) = (out.input(x, 0), out.input(x, 1));
    let (a, b) = (tall(out, a), tall(out, b));
    let y = out.push(Op::MatMul { transpose_a: true, transpose_b: false }, &[a, b]);
    Some(out.reshape(y, to))
}
