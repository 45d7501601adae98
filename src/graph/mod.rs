//! Room `graph`: what a tensor program is.
//!
//! A program is a luminal [`Graph`](luminal::prelude::Graph) whose nodes are [`Node`]s: one row of the op
//! [table](ops::TABLE) each, with a run-time shape. Edges carry whole tensors; views are ordinary nodes.
//! [`Var`] is the handle that people write mathematics with, [`grad`] appends the derivative of one node
//! to the same graph in the same ops (so it can be applied again, to any order), and [`eval`] runs a graph in
//! f64, slowly and plainly: it is the oracle that every faster path is held against.
//!
//! Read in this order: `shape`, `window`, `op`, `ops/*` (the table), `var`, `grad`, `eval`, `plan`.
//!
//! Adding an op: a variant in `op.rs`, a row in the file of its family under `ops/`. The derivative tests run
//! over the table, so a row without samples fails them.

pub mod dag;
pub mod eval;
pub mod grad;
pub mod op;
pub mod ops;
pub mod plan;
pub mod shape;
pub mod var;
pub mod window;

pub use dag::Dag;
pub use grad::{grad, jvp, vjp};
pub use op::{Node, Op};
pub use plan::{Part, Plan, Port};
pub use shape::Shape;
pub use var::{Tape, Var};
pub use window::Window;
