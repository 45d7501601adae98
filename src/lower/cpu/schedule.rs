//! Kernels in the order they run, in two stages.

use super::cluster::{Cluster, Task};
use super::conv::{Conv, Wanted};
use super::fill::Fill;
use super::kernel::{Address, Kernel};
use super::layout::Layout;
use super::map::Meet;
use super::product::{Batch, Product, Side};
use super::rows::Rows;
use super::select::select;
use super::view::View;
use super::windows::Windows;
use crate::graph::{Op, Shape, Window};
use crate::lower::doors::Doors;
use crate::lower::draft::{Draft, Step};
use std::collections::HashMap;

/// A cluster is looked for so many kernels back when a result wants to join one.
const LOOK_BACK: usize = 12;
const MAX_TENSORS: usize = 20;
const MAX_EXPRESSIONS: usize = 64;

/// A kernel, or the cluster that becomes one.
enum Item {
    Kernel(Kernel),
    Cluster(Box<Cluster>),
}

struct Scheduler<'a> {
    draft: &'a Draft,
    layout: &'a Layout,
    items: Vec<Item>,
    /// The first item of the stage.
    first: usize,
    /// The item after which each made step is complete.
    ready: HashMap<usize, usize>,
}

/// The kernels of both stages; addresses name buffers by step, results that are copied by the number of steps plus
/// their position in `doors.results`.
pub fn kernels(draft: &Draft, layout: &Layout, doors: &Doors) -> [Vec<Kernel>; 2] {
    let mut s = Scheduler { draft, layout, items: Vec::new(), first: 0, ready: HashMap::new() };
    let direct = doors.direct(draft, &layout.places, &layout.made);
    for late in [false, true] {
        if late {
            s.first = s.items.len();
        }
        for at in (0..draft.steps.len()).filter(|at| layout.made[*at] && doors.late[*at] == late) {
            s.make(at);
        }
        let copied = |number: &usize| direct[*number].is_none() && doors.late_result(*number) == late;
        for number in (0..direct.len()).filter(copied) {
            let step = doors.results[number].0;
            let shape = draft.steps[step].shape;
            let (buffer, view) = (draft.steps.len() + number, View::whole(shape));
            s.result(
                Task { step: buffer, source: step, buffer, view, meet: Meet::Store },
                &layout.leaves[step],
            );
        }
    }
    let results: Vec<usize> = direct.into_iter().flatten().collect();
    let split = s.first;
    let mut items = drop_unread(s.items, draft.steps.len(), &results).into_iter();
    let build = |item: Item| match item {
        Item::Kernel(kernel) => kernel,
        Item::Cluster(cluster) => Kernel::Map(select(&cluster).expect("a cluster grows only while it fits")),
    };
    let early = items.by_ref().take(split).filter(alive).map(build).collect();
    [early, items.filter(alive).map(build).collect()]
}

fn alive(item: &Item) -> bool {
    match item {
        Item::Kernel(_) => true,
        Item::Cluster(cluster) => !cluster.members.is_empty(),
    }
}

