//! mamlx: model-agnostic meta-learning (Finn, Abbeel and Levine, ICML 2017) from a YAML file.
//!
//! # The flow
//!
//! ```text
//! experiment.yaml ─spec─▶ Spec ─meta (nn, graph)─▶ Plan ─lower─▶ Program ─run─▶ rows ─record─▶ train.csv, eval.csv
//!    text + spans        plain data               luminal graphs    one device,     ▲
//!    all errors          serde                    with named ports  Send + Sync     │ flat f32 buffers
//!                                                                      plugin: environments, tasks, data (cdylib)
//! ```
//!
//! # The rooms
//!
//! | room | speaks at its door | imports | never |
//! |---|---|---|---|
//! | [`spec`] | text (+ plugin parameter tables as data) → Spec, diagnostics | – | touches files, tensors, plugins, time |
//! | [`graph`] | luminal Graph, Var, Plan | – | knows Spec, task, MAML, device |
//! | [`nn`] | Var → Var, layouts, initial parameters | graph | holds state, makes random numbers |
//! | [`meta`] | Spec → Plan | spec, graph, nn | executes anything |
//! | [`lower`] | Plan → Program, or kernels of a GPU: an Executable | graph | knows Spec or the paper |
//! | [`plugin`] | descriptor, environments, tasks, data | spec (parameter tables) | knows graphs |
//! | [`run`] | Spec, Program, plugin → rows | spec, graph, nn, meta, lower, plugin, record | formats text for files |
//! | [`data`] | published files, data folders, pictures of tasks | spec, plugin, run (its sampler) | trains or evaluates |
//! | [`bench`] | workloads → milliseconds of the same programs and threads | graph, nn, meta, lower, plugin, run, spec, record (weights) | sets a code path of its own |
//! | [`record`] | rows → bytes | – | knows tensors or plugins |
//! | [`cli`] | arguments → one of the above | all | is imported |
//!
//! [`error`] and [`random`] are open to all. A test reads every `use crate::` line and fails on an arrow that is not
//! in this table.
//!
//! # Words
//!
//! *Task*: one learning problem. *Support*: the data adapted on; *query*: the data judged on; *shot*: support points
//! per class or task. *Inner step*: one gradient step of adaptation, θ′ = θ − α∇L; *outer step*: one update of θ.
//! *Meta-iteration*: one outer step over a *meta-batch* of tasks. *Plan*: a luminal graph with named ports.
//! *Program*: what the processor runs. *Kernel*, *Module*: one launch of a GPU, and all of a plan. *Executable*: a plan
//! on whichever device the spec asks for. *Piece*: a fixed number of time steps of one task's batch.
//!
//! # Decisions that everything rests on
//!
//! 1. Every random number is a function of (seed, purpose, iteration, task, episode, index); no generator state exists.
//! 2. No clock in a result file. `eval.csv` holds raw rows, one per task and inner step.
//! 3. What is printed parses back to the same f32.
//! 4. Every op carries formula, derivative and sample inputs in one row of one table, tested to third order.
//! 5. A reset rebuilds the physics world from an explicit seed.
//! 6. Sums over tasks follow one fixed tree, so results do not depend on threads.
//! 7. `unsafe` lives in `plugin`, `plugins/sdk`, the device back ends of `lower`, and once in `run/team.rs`, where
//!    threads borrow the caller's work.

pub mod bench;
pub mod cli;
pub mod data;
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
