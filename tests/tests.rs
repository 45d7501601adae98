//! Every promise has its module; one binary keeps the build short.

mod data;
mod durability;
mod graph;
mod libraries;
mod lower;
mod meta;
mod nn;
mod plugin;
mod record;
mod rooms;
mod run;
mod run_numerics;
mod spec;
