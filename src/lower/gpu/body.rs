//! The scalar expression of a kernel, built from the steps of a draft down to what lies in memory.

use super::kernel::{Access, Expr, Tensor};
use super::layout::Layout;
use crate::graph::shape::MAX_RANK;
use crate::graph::{Op, Shape};
use crate::lower::draft::Draft;
use crate::lower::inline::is_view;
use crate::lower::view::View;
use std::collections::HashMap;

/// Expressions over one iteration space; equal ones are stored once.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Axis lengths of the space.
    pub axes: Vec<usize>,
    pub exprs: Vec<Expr>,
    known: HashMap<Expr, usize>,
}

impl Body {
    pub fn new(axes: &[usize]) -> Body {
        Body { axes: axes.to_vec(), exprs: vec![], known: HashMap::new() }
    }

    pub fn intern(&mut self, expr: Expr) -> usize {
        let next = self.exprs.len();
        let at = *self.known.entry(expr.clone()).or_insert(next);
        if at == next {
            self.exprs.push(expr);
        }
        at
    }

    pub fn number(&mut self, value: f64) -> usize {
        self.intern(Expr::Number(value.to_bits()))
    }
}

/// The tensors of a kernel under construction, and the results whose values it has at hand.
pub struct Scope<'a> {
    pub draft: &'a Draft,
    pub layout: &'a Layout,
    pub tensors: &'a mut Vec<Tensor>,
    /// Made steps that the kernel stores whole and in order, with their values in `outer`.
    pub members: &'a [(usize, usize)],
}

impl Scope<'_> {
    /// The number of a tensor in the kernel.
    pub fn tensor(&mut self, buffer: usize, written: bool) -> usize {
        let known = self.tensors.iter().position(|tensor| tensor.buffer == buffer);
        let at = known.unwrap_or_else(|| {
            self.tensors.push(Tensor { buffer, written });
            self.tensors.len() - 1
        });
        self.tensors[at].written |= written;
        at
    }

    /// The access of a view whose elements are those of `axes`; none where strides cannot say it.
    pub fn access(&mut self, owner: usize, written: bool, view: View, axes: &[usize]) -> Option<Access> {
        if axes.len() > MAX_RANK {
            return None;
        }
        let view = if axes == &view.shape[..] { view } else { view.reshape(Shape::new(axes))? };
        let tensor = self.tensor(owner, written);
        Some(Access { tensor, offset: view.offset, strides: view.strides.to_vec(), slides: vec![] })
    }

    /// The value of a step over the space of `body`; `root` says that it is to be computed, not read back. None where
    /// the space does not fit, or another result of this kernel would be needed in full.
    pub fn value(&mut self, body: &mut Body, at: usize, root: bool) -> Option<usize> {
        self.build(body, at, root, &mut Vec::new())
    }

    /// The step seen through the views in `above`, outermost first.
    fn build(
        &mut self,
        body: &mut Body,
        at: usize,
        root: bool,
        above: &mut Vec<(Op, Shape)>,
    ) -> Option<usize> {
        if let Some(number) = self.layout.splats[at] {
            return Some(body.number(number));
        }
        if let (false, Some((owner, view))) = (root, self.layout.places[at]) {
            let view = above.iter().rev().try_fold(view, |view, (op, to)| view.apply(op, *to))?;
            return self.leaf(body, owner, view);
        }
        let step = &self.draft.steps[at];
        if is_view(&step.op) {
            // A made view is a copy of its source through the view.
            above.push((step.op, step.shape));
            let expr = self.build(body, step.inputs[0], false, above);
            above.pop();
            return expr;
        }
        let mut args = Vec::with_capacity(step.inputs.len());
        for input in &step.inputs {
            args.push(self.build(body, *input, false, above)?);
        }
        Some(if step.op == Op::StopGradient { args[0] } else { body.intern(Expr::Op(step.op, args)) })
    }

    fn leaf(&mut self, body: &mut Body, owner: usize, view: View) -> Option<usize> {
        if let Some((_, value)) = self.members.iter().find(|(step, _)| *step == owner) {
            let whole = view.contiguous() && view.offset == 0;
            return (whole && view.shape.size() == self.draft.steps[owner].shape.size()).then_some(*value);
        }
        if self.tensors.iter().any(|tensor| tensor.buffer == owner && tensor.written) {
            return None;
        }
        let axes = body.axes.clone();
        let access = self.access(owner, false, view, &axes)?;
        Some(body.intern(Expr::Load(access, None)))
    }
}
