//! Which tensors exist in memory.
//!
//! A tensor is made (written to a buffer by a kernel) when something needs to find it there, or when computing it again
//! inside each reader would cost more than reading it. Reshapes, permutations, repetitions and slices of what is in
//! memory are views. Patches that only products read, and products that only a fold reads, never exist: see `product`.
//! Everything else is part of the expression of the kernel that reads it.

use super::body::Scope;
use crate::graph::{Op, Shape, Window};
use crate::lower::doors::Doors;
use crate::lower::draft::{Draft, Step, elementwise};
use crate::lower::inline::{expensive, is_view, merge, splats};
use crate::lower::view::View;

/// An inline tensor with several readers is computed in each of them if it takes at most so many cheap operations …
const CHEAP_OPERATIONS: usize = 8;
/// … on at most so many tensors of its size; what is much smaller, such as one number a channel, is read from caches.
const CHEAP_LEAVES: usize = 3;
/// Beyond these a single reader does not inline either.
const MAX_OPERATIONS: usize = 40;
const MAX_LEAVES: usize = 12;

/// What is known about each step; the vectors run in parallel with the draft's steps.
pub struct Layout {
    /// The number a step holds everywhere.
    pub splats: Vec<Option<f64>>,
    /// The step whose buffer holds the tensor, and where in it.
    pub places: Vec<Option<(usize, View)>>,
    /// Whether a kernel writes a buffer for the step.
    pub made: Vec<bool>,
    /// Whether the step is part of a product or fold that reads it.
    pub absent: Vec<bool>,
    /// For a product the unfold that is its left side; for a fold the product that it takes in.
    pub source: Vec<Option<usize>>,
    /// The made steps and inputs that a step reads in the end; for one in memory its owner.
    pub leaves: Vec<Vec<usize>>,
}

/// What the readers of a step ask of it.
#[derive(Clone, Copy, Default)]
struct Demand {
    /// Something reads it through an address.
    memory: bool,
    readers: usize,
    /// A reader runs in the second stage.
    late: bool,
}

impl Layout {
    pub fn of(draft: &Draft, doors: &Doors) -> Layout {
        let mut refused = Vec::new();
        loop {
            let layout = Layout::without(draft, doors, &refused);
            let wrong = layout.unfit(draft);
            if wrong.is_empty() {
                return layout;
            }
            refused.extend(wrong);
        }
    }

    /// Unfolds and folds whose products cannot take them in, because what the products read lies in memory in no order
    /// that strides could say.
    fn unfit(&self, draft: &Draft) -> Vec<usize> {
        let unfit = |(at, source): (usize, &Option<usize>)| {
            let (step, source) = (&draft.steps[at], (*source)?);
            let mut tensors = Vec::new();
            let mut scope = Scope { draft, layout: self, tensors: &mut tensors, members: &[] };
            let (sides, refused) = match step.op {
                Op::Fold(..) => (scope.images(step, &draft.steps[source], [0, 0]), at),
                _ => (scope.patches(step, &draft.steps[source]), source),
            };
            sides.is_none().then_some(refused)
        };
        self.source.iter().enumerate().filter_map(unfit).collect()
    }

    fn without(draft: &Draft, doors: &Doors, refused: &[usize]) -> Layout {
        let count = draft.steps.len();
        let (absent, source) = convolutions(draft, doors, refused);
        let mut layout = Layout {
            splats: splats(draft),
            places: vec![None; count],
            made: vec![false; count],
            absent,
            source,
            leaves: vec![Vec::new(); count],
        };
        let demands = layout.demands(draft, doors);
        // The inline operations below each step, itself included.
        let mut operations: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (at, step) in draft.steps.iter().enumerate() {
            let (demand, whole) = (demands[at], View::whole(step.shape));
            layout.leaves[at] = layout.reads(draft, at);
            if layout.absent[at] {
                continue;
            }
            let mut make = false;
            if matches!(step.op, Op::Input(_)) {
                layout.places[at] = Some((at, whole));
            } else if layout.splats[at].is_some() {
                make = demand.memory;
            } else if is_view(&step.op) {
                let source = step.inputs[0];
                match layout.places[source] {
                    Some((owner, view)) => match view.apply(&step.op, step.shape) {
                        Some(view) => layout.places[at] = Some((owner, view)),
                        None => make = true,
                    },
                    None => operations[at] = operations[source].clone(),
                }
            } else if elementwise(&step.op) {
                let mut below = vec![at];
                step.inputs.iter().for_each(|input| merge(&mut below, &operations[*input]));
                let leaves = layout.leaves[at].len();
                let large_leaf = |leaf: &&usize| 2 * draft.steps[**leaf].shape.size() > step.shape.size();
                let large_leaves = layout.leaves[at].iter().filter(large_leaf).count();
                let costly = below.iter().any(|i| expensive(&draft.steps[*i].op));
                let cheap = !costly && below.len() <= CHEAP_OPERATIONS && large_leaves <= CHEAP_LEAVES;
                let large = below.len() > MAX_OPERATIONS || leaves > MAX_LEAVES;
                let crosses = demand.late && !doors.late[at];
                make = demand.memory || large || (!cheap && (demand.readers > 1 || crosses));
                operations[at] = below;
            } else {
                make = true;
            }
            if make {
                layout.made[at] = true;
                layout.places[at] = Some((at, whole));
            }
            if let Some((owner, _)) = layout.places[at] {
                layout.leaves[at] = vec![owner];
                operations[at].clear();
            }
        }
        layout
    }

