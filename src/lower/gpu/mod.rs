//! GPU devices: a plan as a short list of [`kernel`]s of one neutral form, printed for each kind of device.
//!
//! `layout` decides which tensors exist in memory, `schedule` turns the rest into kernels (`body` builds their scalar
//! expressions, `product` lays out matrix products and convolutions, `simplify` merges axes and shares the work among
//! threads, `split` parts sums that too few groups of threads would share), `memory` gives every tensor a place, and
//! `order` says what may run at the same time. Every task of a launch is part of the same kernels: the task axis is an
//! axis like any other. Sums have one fixed order and nothing is added atomically, so a device gives the same bytes
//! whenever it runs.
//!
//! [`print`] writes kernels as WGSL (Vulkan, Metal) and CUDA C. What runs them needs cargo features, because graphics
//! drivers are large dependencies: `vulkan`, `metal`, `cuda`, or `gpu` for all. [`interpret`] says on the processor what
//! kernels mean, so that tests need no driver.

mod body;
mod build;
#[cfg(feature = "cuda")]
pub(super) mod cuda;
pub mod driver;
#[cfg(any(feature = "vulkan", feature = "metal"))]
pub(super) mod graphics;
pub mod interpret;
pub mod kernel;
mod layout;
pub mod memory;
pub mod order;
pub mod print;
mod product;
mod schedule;
mod simplify;
mod split;

use super::draft::Draft;
use super::passes;
use super::program::PortInfo;
use crate::graph::Plan;
use kernel::Kernel;
use memory::Memory;
use std::fmt::Write;

/// A plan as kernels with planned memory: what every GPU runs, and what printers print.
#[derive(Clone, Debug)]
pub struct Module {
    pub name: String,
    pub inputs: Vec<PortInfo>,
    pub outputs: Vec<PortInfo>,
    /// Kernels that no late port reaches, then the rest. All are in the second list where no port is late.
    pub stages: [Vec<Kernel>; 2],
    pub memory: Memory,
}

impl Module {
    /// Lowers a plan: the passes that every device shares, then kernels.
    ///
    /// # Panics
    /// When the graph breaks a rule of the op table: a fault of the caller's code.
    pub fn of(mut plan: Plan) -> Module {
        passes::Pipeline::standard().apply(&mut plan);
        let ids: Vec<_> = plan
            .inputs
            .iter()
            .chain(&plan.outputs)
            .flat_map(|port| &port.parts)
            .map(|part| part.node)
            .collect();
        let draft = Draft::read(&plan.graph, &ids);
        let doors = crate::lower::doors::Doors::of(&plan, &draft);
        let layout = layout::Layout::of(&draft, &doors);
        let stages = schedule::kernels(&draft, &layout, &doors);
        let memory = memory::plan(&plan, &draft, &layout, &doors, &stages);
        Module {
            name: plan.name.clone(),
            inputs: plan.inputs.iter().map(PortInfo::of).collect(),
            outputs: plan.outputs.iter().map(PortInfo::of).collect(),
            stages,
            memory,
        }
    }

    /// Floating-point operations of one run, matrix products only, 2 per multiply-add.
    pub fn flops(&self) -> u64 {
        self.stages.iter().flatten().map(Kernel::flops).sum()
    }

    /// The kernels in the order they run, in a form that depends only on the plan.
    pub fn describe(&self) -> String {
        let Memory { scratch_floats, kept_floats, .. } = self.memory;
        let mut text = format!(
            "program {}: {} products' flops, {} bytes of scratch, {} kept\n",
            self.name,
            self.flops(),
            4 * (scratch_floats + kept_floats),
            4 * kept_floats
        );
        for (stage, kernels) in self.stages.iter().enumerate().filter(|(_, kernels)| !kernels.is_empty()) {
            let _ = writeln!(text, "stage {}: {} kernels", stage + 1, kernels.len());
            kernels.iter().for_each(|kernel| {
                let _ = writeln!(text, "  {kernel}");
            });
        }
        text
    }
}
