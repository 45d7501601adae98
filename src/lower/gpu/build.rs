//! A kernel under construction: results join it while they share its iteration space.

use super::body::{Body, Scope};
use super::kernel::{Expr, Kernel, Reduce, Schedule, Store, Tensor};
use super::layout::Layout;
use crate::lower::draft::Draft;
use crate::lower::view::View;

/// What one kernel may bind, and compute for one result.
const MAX_TENSORS: usize = 30;
const MAX_EXPRESSIONS: usize = 160;

/// One result: the value of `source`, written to `buffer` through a view whose elements are those of `source`.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub step: usize,
    pub source: usize,
    pub buffer: usize,
    pub view: View,
}

#[derive(Clone, Debug)]
pub struct Build {
    pub label: String,
    pub tensors: Vec<Tensor>,
    /// All axes; the first ones are those of `outer`.
    pub lengths: Vec<usize>,
    pub inner: Body,
    pub reduce: Option<Reduce>,
    pub outer: Body,
    pub stores: Vec<(usize, Store)>,
    /// Steps stored whole and in order, with their values.
    pub members: Vec<(usize, usize)>,
    pub schedule: Option<Schedule>,
}

impl Build {
    /// Over `kept` and, if something meets, `reduced` axes.
    pub fn new(label: &str, kept: &[usize], reduced: &[usize]) -> Build {
        let lengths = [kept, reduced].concat();
        Build {
            label: label.to_string(),
            tensors: vec![],
            inner: Body::new(&lengths),
            lengths,
            reduce: None,
            outer: Body::new(kept),
            stores: vec![],
            members: vec![],
            schedule: None,
        }
    }

    /// The scope in which expressions of this kernel are built.
    pub fn scope<'a>(
        tensors: &'a mut Vec<Tensor>,
        members: &'a [(usize, usize)],
        draft: &'a Draft,
        layout: &'a Layout,
    ) -> Scope<'a> {
        Scope { draft, layout, tensors, members }
    }

    pub fn total(&mut self) -> usize {
        self.outer.intern(Expr::Total)
    }

    /// Stores `value` (of `outer`) as all of the buffer of `step`, in order.
    pub fn store(&mut self, draft: &Draft, layout: &Layout, task: Task, value: usize) -> Option<()> {
        let axes = self.outer.axes.clone();
        let mut scope = Build::scope(&mut self.tensors, &[], draft, layout);
        let access = scope.access(task.buffer, true, task.view, &axes)?;
        if task.view.contiguous() && task.step < draft.steps.len() {
            let whole =
                task.view.offset == 0 && task.view.shape.size() == draft.steps[task.step].shape.size();
            if whole {
                self.members.push((task.step, value));
            }
        }
        self.stores.push((task.step, Store { access, value }));
        Some(())
    }

    /// The kernel with one more elementwise result; none where it does not fit.
    pub fn with(&self, draft: &Draft, layout: &Layout, task: Task) -> Option<Build> {
        if self.outer.axes.iter().product::<usize>() != draft.steps[task.source].shape.size() {
            return None;
        }
        let mut build = self.clone();
        let mut outer = build.outer.clone();
        let mut scope = Build::scope(&mut build.tensors, &self.members, draft, layout);
        let value = scope.value(&mut outer, task.source, task.source == task.step)?;
        build.outer = outer;
        build.store(draft, layout, task, value)?;
        let fits = build.tensors.len() <= MAX_TENSORS && build.outer.exprs.len() <= MAX_EXPRESSIONS;
        fits.then_some(build)
    }

    pub fn reads(&self, buffer: usize) -> bool {
        self.tensors.iter().any(|tensor| tensor.buffer == buffer)
    }

    /// Drops what nothing stores or reads, and unused axes.
    pub fn finish(self) -> Kernel {
        let kept = self.outer.axes.len();
        Kernel {
            label: self.label,
            tensors: self.tensors,
            lengths: self.lengths,
            kept,
            inner: self.inner.exprs,
            reduce: self.reduce,
            outer: self.outer.exprs,
            stores: self.stores.into_iter().map(|(_, store)| store).collect(),
            schedule: self.schedule.unwrap_or(Schedule::Flat),
        }
    }
}
