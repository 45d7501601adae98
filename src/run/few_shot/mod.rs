//! Few-shot classification from data sets: N-way K-shot tasks (paper, section 5.2), the same for every data set.
//!
//! [`sampler`] says which classes and items a task has, as a function of the seed; [`reader`] fetches them from the
//! plugin; [`learner`] is Algorithm 2 over them; [`classifier`] is what the paper's table 1 compares it with, and
//! [`answers`] shows what was answered. [`digest`] says which data a run has seen.
//!
//! Tasks are drawn and read on the worker threads, each just before its own step, from a compact cache that is in memory
//! or mapped by it; there is no thread that reads ahead.

pub mod answers;
pub mod classifier;
pub mod digest;
pub mod learner;
pub mod reader;
pub mod sampler;

pub use learner::{FewShot, counts, plans};
pub use reader::Reader;
pub use sampler::{Chosen, Episode};
