//! Room `graph`.
