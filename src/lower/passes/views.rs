//! Merges chains of ops that only place elements, and moves `expand` outwards to where `narrow` and `sums`
//! can see it.

use super::Pass;
use crate::graph::{Op, Shape};
use crate::lower::draft::{Draft, Rewriter, Step};

pub struct Views;

impl Pass for Views {
    fn name(&self) -> &'static str {
        "views"
    }

    fn run(&self, draft: &Draft) -> Draft {
        draft.rewrite(|out, step, _| rule(out, step))
    }
}

fn rule(out: &mut Rewriter, step: &Step) -> Option<usize> {
    let x = *step.inputs.first()?;
    let (from, to) = (out.shape(x), step.shape);
    if from == to && matches!(step.op, Op::Reshape(_) | Op::Expand(_) | Op::Slice { .. } | Op::Pad { .. }) {
        return Some(x);
    }
    match step.op {
        Op::Reshape(_) => reshape(out, x, to),
        Op::Permute(order) => permute(out, x, order, to),
        Op::Expand(_) => match out.op(x) {
            Op::Expand(_) => Some(out.expand(out.input(x, 0), to)),
            _ => None,
        },
        Op::Slice { start, end } => slice(out, x, start, end, to),
        Op::Concat(_) if step.inputs.len() == 1 => Some(x),
        _ => None,
    }
}

fn reshape(out: &mut Rewriter, x: usize, to: Shape) -> Option<usize> {
    match out.op(x) {
        Op::Reshape(_) => Some(out.reshape(out.input(x, 0), to)),
        // Only axes of length 1 come or go: the repetition can happen afterwards.
        Op::Expand(expanded) if long_axes(expanded) == long_axes(to) => {
            let source = out.input(x, 0);
            let mut lengths = long_positions(expanded).map(|axis| out.shape(source)[axis]);
            let narrow: Vec<usize> =
                to.iter().map(|n| if *n == 1 { 1 } else { lengths.next().unwrap_or(1) }).collect();
            let narrow = out.reshape(source, Shape::new(&narrow));
            Some(out.expand(narrow, to))
        }
        _ => None,
    }
}

fn permute(out: &mut Rewriter, x: usize, order: Shape, to: Shape) -> Option<usize> {
    if order.iter().copied().eq(0..order.len()) {
        return Some(x);
    }
    let moving: Vec<usize> = order.iter().copied().filter(|axis| out.shape(x)[*axis] != 1).collect();
    if moving.is_sorted() {
        return Some(out.reshape(x, to));
    }
    let source = *out.steps[x].inputs.first()?;
    match out.op(x) {
        Op::Permute(first) => {
            let both: Vec<usize> = order.iter().map(|axis| first[*axis]).collect();
            Some(out.permute(source, &both))
        }
        Op::Expand(_) => {
            let turned = out.permute(source, &order);
            Some(out.expand(turned, to))
        }
        _ => None,
    }
}

fn slice(out: &mut Rewriter, x: usize, start: Shape, end: Shape, to: Shape) -> Option<usize> {
    let inner = *out.steps[x].inputs.first()?;
    let source = out.shape(inner);
    let axes = 0..to.len();
    match out.op(x) {
        Op::Slice { start: first, .. } => {
            let add = |s: Shape| Shape::new(&axes.clone().map(|i| s[i] + first[i]).collect::<Vec<_>>());
            Some(out.push(Op::Slice { start: add(start), end: add(end) }, &[inner]))
        }
        Op::Expand(_) => {
            let whole = |s: Shape, one: usize| {
                let end = axes.clone().map(|i| if source[i] == 1 { one.min(to[i]) } else { s[i] });
                Shape::new(&end.collect::<Vec<_>>())
            };
            let cut = out.push(Op::Slice { start: whole(start, 0), end: whole(end, 1) }, &[inner]);
            Some(out.expand(cut, to))
        }
        // The slice lies inside what was padded.
        Op::Pad { before, .. }
            if axes.clone().all(|i| start[i] >= before[i] && end[i] <= before[i] + source[i]) =>
        {
            let less = |s: Shape| Shape::new(&axes.clone().map(|i| s[i] - before[i]).collect::<Vec<_>>());
            Some(out.push(Op::Slice { start: less(start), end: less(end) }, &[inner]))
        }
        // The slice lies inside one part.
        Op::Concat(axis) => {
            let axis = usize::from(axis);
            let mut at = 0;
            for part in out.steps[x].inputs.clone() {
                let length = out.shape(part)[axis];
                if start[axis] >= at && end[axis] <= at + length {
                    let (start, end) = (start.with(axis, start[axis] - at), end.with(axis, end[axis] - at));
                    return Some(out.push(Op::Slice { start, end }, &[part]));
                }
                at += length;
            }
            None
        }
        _ => None,
    }
}

fn long_positions(shape: Shape) -> impl Iterator<Item = usize> {
    (0..shape.len()).filter(move |axis| shape[*axis] != 1)
}

/// The axis lengths other than 1, in order.
fn long_axes(shape: Shape) -> Vec<usize> {
    long_positions(shape).map(|axis| shape[axis]).collect()
}
