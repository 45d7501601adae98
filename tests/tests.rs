//! Every promise has its module; one binary keeps the build short.

mod bench;
mod data;
mod device;
mod durability;
mod explain;
mod faults;
mod fuzz;
mod golden;
mod graph;
mod guide;
mod isolation;
mod libraries;
mod lower;
mod meta;
mod nn;
mod paper;
mod plugin;
mod record;
mod replay;
mod report;
mod rooms;
mod run;
mod run_numerics;
mod spec;
mod sweep;
