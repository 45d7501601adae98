//! The CPU device: kernels over strided views, run one after the other by one thread.
//!
//! `layout` decides which tensors exist in memory (the others are views, or are recomputed inside the kernel that
//! reads them) and `patches` which of those that convolutions multiply, `cluster` fuses elementwise work and reductions
//! into [`map`] kernels, `schedule` orders all kernels in two stages, `pieces` makes a [`chain`] of those between which
//! a large tensor would lie, `bands` cuts what these do to an image into a few rows at a time, `again` repeats what is
//! cheaper to compute than to keep, and `memory` gives every tensor a place. `lanes`, `half`, `math`, `tile`, `runs` and
//! `product` are what runs. Kernels are compiled for several instruction sets and one is chosen when a program is made
//! ([`Isa`]).
//!
//! This room holds the crate's numerical `unsafe`: addresses are checked once, when a program is made, and not
//! again while it runs.

mod again;
mod bands;
mod chain;
mod cluster;
mod conv;
mod fill;
mod gemm;
mod half;
mod isa;
mod kernel;
mod lanes;
mod layout;
mod map;
mod math;
mod memory;
mod patches;
mod pieces;
mod product;
mod rows;
mod runs;
mod schedule;
mod select;
mod tile;
mod windows;
pub mod yardstick;

pub use isa::Isa;
pub(super) use kernel::{Bases, Kernel};
pub use pieces::LARGE;

use super::doors::Doors;
use super::draft::Draft;
use super::program::{PortInfo, Program};
use super::view;
use crate::graph::{Part, Plan};

/// Turns a plan, as the passes left it, into a program; tensors from `large` floats on pass piece by piece where they can.
pub(super) fn program(plan: &Plan, isa: Isa, large: usize) -> Program {
    let ports = || plan.inputs.iter().chain(&plan.outputs);
    let parts = |port: &'_ crate::graph::Port| port.parts.iter().map(|p: &Part| p.node).collect::<Vec<_>>();
    let ids: Vec<_> = ports().flat_map(parts).collect();
    let draft = Draft::read(&plan.graph, &ids);
    let doors = Doors::of(plan, &draft);
    let layout = layout::Layout::of(&draft, &doors);
    let stages = schedule::kernels(&draft, &layout, &doors);
    let outside = memory::outside(&draft, &layout, &doors);
    let size = |buffer: usize| memory::size(&draft, &doors, buffer);
    let buffers = draft.steps.len() + doors.results.len();
    let is_outside = |buffer: usize| outside.contains_key(&buffer);
    let short = stages.each_ref().map(|stage| again::candidates(stage, &size, is_outside, large));
    let mut cut = pieces::cut(stages, &size, buffers, is_outside, large);
    again::repeat_late(&mut cut, short, &size, buffers);
    let planned = memory::plan(&draft, &doors, cut, outside);
    let flops = planned.stages.iter().flatten().map(Kernel::flops).sum();
    Program {
        name: plan.name.clone(),
        inputs: plan.inputs.iter().map(PortInfo::of).collect(),
        outputs: plan.outputs.iter().map(PortInfo::of).collect(),
        stages: planned.stages,
        scratch_floats: planned.scratch_floats,
        kept_floats: planned.kept_floats,
        flops,
        isa,
    }
}
