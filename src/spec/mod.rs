//! Room `spec`: text → [`Spec`], with every diagnostic at once.
//!
//! ```text
//! bytes ─source─▶ checked text ─tree─▶ spanned nodes ─set─▶ + overrides ─walk, rules─▶ Spec
//!                      every step hands its problems to diagnostic, which prints them together
//! ```
//!
//! The room is pure: it touches no file, plugin, tensor or clock. A plugin's parameters arrive as a
//! [`ParamTable`]. [`read`] is the way in, [`Draft::resolve`] the way to a [`Spec`], and [`Spec::to_yaml`]
//! the way back to text.

mod block;
mod bounds;
mod bytes;
mod declared;
mod diagnostic;
mod docs;
mod draft;
mod json_schema;
mod layers;
mod nearest;
mod params;
mod print;
mod reference;
mod report;
mod rules;
mod scalar;
pub mod schema;
mod set;
pub mod settings;
mod source;
mod sweep;
mod tree;
mod walk;
mod words;

pub use bytes::Bytes;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use draft::{Draft, MAX_BYTES, limited, read};
pub use json_schema::json_schema;
pub use nearest::nearest;
pub use params::{Param, ParamKind, ParamTable, PluginKind};
pub use reference::reference;
pub use schema::*;
pub use source::Place;
pub use sweep::{MAX_RUNS, SweepRun};
pub use tree::{MAX_DEPTH, MAX_NODES, MAX_REPLAYED, MAX_SIGNS};
pub use words::Word;
