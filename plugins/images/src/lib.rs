//! Image sets for dataset plugins: found, read in place, checked, resized, cached.
//!
//! ```text
//! folder or zip ─source─▶ members ─decode─▶ u8 pixels ─cache─▶ Set ─read─▶ f32 in [0, 1]
//! pickle ───────pickle──▶ rows    ────────────┘          one file, checksummed, named after its sources' hash
//! ```
//!
//! Everything that comes from outside is hostile until it has been checked: archives are never extracted, names with
//! `..` are refused, sizes are bounded before anything is allocated, and a pickle is data, not a program. Every error
//! is a sentence that names the file, and the member in it.

mod archive;
mod cache;
mod decode;
mod digest;
mod folder;
mod gather;
pub mod limits;
pub mod names;
pub mod pickle;
mod search;
mod set;
mod source;
mod splits;
mod turn;

pub use cache::{Cells, shared};
pub use decode::{Filter, Recipe};
pub use digest::Digest;
pub use gather::{Group, Item, gather};
pub use search::{Missing, find};
pub use set::Set;
pub use source::{Member, Source};
pub use splits::{Place, Splits};
pub use turn::turned;

/// Errors are sentences for the person with the data.
pub type Result<T> = std::result::Result<T, String>;
