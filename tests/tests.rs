//! Every promise has its module; one binary keeps the build short.

mod durability;
mod graph;
mod libraries;
mod lower;
mod meta;
mod plugin;
mod record;
mod replay;
mod rooms;
mod run;
mod run_numerics;
mod spec;
