//! Room `nn`: functions (parameters, x) → y, and how parameters start.
//!
//! A network is described by a [`Layout`] (names, shapes, roles and initial distributions of its parameters, in the
//! order of the flat parameter vector) and a function from parameter `Var`s and inputs to outputs. No state, no random
//! numbers of its own. Leading axes of parameters and inputs (a task axis) pass through every function.
//!
//! [`Network`] is a row of [`Block`]s; [`Mlp`] is its short form, which [`Policy`] uses too.

pub mod block;
pub mod conv;
pub mod gru;
pub mod init;
pub mod layout;
pub mod mlp;
pub mod network;
pub mod norm;
pub mod policy;

pub use block::{Block, Misfit};
pub use layout::{Entry, Layout, Role};
pub use mlp::{Activation, Mlp};
pub use network::{Network, Pass};
pub use norm::{BatchMode, Moments};
pub use policy::Policy;
