//! Room `spec`: text → Spec, with every diagnostic at once.
pub mod schema;
pub use schema::*;
