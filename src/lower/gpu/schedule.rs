//! Kernels in the order they run, in two stages.

use super::body::Scope;
use super::build::{Build, Task};
use super::kernel::{Access, Expr, Kernel, Meet, Reduce, Row, Schedule, Slide, Tensor, Tile};
use super::layout::Layout;
use super::product::Sides;
use super::{simplify, split};
use crate::graph::window::{Image, Window};
use crate::graph::{Op, Shape};
use crate::lower::doors::Doors;
use crate::lower::draft::Draft;
use crate::lower::view::View;
use std::collections::HashMap;

/// A kernel to join is looked for so many kernels back.
const LOOK_BACK: usize = 24;

struct Scheduler<'a> {
    draft: &'a Draft,
    layout: &'a Layout,
    items: Vec<Build>,
    /// The first item of the stage.
    first: usize,
    /// The item after which each made step is complete.
    ready: HashMap<usize, usize>,
}

/// The kernels of both stages. Tensors name buffers by step; results that are copied have the number of steps plus
/// their position in `doors.results`, and parts of sums the numbers after those.
pub fn kernels(draft: &Draft, layout: &Layout, doors: &Doors) -> [Vec<Kernel>; 2] {
    let mut s = Scheduler { draft, layout, items: Vec::new(), first: 0, ready: HashMap::new() };
    let direct = doors.direct(draft, &layout.places, &layout.made);
    for late in [false, true] {
        if late {
            s.first = s.items.len();
        }
        for at in (0..draft.steps.len()).filter(|at| layout.made[*at] && doors.late[*at] == late) {
            if draft.steps[at].shape.size() > 0 {
                s.make(at);
            }
        }
        let copied = |number: &usize| direct[*number].is_none() && doors.late_result(*number) == late;
        for number in (0..direct.len()).filter(copied) {
            let step = doors.results[number].0;
            let (shape, buffer) = (draft.steps[step].shape, draft.steps.len() + number);
            if shape.size() > 0 {
                let task = Task { step: buffer, source: step, buffer, view: View::whole(shape) };
                s.result(task, &layout.leaves[step]);
            }
        }
    }
    let first_late = s.first;
    let mut early = drop_unread(s.items, draft.steps.len(), &direct);
    let late = early.split_off(first_late);
    // Buffers of parted sums have the numbers after those of the results.
    let mut next = draft.steps.len() + direct.len();
    [early, late].map(|items| {
        let alive = items.into_iter().filter(|item| !item.stores.is_empty());
        let made = alive.map(|item| simplify::kernel(item.finish())).flat_map(|kernel| {
            let parts = split::kernel(kernel, next);
            next += usize::from(parts.len() > 1);
            parts
        });
        made.collect()
    })
}

