//! The batched matrix product, with either side transposed.

use super::{Row, Sample, expect};
use crate::graph::eval::Value;
use crate::graph::{Op, Shape};

pub static MATMUL: Row = Row {
    name: "matmul",
    formula: "y = A B for every batch, with A = a or aᵀ and B = b or bᵀ over the last two axes",
    adjoint: "A: g Bᵀ, B: Aᵀ g, each transposed back if its side was",
    shape: |op, shapes| {
        let [a, b] = expect::<2>(shapes)?;
        let Op::MatMul { transpose_a, transpose_b } = op else { return Err("not a product".into()) };
        let rank = a.len();
        if rank < 2 || b.len() != rank || a[..rank - 2] != b[..rank - 2] {
            return Err("takes two tensors with the same leading axes".into());
        }
        let ((m, k), (k2, n)) = (sides(a, *transpose_a), sides(b, *transpose_b));
        if k != k2 {
            return Err(format!("the inner axes are {k} and {k2}"));
        }
        Ok(a.with(rank - 2, m).with(rank - 1, n))
    },
    eval: |op, shape, args| {
        let Op::MatMul { transpose_a, transpose_b } = op else { return vec![] };
        let (a, b) = (args[0], args[1]);
        let ((m, k), (_, n)) = (sides(a.shape, *transpose_a), sides(b.shape, *transpose_b));
        let at = |v: &Value, t: bool, batch: usize, i: usize, j: usize, rows: usize, cols: usize| {
            v.data[batch * rows * cols + if t { j * rows + i } else { i * cols + j }]
        };
        let mut out = vec![0.0; shape.size()];
        for (flat, y) in out.iter_mut().enumerate() {
            let (batch, i, j) = (flat / (m * n), flat / n % m, flat % n);
            *y = (0..k)
                .map(|l| at(a, *transpose_a, batch, i, l, m, k) * at(b, *transpose_b, batch, l, j, k, n))
                .sum();
        }
        out
    },
    derivative: |p| {
        let Op::MatMul { transpose_a: ta, transpose_b: tb } = p.op else { return vec![] };
        let (a, b, g) = (p.inputs[0], p.inputs[1], p.adjoint);
        let of_a = if ta { b.matmul_with(g, tb, true) } else { g.matmul_with(b, false, !tb) };
        let of_b = if tb { g.matmul_with(a, true, ta) } else { a.matmul_with(g, !ta, false) };
        vec![Some(of_a), Some(of_b)]
    },
    samples: || {
        let product = |transpose_a, transpose_b| Op::MatMul { transpose_a, transpose_b };
        vec![
            Sample::of(product(false, false), &[&[2, 3], &[3, 2]]),
            Sample::of(product(true, false), &[&[3, 2], &[3, 1]]),
            Sample::of(product(false, true), &[&[2, 1, 3], &[2, 2, 3]]),
            Sample::of(product(true, true), &[&[2, 3], &[2, 2]]),
        ]
    },
};

/// Rows and columns of one side as the product sees it.
fn sides(shape: Shape, transposed: bool) -> (usize, usize) {
    let (rows, cols) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    if transposed { (cols, rows) } else { (rows, cols) }
}
