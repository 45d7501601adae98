//! Room `nn`: functions (parameters, x) → y, and how parameters start.
//!
//! A network is described by a [`Layout`] (names, shapes, initial distributions of its parameters, in the order
//! of the flat parameter vector) and a function from parameter `Var`s and inputs to outputs. No state, no random
//! numbers of its own. Leading axes of parameters and inputs (a task axis) pass through every function.

pub mod init;
pub mod layout;
pub mod mlp;
pub mod policy;

pub use layout::{Entry, Layout};
pub use mlp::{Activation, Mlp};
pub use policy::Policy;
