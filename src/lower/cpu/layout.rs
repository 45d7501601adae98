//! Which tensors exist in memory.
//!
//! A tensor is made (written to a buffer) when something needs to find it there, or when computing it again inside
//! each reader would cost more than reading it. Reshapes, permutations, repetitions and slices of what is in memory
//! are views. Everything else is inline: part of the expression of the kernel that reads it.

use super::patches::Patches;
use super::view::View;
use crate::graph::{Op, Shape};
use crate::lower::doors::Doors;
use crate::lower::draft::{Draft, elementwise};
use crate::lower::inline::{expensive, is_view, merge, splats};

/// An inline tensor with several readers is computed in each of them if it takes at most so many operations …
const CHEAP_OPERATIONS: usize = 2;
/// … on at most so many tensors.
const CHEAP_LEAVES: usize = 2;
/// A tensor too large for the cache is computed again rather than written and read again if it takes at most so many
/// operations …
const STREAM_OPERATIONS: usize = 8;
/// … and reading what it is made of costs at most so many times its own size.
const STREAM_READS: f64 = 1.6;
/// Floats of a tensor that a core's cache does not hold beside others.
const STREAM_FLOATS: usize = 1 << 16;
/// Beyond these a single reader does not inline either: a map has few registers.
const MAX_OPERATIONS: usize = 24;
const MAX_LEAVES: usize = 10;

/// What is known about each step; the vectors run in parallel with the draft's steps.
pub struct Layout {
    /// The number a step holds everywhere.
    pub splats: Vec<Option<f64>>,
    /// The step whose buffer holds the tensor, and where in it.
    pub places: Vec<Option<(usize, View)>>,
    /// Whether a kernel writes a buffer for the step.
    pub made: Vec<bool>,
    /// The made steps and inputs that an inline step reads in the end; for one in memory its owner.
    pub leaves: Vec<Vec<usize>>,
    pub patches: Patches,
}

/// What the readers of a step ask of it.
#[derive(Clone, Copy, Default)]
struct Demand {
    /// Something reads it through an address.
    memory: bool,
    /// Something reads it as rows one after the other.
    dense: bool,
    readers: usize,
    /// A reader runs in the second stage.
    late: bool,
}

impl Layout {
    pub fn of(draft: &Draft, doors: &Doors) -> Layout {
        let count = draft.steps.len();
        let mut layout = Layout {
            splats: splats(draft),
            places: vec![None; count],
            made: vec![false; count],
            leaves: vec![Vec::new(); count],
            patches: Patches::of(draft, doors),
        };
        let demands = demands(draft, doors, &layout);
        // The inline operations below each step, itself included.
        let mut operations: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (at, step) in draft.steps.iter().enumerate() {
            let demand = demands[at];
            let whole = View::whole(step.shape);
            let mut make = false;
            if layout.patches.absent[at] {
                // Part of the kernel of its reader, which reads what this would.
                layout.leaves[at] = layout.reads(draft, at);
                continue;
            }
            if matches!(step.op, Op::Input(_)) {
                layout.places[at] = Some((at, whole));
            } else if layout.splats[at].is_some() {
                make = demand.memory;
            } else if is_view(&step.op) {
                let source = step.inputs[0];
                match layout.places[source] {
                    Some((owner, view)) => match view.apply(&step.op, step.shape) {
                        Some(view) if view.contiguous() || !demand.dense => {
                            layout.places[at] = Some((owner, view));
                        }
                        _ => make = true,
                    },
                    None => operations[at] = operations[source].clone(),
                }
                layout.leaves[at] = layout.leaves[source].clone();
            } else if layout.patches.source[at].is_some() {
                make = true;
            } else if elementwise(&step.op) {
                let mut below = vec![at];
                let mut leaves = Vec::new();
                for input in &step.inputs {
                    merge(&mut below, &operations[*input]);
                    merge(&mut leaves, &layout.leaves[*input]);
                }
                let costly = below.iter().any(|i| expensive(&draft.steps[*i].op));
                let cheap = !costly
                    && (below.len() <= CHEAP_OPERATIONS && leaves.len() <= CHEAP_LEAVES
                        || streams(draft, &leaves, step.shape.size()) && below.len() <= STREAM_OPERATIONS);
                let large = below.len() > MAX_OPERATIONS || leaves.len() > MAX_LEAVES;
                let crosses = demand.late && !doors.late[at];
                make = demand.memory || large || (!cheap && (demand.readers > 1 || crosses));
                layout.leaves[at] = leaves;
                operations[at] = below;
            } else {
                make = true;
            }
            if make {
                layout.made[at] = true;
                layout.places[at] = Some((at, whole));
                operations[at].clear();
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
}

/// Whether an inline tensor can be read through the view: every strided tensor below it has the view, and no
/// element is computed twice.
fn reads_through(op: &Op, from: Shape, to: Shape) -> bool {
    let long = |shape: Shape| shape.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    match op {
        Op::Permute(_) | Op::Slice { .. } => true,
        Op::Reshape(_) => long(from) == long(to) || splits(from, to),
        _ => false,
    }
}

/// Whether every axis of the new shape lies within one of the old: such a reshape is a view of any strides.
fn splits(from: Shape, to: Shape) -> bool {
    let mut new = to.iter().copied().filter(|n| *n != 1);
    from.iter().filter(|n| **n != 1).all(|old| {
        let mut length = 1;
        while length < *old {
            length *= new.next().unwrap_or(*old + 1);
        }
        length == *old
    })
}

/// Whether a tensor of `size` floats is more than a cache holds, and hardly more than reading it is reading what it is
/// made of: the rest are rows and pooled images, which stay in the cache.
fn streams(draft: &Draft, leaves: &[usize], size: usize) -> bool {
    let read: usize = leaves.iter().map(|leaf| draft.steps[*leaf].shape.size()).sum();
    size >= STREAM_FLOATS && read as f64 <= STREAM_READS * size as f64
}

fn demands(draft: &Draft, doors: &Doors, layout: &Layout) -> Vec<Demand> {
    let (splats, patches) = (&layout.splats, &layout.patches);
    let mut demands = vec![Demand::default(); draft.steps.len()];
    for (number, (root, _)) in doors.results.iter().enumerate() {
        demands[*root].memory = true;
        demands[*root].late |= doors.late_result(number);
    }
    for (at, step) in draft.steps.iter().enumerate().rev() {
        let own = demands[at];
        let mut inputs = step.inputs.clone();
        inputs.sort_unstable();
        inputs.dedup();
        for input in inputs {
            let demand = &mut demands[input];
            if is_view(&step.op) {
                if splats[at].is_none() {
                    let through = reads_through(&step.op, draft.steps[input].shape, step.shape);
                    demand.memory |= own.memory || !through;
                    demand.readers += own.readers;
                    demand.late |= own.late;
                }
                continue;
            }
            let rows = matches!(step.op, Op::Gather | Op::Scatter(_) | Op::Unfold(_) | Op::Fold(..));
            demand.memory |= rows || matches!(step.op, Op::MatMul { .. }) || patches.source[at].is_some();
            demand.dense |= rows;
            demand.readers += 1;
            demand.late |= doors.late[at];
        }
    }
    demands
}
