//! Room `meta`: the paper, as plans.
//!
//! [`supervised`] is Algorithm 2 (and 1): one plan a meta-gradient, the inner steps unrolled in its graph.
//! [`reinforcement`] is Algorithm 3: the inner step and its adjoint are each one graph that runs once a step and
//! once a piece of a task's batch, because fresh data arrives between the steps and batches are large.
//! [`reinforcement_batch`] repeats the inner steps on data that are all there, for every task of a meta-batch at once.
//! [`inner`] is the one line both share, θ′ = θ − α ∇L(θ); [`loss`] says what L is.
//!
//! Every builder takes `lead`, the axes in front of each tensor: `[]` for one task a launch (CPU), `[tasks]` for
//! all tasks in one launch (GPU). Nothing here executes anything.

pub mod build;
pub mod inner;
pub mod loss;
pub mod reinforcement;
pub mod reinforcement_batch;
pub mod supervised;
