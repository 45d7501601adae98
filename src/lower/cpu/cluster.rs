//! Fused expressions: what one map kernel computes, before registers and strides are chosen.

use super::layout::Layout;
use super::map::Meet;
use super::view::View;
use crate::graph::{Op, Shape};
use crate::lower::draft::Draft;
use crate::lower::inline::is_view;
use std::collections::HashMap;

/// A node of a cluster's expression graph; equal nodes are stored once.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Expr {
    /// A tensor in memory.
    Leaf(usize),
    /// The bits of a number.
    Number(u64),
    Op(Op, Vec<usize>),
}

/// One result of a cluster.
#[derive(Clone, Debug)]
pub struct Member {
    pub step: usize,
    pub expr: usize,
    /// The buffer it is written to and where in it each element of the iteration space goes.
    pub buffer: usize,
    pub view: View,
    pub meet: Meet,
}

/// Elementwise work on one iteration space.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The iteration space without axes of length 1.
    pub shape: Shape,
    pub exprs: Vec<Expr>,
    known: HashMap<Expr, usize>,
    /// Buffers and the views on them, with the axes of `shape`.
    pub leaves: Vec<(usize, View)>,
    pub members: Vec<Member>,
}

/// A result to compute: `source`, written to `buffer` through `view`.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub step: usize,
    /// The step whose value is written; the task's own step where that is elementwise.
    pub source: usize,
    pub buffer: usize,
    pub view: View,
    pub meet: Meet,
}

impl Cluster {
    pub fn new(shape: Shape) -> Cluster {
        let shape = squeeze(shape, shape);
        Cluster { shape, exprs: vec![], known: HashMap::new(), leaves: vec![], members: vec![] }
    }

    /// The cluster with one more result; none where the result needs another one of this cluster in full.
    pub fn with(&self, draft: &Draft, layout: &Layout, task: Task) -> Option<Cluster> {
        let mut cluster = self.clone();
        let space = draft.steps[task.source].shape;
        let expr = cluster.build(draft, layout, task.source, task.source == task.step, &mut Vec::new())?;
        let view = View {
            offset: task.view.offset,
            shape: squeeze(space, space),
            strides: squeeze(space, task.view.strides),
        };
        cluster.members.push(Member { step: task.step, expr, buffer: task.buffer, view, meet: task.meet });
        Some(cluster)
    }

    /// The value of a step, seen through the views in `above` (outermost first).
    fn build(
        &mut self,
        draft: &Draft,
        layout: &Layout,
        at: usize,
        root: bool,
        above: &mut Vec<(Op, Shape)>,
    ) -> Option<usize> {
        if let Some(number) = layout.splats[at] {
            return Some(self.intern(Expr::Number(number.to_bits())));
        }
        if let (false, Some((owner, view))) = (root, layout.places[at]) {
            let view = above.iter().rev().try_fold(view, |view, (op, to)| view.apply(op, *to))?;
            return self.leaf(owner, view);
        }
        let step = &draft.steps[at];
        if is_view(&step.op) {
            // A made view is a copy of its source through the view.
            above.push((step.op, step.shape));
            let expr = self.build(draft, layout, step.inputs[0], false, above);
            above.pop();
            return expr;
        }
        let mut args = Vec::with_capacity(step.inputs.len());
        for input in &step.inputs {
            args.push(self.build(draft, layout, *input, false, above)?);
        }
        if step.op == Op::StopGradient {
            return Some(args[0]);
        }
        Some(self.intern(Expr::Op(step.op, args)))
    }

    fn leaf(&mut self, owner: usize, view: View) -> Option<usize> {
        let view = View {
            offset: view.offset,
            shape: squeeze(view.shape, view.shape),
            strides: squeeze(view.shape, view.strides),
        };
        if let Some(member) = self.members.iter().find(|member| member.step == owner) {
            let same = member.meet == Meet::Store && member.view == view && view.contiguous();
            return same.then_some(member.expr);
        }
        let known = self.leaves.iter().position(|leaf| *leaf == (owner, view));
        let leaf = known.unwrap_or_else(|| {
            self.leaves.push((owner, view));
            self.leaves.len() - 1
        });
        Some(self.intern(Expr::Leaf(leaf)))
    }

    fn intern(&mut self, expr: Expr) -> usize {
        let next = self.exprs.len();
        let at = *self.known.entry(expr.clone()).or_insert(next);
        if at == next {
            self.exprs.push(expr);
        }
        at
    }
}

/// The entries of `values` along the axes that are longer than 1 in `shape`.
pub fn squeeze(shape: Shape, values: Shape) -> Shape {
    let kept: Vec<usize> =
        (0..shape.len()).filter(|axis| shape[*axis] != 1).map(|axis| values[axis]).collect();
    Shape::new(&kept)
}
