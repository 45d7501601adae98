//! mamlx.
pub mod cli;
pub mod error;
pub mod graph;
pub mod lower;
pub mod meta;
pub mod nn;
pub mod plugin;
pub mod random;
pub mod record;
pub mod run;
pub mod spec;