impl Scheduler<'_> {
    fn make(&mut self, at: usize) {
        let step = &self.draft.steps[at];
        let view = View::whole(step.shape);
        let reads = self.layout.reads(self.draft, at);
        let task = Task { step: at, source: at, buffer: at, view };
        match step.op {
            Op::Sum(_) | Op::MaxReduce(_) => self.reduction(task),
            Op::Pad { before, .. } => self.padding(task, before),
            Op::Concat(axis) => {
                let (mut start, axis) = (Shape::new(&vec![0; step.shape.len()]), usize::from(axis));
                for source in &step.inputs {
                    let shape = self.draft.steps[*source].shape;
                    let end: Vec<usize> = (0..shape.len()).map(|i| start[i] + shape[i]).collect();
                    let slice = Op::Slice { start, end: Shape::new(&end) };
                    let view = view.apply(&slice, shape).expect("a slice is always a view");
                    if shape.size() > 0 {
                        self.result(
                            Task { source: *source, view, ..task },
                            &self.layout.leaves[*source].clone(),
                        );
                    }
                    start = start.with(axis, start[axis] + shape[axis]);
                }
            }
            Op::Fold(window, _) if self.layout.source[at].is_some() => self.images(task, window),
            Op::MatMul { .. } => self.product(task),
            Op::Gather => self.gather(task),
            Op::Scatter(_) => self.scatter(task),
            Op::Unfold(window) => self.unfold(task, window),
            Op::Fold(window, _) => self.fold(task, window),
            // A copy in the order of the source: as a view the new shape may not exist.
            Op::Reshape(_) if self.layout.splats[at].is_none() => {
                let source = step.inputs[0];
                let view = View::whole(self.draft.steps[source].shape);
                self.result(Task { source, view, ..task }, &reads);
            }
            _ => self.result(task, &reads),
        }
    }

    fn label(&self, task: Task) -> String {
        self.draft.steps[task.source].label.to_string()
    }

    /// Elementwise work: joins the latest kernel with as many results that runs after everything that it reads, or
    /// becomes a new one.
    fn result(&mut self, task: Task, reads: &[usize]) {
        let after = reads.iter().filter_map(|read| self.ready.get(read)).max().copied();
        // A buffer that several kernels fill is complete after the last of them.
        let partial = self.ready.get(&task.step).copied();
        let from = self.first.max(self.items.len().saturating_sub(LOOK_BACK));
        for number in (from..self.items.len()).rev() {
            if after.is_some_and(|after| after > number) || partial.is_some_and(|p| p >= number) {
                break;
            }
            if !reads.iter().any(|read| self.items[number].reads(*read)) {
                continue;
            }
            if let Some(joined) = self.items[number].with(self.draft, self.layout, task) {
                self.items[number] = joined;
                self.done(task.step, number);
                return;
            }
        }
        let build = Build::new(&self.label(task), &self.draft.steps[task.source].shape, &[]);
        let build = build.with(self.draft, self.layout, task).expect("a new kernel takes any result");
        self.push(task.step, build);
    }

    fn push(&mut self, step: usize, build: Build) {
        self.items.push(build);
        self.done(step, self.items.len() - 1);
    }

    fn done(&mut self, step: usize, number: usize) {
        let ready = self.ready.entry(step).or_insert(number);
        *ready = number.max(*ready);
    }

    /// A kernel whose inner value is made by `inner` and whose total is all of the step.
    fn total(&mut self, task: Task, mut build: Build, meet: Meet, value: usize) {
        if build.lengths[build.outer.axes.len()..].contains(&0) {
            // Nothing meets: the sum of nothing.
            build.lengths.truncate(build.outer.axes.len());
            build.inner = super::body::Body::new(&build.lengths);
            build.tensors.clear();
            let zero = build.outer.number(0.0);
            build.store(self.draft, self.layout, task, zero).expect("a new kernel takes its own result");
        } else {
            build.reduce = Some(Reduce { meet, value });
            let total = build.total();
            build.store(self.draft, self.layout, task, total).expect("a new kernel takes its own result");
        }
        self.push(task.step, build);
    }

    /// Kept axes first, then the reduced ones.
    fn reduction(&mut self, task: Task) {
        let step = &self.draft.steps[task.step];
        let source = step.inputs[0];
        let shape = self.draft.steps[source].shape;
        let (meet, mask) = match step.op {
            Op::Sum(mask) => (Meet::Sum, mask),
            Op::MaxReduce(mask) => (Meet::Max, mask),
            _ => unreachable!("the caller has a reduction"),
        };
        let reduced = |axis: &usize| mask >> axis & 1 == 1;
        let axes =
            |wanted: bool| (0..shape.len()).filter(move |axis| reduced(axis) == wanted).collect::<Vec<_>>();
        let (kept, gone) = (axes(false), axes(true));
        let length = |axes: &[usize]| axes.iter().map(|axis| shape[*axis]).collect::<Vec<_>>();
        let mut build = Build::new(&self.label(task), &length(&kept), &length(&gone));
        // The value over the axes in their own order, then brought into the kernel's.
        let mut body = super::body::Body::new(&shape);
        let mut scope = Build::scope(&mut build.tensors, &[], self.draft, self.layout);
        let value = scope.value(&mut body, source, false).expect("a new kernel takes any result");
        let order = [&kept[..], &gone].concat();
        for expr in &mut body.exprs {
            if let Expr::Load(access, _) = expr {
                access.strides = order.iter().map(|axis| access.strides[*axis]).collect();
            }
        }
        build.inner.exprs = body.exprs;
        self.total(task, build, meet, value);
    }

    fn whole(&self, scope: &mut Scope<'_>, step: usize) -> Access {
        let (owner, view) = self.layout.places[step].expect("what is read through an address lies in memory");
        let axes = view.shape.to_vec();
        scope.access(owner, false, view, &axes).expect("a view has its own axes")
    }

    fn padding(&mut self, task: Task, before: Shape) {
        let step = &self.draft.steps[task.step];
        let source = step.inputs[0];
        let mut build = Build::new(&self.label(task), &step.shape, &[]);
        let mut scope = Build::scope(&mut build.tensors, &[], self.draft, self.layout);
        let mut access = self.whole(&mut scope, source);
        let inside = self.draft.steps[source].shape;
        for axis in (0..inside.len()).filter(|axis| inside[*axis] != step.shape[*axis]) {
            let stride = std::mem::take(&mut access.strides[axis]);
            let (terms, add) = (vec![(axis, 1)], -(before[axis] as i64));
            access.slides.push(Slide { terms, add, divide: 1, length: inside[axis], stride });
        }
        let value = if inside.size() == 0 {
            build.tensors.clear();
            build.outer.number(0.0)
        } else {
            build.outer.intern(Expr::Load(access, None))
        };
        build.store(self.draft, self.layout, task, value).expect("a new kernel takes its own result");
        self.push(task.step, build);
    }

    fn product(&mut self, task: Task) {
        let step = &self.draft.steps[task.step];
        let mut tensors = Vec::new();
        let mut scope = Build::scope(&mut tensors, &[], self.draft, self.layout);
        let sides = match self.layout.source[task.step] {
            Some(unfold) => scope.patches(step, &self.draft.steps[unfold]),
            None => Some(scope.plain(step)),
        };
        self.multiply(task, sides.expect("the layout has tried this"), tensors);
    }

    /// The gradient of a convolution for its images: a kernel for every rest that pixels leave when divided by the steps
    /// of the windows.
    fn images(&mut self, task: Task, window: Window) {
        let step = &self.draft.steps[task.step];
        let product = self.layout.source[task.step].expect("the layout has paired them");
        let [down, across] = window.stride;
        for rest in (0..down).flat_map(|row| (0..across).map(move |column| [row, column])) {
            let mut tensors = Vec::new();
            let mut scope = Build::scope(&mut tensors, &[], self.draft, self.layout);
            let sides = scope.images(step, &self.draft.steps[product], rest);
            let sides = sides.expect("the layout has tried this");
            let axes = [&sides.batch[..], &sides.rows, &sides.columns].concat();
            if axes.contains(&0) {
                continue;
            }
            let view = match window.stride {
                [1, 1] => task.view,
                _ => {
                    let (_, image) =
                        Window::image(step.shape).expect("the row of the table checked the shape");
                    let whole = [axes[0], axes[1], image.height, image.width, image.channels];
                    let view = task.view.reshape(Shape::new(&whole)).expect("a whole tensor has any shape");
                    let mut strides = view.strides.to_vec();
                    let offset = view.offset + rest[0] * strides[2] + rest[1] * strides[3];
                    (strides[2], strides[3]) = (strides[2] * down, strides[3] * across);
                    View { shape: Shape::new(&axes), strides: Shape::new(&strides), offset }
                }
            };
            self.multiply(Task { view, ..task }, sides, tensors);
        }
    }

    fn multiply(&mut self, task: Task, sides: Sides, tensors: Vec<Tensor>) {
        let Sides { batch, rows, columns, inner, a, b } = sides;
        let (first, last) = (batch.len(), batch.len() + rows.len());
        let mut build = Build::new(&self.label(task), &[&batch[..], &rows, &columns].concat(), &inner);
        build.tensors = tensors;
        let a = build.inner.intern(Expr::Load(a, None));
        let b = build.inner.intern(Expr::Load(b, None));
        let value = build.inner.intern(Expr::Op(Op::Mul, vec![a, b]));
        build.schedule = Some(Schedule::Tiled { rows: first, columns: last, tile: Tile::default() });
        self.total(task, build, Meet::Sum, value);
    }

    fn gather(&mut self, task: Task) {
        let step = &self.draft.steps[task.step];
        let (table, index) = (step.inputs[0], step.inputs[1]);
        let rows = self.draft.steps[table].shape[0];
        let mut build = Build::new(&self.label(task), &step.shape, &[]);
        let mut scope = Build::scope(&mut build.tensors, &[], self.draft, self.layout);
        let (mut row, mut at) = (self.whole(&mut scope, table), self.whole(&mut scope, index));
        let stride = std::mem::take(&mut row.strides[0]);
        at.strides.resize(step.shape.len(), 0);
        let value = if rows == 0 {
            build.tensors.clear();
            build.outer.number(0.0)
        } else {
            let index = build.outer.intern(Expr::Load(at, None));
            build.outer.intern(Expr::Load(row, Some(Row { index, rows, stride })))
        };
        build.store(self.draft, self.layout, task, value).expect("a new kernel takes its own result");
        self.push(task.step, build);
    }

    /// A row of the table is the sum of all values whose index is in [row, row + 1).
    fn scatter(&mut self, task: Task) {
        let step = &self.draft.steps[task.step];
        let (values, index) = (step.inputs[0], step.inputs[1]);
        let count = self.draft.steps[values].shape[0];
        let mut build = Build::new(&self.label(task), &step.shape, &[count]);
        let mut scope = Build::scope(&mut build.tensors, &[], self.draft, self.layout);
        let (mut from, mut at) = (self.whole(&mut scope, values), self.whole(&mut scope, index));
        let (rank, stride) = (step.shape.len(), std::mem::take(&mut from.strides[0]));
        from.strides.push(stride);
        at.strides = [&vec![0; rank][..], &at.strides].concat();
        let body = &mut build.inner;
        let (row, one, zero) = (body.intern(Expr::Coordinate(0)), body.number(1.0), body.number(0.0));
        let next = body.intern(Expr::Op(Op::Add, vec![row, one]));
        let (from, at) = (body.intern(Expr::Load(from, None)), body.intern(Expr::Load(at, None)));
        let below = body.intern(Expr::Op(Op::LessThan, vec![at, row]));
        let under = body.intern(Expr::Op(Op::LessThan, vec![at, next]));
        let inside = body.intern(Expr::Op(Op::Select, vec![under, from, zero]));
        let value = body.intern(Expr::Op(Op::Select, vec![below, zero, inside]));
        self.total(task, build, Meet::Sum, value);
    }

    /// Patches that something else than a product reads.
    fn unfold(&mut self, task: Task, window: Window) {
        let step = &self.draft.steps[task.step];
        let from = self.draft.steps[step.inputs[0]].shape;
        let (_, image) = Window::image(from).expect("the row of the table checked the shape");
        let (lead, rank) = (&from[..from.len() - 3], from.len());
        let [p, q] = window.kernel;
        let patches = [&step.shape[..rank - 1], &[p, q, image.channels]].concat();
        let mut build = Build::new(&self.label(task), &patches, &[]);
        let mut scope = Build::scope(&mut build.tensors, &[], self.draft, self.layout);
        let mut access = self.whole(&mut scope, step.inputs[0]);
        let s = access.strides.clone();
        let slide = |axis: usize, length: usize, stride: usize| Slide {
            terms: vec![(lead.len() + axis, window.stride[axis] as i64), (rank - 1 + axis, 1)],
            add: -(window.before[axis] as i64),
            divide: 1,
            length,
            stride,
        };
        access.slides = vec![slide(0, image.height, s[rank - 3]), slide(1, image.width, s[rank - 2])];
        access.strides = [&s[..lead.len()], &[0, 0, 0, 0, s[rank - 1]]].concat();
        let value = build.outer.intern(Expr::Load(access, None));
        self.store_patches(task, build, value, patches);
    }

    /// A store whose axes are more than a view may have: the buffer in its order.
    fn store_patches(&mut self, task: Task, mut build: Build, value: usize, axes: Vec<usize>) {
        let mut strides = vec![1; axes.len()];
        (0..axes.len() - 1).rev().for_each(|axis| strides[axis] = strides[axis + 1] * axes[axis + 1]);
        let mut scope = Build::scope(&mut build.tensors, &[], self.draft, self.layout);
        let tensor = scope.tensor(task.buffer, true);
        let access = Access { tensor, offset: 0, strides, slides: vec![] };
        build.stores.push((task.step, super::kernel::Store { access, value }));
        self.push(task.step, build);
    }

    /// Images from patches that something else than a product makes: a pixel adds up the taps that saw it.
    fn fold(&mut self, task: Task, window: Window) {
        let step = &self.draft.steps[task.step];
        let (_, image) = Window::image(step.shape).expect("the row of the table checked the shape");
        let Image { channels, .. } = image;
        let [down, across] = window.count(image).expect("the row of the table checked the windows");
        let (rank, [p, q]) = (step.shape.len(), window.kernel);
        let lead = rank - 3;
        let mut build = Build::new(&self.label(task), &step.shape, &[p, q]);
        let mut scope = Build::scope(&mut build.tensors, &[], self.draft, self.layout);
        let mut access = self.whole(&mut scope, step.inputs[0]);
        let s = access.strides.clone();
        let slide = |axis: usize, length: usize| Slide {
            terms: vec![(lead + axis, 1), (rank + axis, -1)],
            add: window.before[axis] as i64,
            divide: window.stride[axis],
            length,
            stride: s[lead + axis],
        };
        access.slides = vec![slide(0, down), slide(1, across)];
        let tap = s[rank - 1] * channels;
        access.strides = [&s[..lead], &[0, 0, s[rank - 1], tap * q, tap]].concat();
        let value = build.inner.intern(Expr::Load(access, None));
        self.total(task, build, Meet::Sum, value);
    }
}

/// A result that only its own kernel reads needs no memory.
fn drop_unread(mut items: Vec<Build>, steps: usize, direct: &[Option<usize>]) -> Vec<Build> {
    let mut read = vec![false; steps];
    direct.iter().flatten().for_each(|step| read[*step] = true);
    for tensor in items.iter().flat_map(|item| &item.tensors).filter(|tensor| !tensor.written) {
        read[tensor.buffer] = true;
    }
    for item in &mut items {
        item.stores.retain(|(step, _)| *step >= steps || read[*step]);
    }
    items
}
