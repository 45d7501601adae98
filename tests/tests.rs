//! Every promise has its module; one binary keeps the build short.
mod durability;
mod graph;
mod meta;
mod record;
mod run_numerics;
mod spec;
