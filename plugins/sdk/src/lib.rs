//! Write environments, datasets and task distributions for mamlx in safe Rust.
//!
//! A plugin is a dynamic library, `lib<name>.so`, that exports one symbol. Implement one trait, export it, and
//! set `crate-type = ["cdylib", "rlib"]`. This is a whole plugin:
//!
//! ```
//! use mamlx_plugin::{Descriptor, EnvSpaces, Environment, Field, Parameter, Params, Step, rng, uniform};
//!
//! /// A bead on a wire: push it to the task's place.
//! struct Bead { place: f32, goal: f32, friction: f32 }
//!
//! impl Environment for Bead {
//!     const DESCRIPTOR: Descriptor = Descriptor {
//!         id: "bead",
//!         version: env!("CARGO_PKG_VERSION"),
//!         dynamics_version: 1,
//!         doc: "Push a bead along a wire to the goal.",
//!         parameters: &[Parameter::float("friction", 0.1).range(0.0, 1.0).doc("Share of each push that is lost.")],
//!     };
//!
//!     fn create(params: &Params) -> Result<Self, String> {
//!         Ok(Bead { place: 0.0, goal: 0.0, friction: params.float("friction") as f32 })
//!     }
//!     fn describe(&self) -> EnvSpaces {
//!         EnvSpaces {
//!             observation: vec![Field::new("place", "m")],
//!             action: vec![Field::new("push", "m").bounds(-0.1, 0.1)],
//!             task: vec![Field::new("goal", "m").bounds(-1.0, 1.0)],
//!         }
//!     }
//!     fn sample_task(&self, seed: u64, task: &mut [f32]) {
//!         task[0] = uniform(&mut rng(seed), -1.0, 1.0);
//!     }
//!     fn reset(&mut self, _seed: u64, task: &[f32], obs: &mut [f32]) -> Result<(), String> {
//!         (self.place, self.goal, obs[0]) = (0.0, task[0], 0.0);
//!         Ok(())
//!     }
//!     fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, String> {
//!         self.place += action[0] * (1.0 - self.friction);
//!         obs[0] = self.place;
//!         Ok(Step { reward: -(self.place - self.goal).abs(), terminated: false })
//!     }
//! }
//!
//! mamlx_plugin::export_env!(Bead);
//! # fn main() {}
//! ```
//!
//! Call [`harness::check_env`] in a `#[test]`, and run `mamlx plugin check bead` on the library.
//!
//! A Rust test or program can link at most one plugin as an ordinary crate, because every plugin exports the same
//! symbol; load the others as libraries.
//!
//! | module | what is in it |
//! |---|---|
//! | [`Descriptor`], [`Parameter`] | what the plugin says about itself, readable without running it |
//! | [`Environment`], [`TaskDistribution`], [`Dataset`] | the three kinds of plugin |
//! | [`Render`] | what an environment adds to be seen |
//! | [`Params`], [`Field`] | what arrives from the experiment file; what vectors are made of |
//! | [`Places`] | where a dataset's files may be |
//! | [`rng`], [`uniform`], [`normal`] | randomness as a function of the seed that the host gives |
//! | [`harness`] | the checks, in the author's own test suite |
//! | [`abi`] | the C structs of `include/mamlx_plugin.h` |
//! | [`caller`], [`checks`] | the other side: safe calls into any plugin, and what they should show |

pub mod abi;
pub mod caller;
pub mod checks;
mod dataset;
mod descriptor;
mod environment;
#[doc(hidden)]
pub mod export;
mod fields;
pub mod harness;
mod params;
mod places;
mod random;
mod render;
mod tasks;

pub use dataset::{Class, DataSpaces, Dataset, Split};
pub use descriptor::{DefaultValue, Descriptor, Parameter};
#[doc(hidden)]
pub use descriptor::{json_bytes, json_length};
pub use environment::{EnvSpaces, Environment, Step};
pub use fields::Field;
pub use params::Params;
pub use places::Places;
pub use random::{Rng, normal, rng, uniform};
pub use render::{Render, Role, Shape, Side, View};
pub use tasks::{TaskDistribution, TaskSpaces};
