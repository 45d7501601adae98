//! Room `meta`.
