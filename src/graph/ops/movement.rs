//! Ops that place elements elsewhere without computing.

use super::{Row, Sample, expect};
use crate::graph::{Op, Shape, Var};

/// Luminal numbers the inputs of a node with a u8.
const MAX_INPUTS: usize = 255;

pub static RESHAPE: Row = Row {
    name: "reshape",
    formula: "a in row-major order under another shape",
    adjoint: "g under the shape of a",
    shape: |op, shapes| {
        let [a] = expect::<1>(shapes)?;
        match op {
            Op::Reshape(shape) if shape.size() == a.size() => Ok(*shape),
            _ => Err(format!("{a:?} has {} elements", a.size())),
        }
    },
    eval: |_, _, args| args[0].data.clone(),
    derivative: |p| vec![Some(p.adjoint.reshape(&p.inputs[0].shape))],
    samples: || {
        vec![
            Sample::of(Op::Reshape(Shape::new(&[3, 2])), &[&[2, 3]]),
            Sample::of(Op::Reshape(Shape::new(&[4])), &[&[2, 1, 2]]),
        ]
    },
};

pub static PERMUTE: Row = Row {
    name: "permute",
    formula: "a with its axes in another order",
    adjoint: "g with the axes put back",
    shape: |op, shapes| {
        let [a] = expect::<1>(shapes)?;
        let Op::Permute(order) = op else { return Err("not a permutation".into()) };
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if sorted.iter().copied().ne(0..a.len()) {
            return Err(format!("{order:?} is no order of {} axes", a.len()));
        }
        Ok(Shape::new(&order.iter().map(|i| a[*i]).collect::<Vec<_>>()))
    },
    eval: |op, shape, args| {
        let Op::Permute(order) = op else { return vec![] };
        let strides = args[0].shape.strides();
        let at = |flat| {
            let at = shape.coordinates(flat);
            (0..shape.len()).map(|i| at[i] * strides[order[i]]).sum::<usize>()
        };
        (0..shape.size()).map(|flat| args[0].data[at(flat)]).collect()
    },
    derivative: |p| {
        let Op::Permute(order) = p.op else { return vec![None] };
        let mut back = vec![0; order.len()];
        for (to, from) in order.iter().enumerate() {
            back[*from] = to;
        }
        vec![Some(p.adjoint.permute(&back))]
    },
    samples: || {
        vec![
            Sample::of(Op::Permute(Shape::new(&[1, 0])), &[&[2, 3]]),
            Sample::of(Op::Permute(Shape::new(&[2, 0, 1])), &[&[2, 3, 2]]),
        ]
    },
};

pub static EXPAND: Row = Row {
    name: "expand",
    formula: "a repeated along its axes of length 1",
    adjoint: "Σ g over the repeated axes",
    shape: |op, shapes| {
        let [a] = expect::<1>(shapes)?;
        match op {
            Op::Expand(to) if to.len() == a.len() && (0..a.len()).all(|i| a[i] == to[i] || a[i] == 1) => {
                Ok(*to)
            }
            _ => Err("only axes of length 1 repeat".into()),
        }
    },
    eval: |_, shape, args| {
        let a = args[0];
        let strides = a.shape.strides();
        let at = |flat| {
            let at = shape.coordinates(flat);
            (0..shape.len()).map(|i| if a.shape[i] == 1 { 0 } else { at[i] * strides[i] }).sum::<usize>()
        };
        (0..shape.size()).map(|flat| a.data[at(flat)]).collect()
    },
    derivative: |p| {
        let (from, to) = (p.inputs[0].shape, p.output.shape);
        let repeated: Vec<usize> = (0..from.len()).filter(|i| from[*i] != to[*i]).collect();
        vec![Some(p.adjoint.sum_keep(&repeated))]
    },
    samples: || {
        vec![
            Sample::of(Op::Expand(Shape::new(&[2, 3])), &[&[1, 3]]),
            Sample::of(Op::Expand(Shape::new(&[2, 2, 3])), &[&[2, 1, 1]]),
        ]
    },
};

