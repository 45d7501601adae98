//! A place for every buffer, decided before anything runs.

use super::kernel::Kernel;
use super::layout::Layout;
use crate::graph::Plan;
use crate::lower::arena::{self, Life};
use crate::lower::doors::Doors;
use crate::lower::draft::Draft;
use std::collections::BTreeMap;

/// Buffers begin at multiples of so many floats: 256 bytes, the coarsest alignment that a device asks for.
pub const LINE: usize = 64;

/// One thread's memory: input ports, output ports, everything in between.
pub const SCRATCH: usize = 0;
/// What the first stage keeps for the second.
pub const KEPT: usize = 1;

/// Where a buffer begins, in floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub memory: usize,
    pub offset: usize,
}

/// The buffers of a program.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub places: BTreeMap<usize, Place>,
    /// Where each port begins in scratch.
    pub inputs: Vec<usize>,
    pub outputs: Vec<usize>,
    pub scratch_floats: usize,
    pub kept_floats: usize,
    /// The largest tensor between the ports: where it was written in the model, and its floats.
    pub largest: Option<(String, usize)>,
}

pub fn plan(plan: &Plan, draft: &Draft, layout: &Layout, doors: &Doors, stages: &[Vec<Kernel>; 2]) -> Memory {
    // What is neither a step nor a copied result is parts of a sum, which their kernel writes whole.
    let parts: BTreeMap<usize, (usize, &str)> = stages
        .iter()
        .flatten()
        .filter_map(|kernel| {
            let written = kernel.tensors.iter().find(|tensor| tensor.written)?;
            let own = written.buffer >= draft.steps.len() + doors.results.len();
            own.then_some((written.buffer, (kernel.results(), kernel.label.as_str())))
        })
        .collect();
    let size = |buffer: usize| match (draft.steps.get(buffer), parts.get(&buffer)) {
        (Some(step), _) => step.shape.size(),
        (None, Some((floats, _))) => *floats,
        (None, None) => draft.steps[doors.results[buffer - draft.steps.len()].0].shape.size(),
    };
    let mut memory = Memory::default();
    let mut top = 0;
    let mut port = |floats: usize| {
        top += floats.next_multiple_of(LINE);
        top - floats.next_multiple_of(LINE)
    };
    memory.inputs = plan.inputs.iter().map(|p| port(p.size())).collect();
    memory.outputs = plan.outputs.iter().map(|p| port(p.size())).collect();
    for (step, (port, offset)) in &doors.inputs {
        memory.places.insert(*step, Place { memory: SCRATCH, offset: memory.inputs[*port] + offset });
    }
    for (number, direct) in doors.direct(draft, &layout.places, &layout.made).into_iter().enumerate() {
        let (port, offset) = doors.results[number].1;
        let place = Place { memory: SCRATCH, offset: memory.outputs[port] + offset };
        memory.places.insert(direct.unwrap_or(draft.steps.len() + number), place);
    }
    let early = stages[0].len();
    let mut lives: BTreeMap<usize, Life> = BTreeMap::new();
    for (number, kernel) in stages.iter().flatten().enumerate() {
        for (tensor, reach) in kernel.reaches() {
            let buffer = kernel.tensors[tensor].buffer;
            assert!(reach <= size(buffer), "a kernel reaches beyond its buffer: {kernel}");
            lives.entry(buffer).or_insert(Life { first: number, last: number }).last = number;
        }
    }
    let mut order: Vec<(usize, Life)> =
        lives.into_iter().filter(|(buffer, _)| !memory.places.contains_key(buffer)).collect();
    order.sort_by_key(|(buffer, life)| (life.first, *buffer));
    let floats = |buffer: usize| size(buffer).next_multiple_of(LINE);
    let mut wanted: Vec<(usize, (usize, Life))> = Vec::with_capacity(order.len());
    for (buffer, life) in order {
        if memory.largest.as_ref().is_none_or(|(_, most)| size(buffer) > *most) {
            let named = |label: &str| if label.is_empty() { String::new() } else { format!(" in {label}") };
            let name = match draft.steps.get(buffer) {
                Some(step) => format!("{} {:?}{}", step.op, step.shape, named(&step.label)),
                None => format!("parts of a sum{}", named(parts[&buffer].1)),
            };
            memory.largest = Some((name, size(buffer)));
        }
        if life.first < early && life.last >= early {
            memory.places.insert(buffer, Place { memory: KEPT, offset: memory.kept_floats });
            memory.kept_floats += floats(buffer);
        } else {
            wanted.push((buffer, (floats(buffer), life)));
        }
    }
    let lives: Vec<(usize, Life)> = wanted.iter().map(|(_, wanted)| *wanted).collect();
    let (offsets, top) = arena::places(top, &lives);
    for ((buffer, _), offset) in wanted.into_iter().zip(offsets) {
        memory.places.insert(buffer, Place { memory: SCRATCH, offset });
    }
    memory.scratch_floats = top;
    memory
}
