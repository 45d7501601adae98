//! Room `run`.
pub mod baseline;
pub mod optimizer;
pub mod reduce;
pub mod returns;
pub mod rollout;
pub mod trust_region;