    /// The buffers that the kernel of a made step reads.
    pub fn reads(&self, draft: &Draft, at: usize) -> Vec<usize> {
        let mut reads = Vec::new();
        draft.steps[at].inputs.iter().for_each(|i| merge(&mut reads, &self.leaves[*i]));
        reads
    }

    fn demands(&self, draft: &Draft, doors: &Doors) -> Vec<Demand> {
        let mut demands = vec![Demand::default(); draft.steps.len()];
        for (number, (root, _)) in doors.results.iter().enumerate() {
            let late = demands[*root].late || doors.late_result(number);
            demands[*root] = Demand { memory: true, readers: 1, late };
        }
        for (at, step) in draft.steps.iter().enumerate().rev() {
            let own = demands[at];
            let mut inputs = step.inputs.clone();
            inputs.sort_unstable();
            inputs.dedup();
            for input in inputs {
                let demand = &mut demands[input];
                if is_view(&step.op) {
                    if self.splats[at].is_none() {
                        let through = reads_through(&step.op, draft.steps[input].shape, step.shape);
                        demand.memory |= own.memory || !through;
                        demand.readers += own.readers;
                        demand.late |= own.late;
                    }
                    continue;
                }
                demand.memory |= matches!(
                    step.op,
                    Op::Gather
                        | Op::Scatter(_)
                        | Op::Unfold(_)
                        | Op::Fold(..)
                        | Op::MatMul { .. }
                        | Op::Pad { .. }
                );
                demand.readers += 1;
                demand.late |= doors.late[at];
            }
        }
        demands
    }
}

/// Whether an inline tensor can be read through the view: every strided tensor below it has the view, and no
/// element is computed twice.
fn reads_through(op: &Op, from: Shape, to: Shape) -> bool {
    let long = |shape: Shape| shape.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    match op {
        Op::Permute(_) | Op::Slice { .. } => true,
        Op::Reshape(_) => long(from) == long(to),
        _ => false,
    }
}

/// The steps that convolution kernels take in: absent ones, and what stands in for each product's left side and each
/// fold's product.
fn convolutions(draft: &Draft, doors: &Doors, refused: &[usize]) -> (Vec<bool>, Vec<Option<usize>>) {
    let count = draft.steps.len();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (at, step) in draft.steps.iter().enumerate() {
        step.inputs.iter().for_each(|input| readers[*input].push(at));
    }
    let mut shown = vec![false; count];
    doors.results.iter().for_each(|(step, _)| shown[*step] = true);
    let (mut absent, mut source) = (vec![false; count], vec![None; count]);
    let alone = |at: usize| readers[at].len() == 1 && !shown[at];
    for (at, step) in draft.steps.iter().enumerate() {
        let Op::Fold(window, _) = step.op else { continue };
        let mut chain = vec![];
        let mut from = step.inputs[0];
        while matches!(draft.steps[from].op, Op::Reshape(_)) && alone(from) {
            chain.push(from);
            from = draft.steps[from].inputs[0];
        }
        if alone(from) && !refused.contains(&at) && takes_in(draft, &draft.steps[from], step, window) {
            absent[from] = true;
            chain.iter().for_each(|reshape| absent[*reshape] = true);
            source[at] = Some(from);
        }
    }
    for (at, step) in draft.steps.iter().enumerate().filter(|(_, step)| matches!(step.op, Op::Unfold(_))) {
        let (mut products, mut chain, mut open, mut all) = (vec![], vec![], vec![at], step.shape.size() > 0);
        all &= !refused.contains(&at);
        while let Some(next) = open.pop() {
            all &= !shown[next];
            chain.push(next);
            for reader in &readers[next] {
                match draft.steps[*reader].op {
                    Op::Reshape(_) => open.push(*reader),
                    Op::MatMul { .. } if !absent[*reader] && multiplies(draft, *reader, next, at) => {
                        products.push(*reader);
                    }
                    _ => all = false,
                }
            }
        }
        if all {
            chain.iter().for_each(|step| absent[*step] = true);
            products.iter().for_each(|product| source[*product] = Some(at));
        }
    }
    (absent, source)
}

/// Whether the product's rows are the windows of the fold, batch by batch, and its columns their patches.
fn takes_in(draft: &Draft, product: &Step, fold: &Step, window: Window) -> bool {
    let Op::MatMul { .. } = product.op else { return false };
    let Some((images, image)) = Window::image(fold.shape) else { return false };
    let Some([down, across]) = window.count(image) else { return false };
    let rank = product.shape.len();
    let batches: usize = product.shape[..rank - 2].iter().product();
    let inner = product.inputs.iter().all(|side| draft.steps[*side].shape.size() > 0);
    // At most five kept axes: batch, image, row, column, channel.
    inner
        && product.shape.size() > 0
        && images.is_multiple_of(batches.max(1))
        && product.shape[rank - 1] == window.patch(image)
        && product.shape[rank - 2] == images / batches.max(1) * down * across
}

/// Whether the product reads the patches as its left side only, one window a row, whole images in each batch.
fn multiplies(draft: &Draft, product: usize, side: usize, unfold: usize) -> bool {
    let (step, shape) = (&draft.steps[product], draft.steps[side].shape);
    let rank = shape.len();
    let windows = draft.steps[unfold].shape;
    let images: usize = windows[..windows.len() - 3].iter().product();
    let batches: usize = shape[..rank - 2].iter().product();
    step.inputs[0] == side
        && step.inputs[1] != side
        && shape.last() == windows.last()
        && images.is_multiple_of(batches.max(1))
        && step.shape.size() > 0
}