pub static SLICE: Row = Row {
    name: "slice",
    formula: "the elements start..end along every axis",
    adjoint: "g padded with zeros to the shape of a",
    shape: |op, shapes| {
        let [a] = expect::<1>(shapes)?;
        let Op::Slice { start, end } = op else { return Err("not a slice".into()) };
        let fits = start.len() == a.len() && end.len() == a.len();
        if !fits || (0..a.len()).any(|i| start[i] > end[i] || end[i] > a[i]) {
            return Err(format!("{start:?}..{end:?} does not lie in {a:?}"));
        }
        Ok((0..a.len()).fold(a, |s, i| s.with(i, end[i] - start[i])))
    },
    eval: |op, shape, args| {
        let Op::Slice { start, .. } = op else { return vec![] };
        let strides = args[0].shape.strides();
        let at = |flat| {
            let at = shape.coordinates(flat);
            (0..shape.len()).map(|i| (at[i] + start[i]) * strides[i]).sum::<usize>()
        };
        (0..shape.size()).map(|flat| args[0].data[at(flat)]).collect()
    },
    derivative: |p| {
        let Op::Slice { start, end } = p.op else { return vec![None] };
        let whole = p.inputs[0].shape;
        let after = (0..whole.len()).fold(whole, |s, i| s.with(i, whole[i] - end[i]));
        vec![Some(p.adjoint.tape.apply(Op::Pad { before: start, after }, &[p.adjoint]))]
    },
    samples: || {
        let slice = |start: &[usize], end: &[usize]| Op::Slice { start: start.into(), end: end.into() };
        vec![Sample::of(slice(&[1, 0], &[2, 2]), &[&[3, 3]]), Sample::of(slice(&[0, 1], &[2, 3]), &[&[2, 4]])]
    },
};

pub static PAD: Row = Row {
    name: "pad",
    formula: "a with zeros before and after every axis",
    adjoint: "the slice of g where a lies",
    shape: |op, shapes| {
        let [a] = expect::<1>(shapes)?;
        match op {
            Op::Pad { before, after } if before.len() == a.len() && after.len() == a.len() => {
                Ok((0..a.len()).fold(a, |s, i| s.with(i, before[i] + a[i] + after[i])))
            }
            _ => Err("one padding for every axis".into()),
        }
    },
    eval: |op, shape, args| {
        let Op::Pad { before, .. } = op else { return vec![] };
        let (a, strides) = (args[0], shape.strides());
        let mut out = vec![0.0; shape.size()];
        for (flat, x) in a.data.iter().enumerate() {
            let at = a.shape.coordinates(flat);
            out[(0..shape.len()).map(|i| (at[i] + before[i]) * strides[i]).sum::<usize>()] = *x;
        }
        out
    },
    derivative: |p| {
        let Op::Pad { before, .. } = p.op else { return vec![None] };
        let whole = p.inputs[0].shape;
        let end = (0..whole.len()).fold(whole, |s, i| s.with(i, before[i] + whole[i]));
        vec![Some(p.adjoint.tape.apply(Op::Slice { start: before, end }, &[p.adjoint]))]
    },
    samples: || {
        let pad = |before: &[usize], after: &[usize]| Op::Pad { before: before.into(), after: after.into() };
        vec![Sample::of(pad(&[1, 0], &[0, 2]), &[&[2, 2]]), Sample::of(pad(&[2], &[1]), &[&[3]])]
    },
};

pub static CONCAT: Row = Row {
    name: "concat",
    formula: "the inputs one after the other along an axis",
    adjoint: "to each input its slice of g",
    shape: |op, shapes| {
        let Op::Concat(axis) = op else { return Err("not a concatenation".into()) };
        let axis = usize::from(*axis);
        if shapes.is_empty() || shapes.len() > MAX_INPUTS {
            return Err(format!("takes 1 to {MAX_INPUTS} inputs, not {}", shapes.len()));
        }
        let first = shapes[0];
        if axis >= first.len()
            || shapes.iter().any(|s| s.len() != first.len() || s.with(axis, first[axis]) != first)
        {
            return Err(format!("inputs agree in every axis but {axis}"));
        }
        Ok(first.with(axis, shapes.iter().map(|s| s[axis]).sum()))
    },
    eval: |op, shape, args| {
        let Op::Concat(axis) = op else { return vec![] };
        let axis = usize::from(*axis);
        let outer: usize = shape[..axis].iter().product();
        let mut out = Vec::with_capacity(shape.size());
        for i in 0..outer {
            for a in args {
                let run: usize = a.shape[axis..].iter().product();
                out.extend_from_slice(&a.data[i * run..(i + 1) * run]);
            }
        }
        out
    },
    derivative: |p| {
        let Op::Concat(axis) = p.op else { return vec![] };
        let axis = usize::from(axis);
        let mut start = 0;
        let part = |input: &Var| {
            let end = start + input.shape[axis];
            let slice = p.adjoint.slice(axis, start, end);
            start = end;
            Some(slice)
        };
        p.inputs.iter().map(part).collect()
    },
    samples: || {
        vec![
            Sample::of(Op::Concat(1), &[&[2, 1], &[2, 3], &[2, 2]]),
            Sample::of(Op::Concat(0), &[&[1, 2], &[2, 2]]),
        ]
    },
};