impl Scheduler<'_> {
    fn make(&mut self, at: usize) {
        let step = &self.draft.steps[at];
        let whole = View::whole(step.shape);
        let reads = self.layout.reads(self.draft, at);
        let task = Task { step: at, source: at, buffer: at, view: whole, meet: Meet::Store };
        match step.op {
            Op::Sum(_) | Op::MaxReduce(_) => {
                let source = step.inputs[0];
                let meet = if matches!(step.op, Op::Sum(_)) { Meet::Sum } else { Meet::Max };
                let view = whole.expand(self.draft.steps[source].shape);
                self.result(Task { source, view, meet, ..task }, &reads);
            }
            Op::Pad { before, .. } => {
                self.fill(at, step.shape.size());
                let source = step.inputs[0];
                self.part(task, source, before);
            }
            Op::Concat(axis) => {
                let mut start = Shape::new(&vec![0; step.shape.len()]);
                let axis = usize::from(axis);
                for source in &step.inputs {
                    self.part(task, *source, start);
                    start = start.with(axis, start[axis] + self.draft.steps[*source].shape[axis]);
                }
            }
            Op::MatMul { transpose_a, transpose_b } => match self.layout.patches.source[at] {
                Some(_) => self.patches(at, at, None),
                None => self.product(at, step, transpose_a, transpose_b),
            },
            Op::Gather | Op::Scatter(_) => self.rows(at, step),
            Op::Fold(window, _) if self.layout.patches.source[at].is_some() => self.images(at, step, window),
            Op::Unfold(window) => self.windows(at, step, window, false),
            Op::Fold(window, _) => self.windows(at, step, window, true),
            Op::Add => match self.layout.patches.source[at] {
                Some(product) => self.patches(at, product, Some(step.inputs[1])),
                None => self.result(task, &reads),
            },
            // A copy in the order of the source: as a view the new shape may not exist.
            Op::Reshape(_) if self.layout.splats[at].is_none() => {
                let source = step.inputs[0];
                let view = View::whole(self.draft.steps[source].shape);
                self.result(Task { source, view, ..task }, &reads);
            }
            _ => self.result(task, &reads),
        }
    }

    /// A part of a larger tensor, from `start` on.
    fn part(&mut self, task: Task, source: usize, start: Shape) {
        let shape = self.draft.steps[source].shape;
        let end: Vec<usize> = (0..shape.len()).map(|i| start[i] + shape[i]).collect();
        let slice = Op::Slice { start, end: Shape::new(&end) };
        let view = task.view.apply(&slice, shape).expect("a slice is always a view");
        self.result(Task { source, view, ..task }, &self.layout.leaves[source].clone());
    }

    fn fill(&mut self, at: usize, count: usize) {
        let to = Address { base: at as u32, offset: 0 };
        self.kernel(at, Kernel::Fill(Fill { to, count, value: 0.0 }));
    }

    fn kernel(&mut self, at: usize, kernel: Kernel) {
        self.items.push(Item::Kernel(kernel));
        self.ready.insert(at, self.items.len() - 1);
    }

    /// Elementwise work: joins the latest cluster over the same space that shares a tensor with it and runs after
    /// everything that it reads, or becomes a new one.
    fn result(&mut self, task: Task, reads: &[usize]) {
        let shape = Cluster::new(self.draft.steps[task.source].shape).shape;
        let after = reads.iter().filter_map(|read| self.ready.get(read)).max().copied();
        // A buffer that several kernels fill is complete after the last of them.
        let partial = self.ready.get(&task.step).copied();
        let from = self.first.max(self.items.len().saturating_sub(LOOK_BACK));
        let mut found = None;
        for number in (from..self.items.len()).rev() {
            if after.is_some_and(|after| after > number) || partial.is_some_and(|p| p >= number) {
                break;
            }
            let Item::Cluster(cluster) = &self.items[number] else { continue };
            let shares = cluster.leaves.iter().any(|(buffer, _)| reads.contains(buffer))
                || cluster.members.iter().any(|member| reads.contains(&member.step));
            if cluster.shape != shape || !shares {
                continue;
            }
            let joined = cluster.with(self.draft, self.layout, task);
            let fits = |c: &Cluster| {
                c.leaves.len() + c.members.len() <= MAX_TENSORS
                    && c.exprs.len() <= MAX_EXPRESSIONS
                    && select(c).is_some()
            };
            if let Some(joined) = joined.filter(fits) {
                found = Some((number, joined));
                break;
            }
        }
        let number = match found {
            Some((number, joined)) => {
                self.items[number] = Item::Cluster(Box::new(joined));
                number
            }
            None => {
                let cluster = Cluster::new(shape).with(self.draft, self.layout, task);
                let cluster = cluster.expect("a new cluster takes any result");
                self.items.push(Item::Cluster(Box::new(cluster)));
                self.items.len() - 1
            }
        };
        let ready = self.ready.entry(task.step).or_insert(number);
        *ready = number.max(*ready);
    }

    fn place(&self, step: usize) -> (Address, View) {
        let (owner, view) = self.layout.places[step].expect("what is read through an address lies in memory");
        (Address { base: owner as u32, offset: view.offset }, view)
    }

    fn product(&mut self, at: usize, step: &Step, transpose_a: bool, transpose_b: bool) {
        let rank = step.shape.len();
        let side = |input: usize, transposed: bool| {
            let (at, view) = self.place(input);
            let (row, column) = (view.strides[rank - 2], view.strides[rank - 1]);
            let (row, column) = if transposed { (column, row) } else { (row, column) };
            (Side { at, row, column }, view)
        };
        let ((a, of_a), (b, of_b)) = (side(step.inputs[0], transpose_a), side(step.inputs[1], transpose_b));
        let (m, n) = (step.shape[rank - 2], step.shape[rank - 1]);
        let k = of_a.shape[if transpose_a { rank - 2 } else { rank - 1 }];
        let batch =
            |axis: usize| Batch { length: step.shape[axis], a: of_a.strides[axis], b: of_b.strides[axis] };
        let batches: Vec<Batch> = (0..rank - 2).filter(|axis| step.shape[*axis] != 1).map(batch).collect();
        let to = Address { base: at as u32, offset: 0 };
        let product = Product { m, n, k, a, b, to, add: false, batches };
        if product.flops() == 0 {
            self.fill(at, step.shape.size());
        } else {
            self.kernel(at, Kernel::Product(product));
        }
    }

    /// A matrix as the product sees it: the next row and column.
    fn side(&self, input: usize, transposed: bool) -> Side {
        let (at, view) = self.place(input);
        let rank = view.shape.len();
        let (row, column) = (view.strides[rank - 2], view.strides[rank - 1]);
        let (row, column) = if transposed { (column, row) } else { (row, column) };
        Side { at, row, column }
    }

    /// A product whose left side is patches that exist only in it, perhaps with a row added to each of its rows: the
    /// buffer of step `at`.
    fn patches(&mut self, at: usize, product: usize, bias: Option<usize>) {
        let unfold = self.layout.patches.source[product].map(|unfold| &self.draft.steps[unfold]);
        let step = &self.draft.steps[product];
        let (Op::MatMul { transpose_a, transpose_b }, Some(unfold)) = (step.op, unfold) else {
            unreachable!("only products of an unfold are sources")
        };
        let source = unfold.inputs[0];
        let (Op::Unfold(window), Some((images, image))) =
            (unfold.op, Window::image(self.draft.steps[source].shape))
        else {
            unreachable!("only an unfold makes patches, and its row checked the shape")
        };
        let wanted = if transpose_a { Wanted::Weights } else { Wanted::Outputs };
        let (pictures, other) = (self.place(source).0, self.side(step.inputs[1], transpose_b));
        let to = Address { base: at as u32, offset: 0 };
        let n = step.shape[1];
        let bias = bias.map(|bias| self.place(bias).0);
        let conv =
            Conv { wanted, window, image, images, n, pictures, left: None, other, bias, to, add: false };
        self.kernel(at, Kernel::Conv(Box::new(conv)));
    }

    /// A fold of a product that exists only in it.
    fn images(&mut self, at: usize, step: &Step, window: Window) {
        let product = self.layout.patches.source[at].map(|product| &self.draft.steps[product]);
        let (Some(product), Some((images, image))) = (product, Window::image(step.shape)) else {
            unreachable!("the caller has the product, and the row of the fold checked the shape")
        };
        let Op::MatMul { transpose_a, transpose_b } = product.op else {
            unreachable!("a fold takes in nothing but products")
        };
        let (a, b) = (product.inputs[0], product.inputs[1]);
        let n = self.draft.steps[a].shape[if transpose_a { 0 } else { 1 }];
        let left = Some(self.side(a, transpose_a));
        let other = self.side(b, transpose_b);
        let to = Address { base: at as u32, offset: 0 };
        let wanted = Wanted::Images;
        let conv =
            Conv { wanted, window, image, images, n, pictures: to, left, other, bias: None, to, add: false };
        self.kernel(at, Kernel::Conv(Box::new(conv)));
    }

    fn windows(&mut self, at: usize, step: &Step, window: Window, fold: bool) {
        let from = self.place(step.inputs[0]).0;
        let of = if fold { step.shape } else { self.draft.steps[step.inputs[0]].shape };
        let (images, image) = Window::image(of).expect("the row of the table checked the shape");
        let to = Address { base: at as u32, offset: 0 };
        self.kernel(at, Kernel::Windows(Windows { fold, window, image, images, from, to }));
    }

    fn rows(&mut self, at: usize, step: &Step) {
        let (from, index) = (self.place(step.inputs[0]).0, self.place(step.inputs[1]).0);
        let source = self.draft.steps[step.inputs[0]].shape;
        let count = self.draft.steps[step.inputs[1]].shape[0];
        let scatter = matches!(step.op, Op::Scatter(_));
        let rows = if scatter { step.shape[0] } else { source[0] };
        let width = source[1..].iter().product();
        let to = Address { base: at as u32, offset: 0 };
        self.kernel(at, Kernel::Rows(Rows { scatter, from, index, to, rows, count, width }));
    }
}

/// A result that only its own cluster reads stays in a register.
fn drop_unread(mut items: Vec<Item>, steps: usize, results: &[usize]) -> Vec<Item> {
    let mut read = vec![false; steps];
    results.iter().for_each(|step| read[*step] = true);
    for item in &mut items {
        match item {
            Item::Cluster(cluster) => cluster.leaves.iter().for_each(|(buffer, _)| read[*buffer] = true),
            Item::Kernel(kernel) => kernel.addresses(&mut |address, access, _| {
                if access == super::kernel::Access::Read {
                    read[address.base as usize] = true;
                }
            }),
        }
    }
    for item in &mut items {
        if let Item::Cluster(cluster) = item {
            cluster.members.retain(|member| member.step >= steps || read[member.step]);
        }
    }
    items
}
