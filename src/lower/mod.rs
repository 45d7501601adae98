//! Room `lower`: Plan → Program.
//!
//! Small named [`passes`] rewrite the graph (each is a luminal `Compiler`), [`verify`] re-derives every shape
//! between them, and a device turns the result into kernels with their memory planned ahead: the processor ([`cpu`]) into
//! a [`Program`], a graphics card ([`gpu`]) into a module that its driver loads. [`Device`] opens the one that a person
//! asked for, and an [`Executable`] is a plan on it: flat `f32` buffers in, flat `f32` buffers out, no luminal type in
//! sight, shared by any number of threads that each bring their own scratch.
//!
//! luminal's own compilers and executor are never used: they are slow and miscompile legal graphs.
//!
//! Read in this order: `draft`, `passes`, `verify`, `doors`, `inline`, `arena` (what devices share), `program`, then
//! `cpu`; then `gpu`, `device` and `executable`.

mod arena;
pub mod cpu;
pub mod device;
mod doors;
pub mod draft;
pub mod executable;
pub mod gpu;
mod inline;
pub mod passes;
mod program;
pub mod verify;
mod view;

pub use device::Device;
pub use executable::Executable;
pub use program::{Kept, PartInfo, PortInfo, Program, Scratch};

use crate::graph::Plan;
use cpu::Isa;

/// Lowers a plan for the processor this runs on.
pub fn lower(plan: Plan) -> Program {
    lower_for(plan, Isa::detect())
}

/// Lowers a plan for one instruction set, which must be one that this processor has.
///
/// # Panics
/// When it is not, and when the graph breaks a rule of the op table: both are faults of the caller's code.
pub fn lower_for(plan: Plan, isa: Isa) -> Program {
    lower_in_pieces(plan, isa, cpu::LARGE)
}

/// The same, with another number of floats from which on tensors are computed piece by piece.
///
/// # Panics
/// As [`lower_for`].
pub fn lower_in_pieces(mut plan: Plan, isa: Isa, large: usize) -> Program {
    assert!(isa.available(), "this processor does not have {isa:?}");
    passes::Pipeline::standard().apply(&mut plan);
    cpu::program(&plan, isa, large)
}
