//! Reductions; a reduced axis stays with length 1, so that `expand` is the adjoint of `sum` and back.

use super::{Row, Sample, expect};
use crate::graph::{Op, Shape};

pub static SUM: Row = Row {
    name: "sum",
    formula: "Σ a over the axes, which stay with length 1",
    adjoint: "g repeated along the axes",
    shape: |op, shapes| {
        let [a] = expect::<1>(shapes)?;
        let Op::Sum(mask) = op else { return Err("not a sum".into()) };
        without(a, *mask)
    },
    eval: |_, shape, args| {
        let (a, strides) = (args[0], shape.strides());
        let mut out = vec![0.0; shape.size()];
        for (flat, x) in a.data.iter().enumerate() {
            out[folded(a.shape, shape, strides, flat)] += x;
        }
        out
    },
    derivative: |p| vec![Some(p.adjoint.broadcast(p.inputs[0].shape))],
    samples: || {
        vec![
            Sample::of(Op::Sum(0b10), &[&[2, 3]]),
            Sample::of(Op::Sum(0b101), &[&[2, 3, 2]]),
            Sample::of(Op::Sum(0b1), &[&[1, 3]]),
        ]
    },
};

pub static MAX_REDUCE: Row = Row {
    name: "max_reduce",
    formula: "largest a over the axes, which stay with length 1",
    adjoint: "g to the largest element, shared equally among ties",
    shape: |op, shapes| {
        let [a] = expect::<1>(shapes)?;
        let Op::MaxReduce(mask) = op else { return Err("not a maximum".into()) };
        match axes(*mask).any(|axis| axis < a.len() && a[axis] == 0) {
            true => Err("the maximum of no elements".into()),
            false => without(a, *mask),
        }
    },
    eval: |_, shape, args| {
        let (a, strides) = (args[0], shape.strides());
        let mut out = vec![f64::NEG_INFINITY; shape.size()];
        for (flat, x) in a.data.iter().enumerate() {
            let at = &mut out[folded(a.shape, shape, strides, flat)];
            if *x > *at || x.is_nan() {
                *at = *x;
            }
        }
        out
    },
    derivative: |p| {
        let a = p.inputs[0];
        let Op::MaxReduce(mask) = p.op else { return vec![None] };
        let ones = a.tape.full(1.0, a.shape);
        let zeros = a.tape.full(0.0, a.shape);
        // The largest elements are those that are not smaller than the result. Equal shares are a convex combination of
        // the gradients that the maximum has on the sides of a tie, hence a subgradient; the shares are constants, so
        // that second derivatives are those of the sides as well.
        let largest = a.less_than(p.output.broadcast(a.shape)).select(zeros, ones);
        let share = (p.adjoint / largest.sum_keep(&axes(mask).collect::<Vec<_>>())).broadcast(a.shape);
        vec![Some(largest.select(share, zeros))]
    },
    samples: || {
        vec![
            Sample::of(Op::MaxReduce(0b10), &[&[2, 4]]),
            Sample::of(Op::MaxReduce(0b1), &[&[3, 1, 2]]),
            Sample::of(Op::MaxReduce(0b101), &[&[2, 3, 2]]),
        ]
    },
};

/// The axes of a bit mask.
pub fn axes(mask: u8) -> impl Iterator<Item = usize> {
    (0..8).filter(move |axis| mask >> axis & 1 == 1)
}

/// The shape with these axes of length 1.
fn without(shape: Shape, mask: u8) -> Result<Shape, String> {
    if mask == 0 || usize::from(mask) >> shape.len() != 0 {
        return Err(format!("axes {mask:#b} of a tensor with {} axes", shape.len()));
    }
    Ok(axes(mask).fold(shape, |shape, axis| shape.with(axis, 1)))
}

/// Position in the reduced tensor of element `flat` of the whole one.
fn folded(whole: Shape, reduced: Shape, strides: Shape, flat: usize) -> usize {
    let at = whole.coordinates(flat);
    (0..whole.len()).map(|i| if reduced[i] == 1 { 0 } else { at[i] * strides[i] }).sum()
}
