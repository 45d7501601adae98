//! The CPU device: kernels over strided views, run one after the other by one thread.
//!
//! `layout` decides which tensors exist in memory (the others are views, or are recomputed inside the kernel that
//! reads them) and `patches` which of those that convolutions multiply, `cluster` fuses elementwise work and reductions
//! into [`map`] kernels, `schedule` orders all kernels in two stages, and `memory` gives every tensor a place. `lanes`,
//! `half`, `math`, `tile`, `runs` and `product` are what runs. Kernels are compiled for several instruction sets and one is chosen when a program is made ([`Isa`]).
//!
//! This room holds the crate's numerical `unsafe`: addresses are checked once, when a program is made, and not
//! again while it runs.

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

use super::doors::Doors;
use super::draft::Draft;
use super::program::{PortInfo, Program};
use super::view;
use crate::graph::{Part, Plan};

/// Turns a plan, as the passes left it, into a program.
pub(super) fn program(plan: &Plan, isa: Isa) -> Program {
    let ports = || plan.inputs.iter().chain(&plan.outputs);
    let parts = |port: &'_ crate::graph::Port| port.parts.iter().map(|p: &Part| p.node).collect::<Vec<_>>();
    let ids: Vec<_> = ports().flat_map(parts).collect();
    let draft = Draft::read(&plan.graph, &ids);
    let doors = Doors::of(plan, &draft);
    let layout = layout::Layout::of(&draft, &doors);
    let stages = schedule::kernels(&draft, &layout, &doors);
    let planned = memory::plan(&draft, &layout, &doors, stages);
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
