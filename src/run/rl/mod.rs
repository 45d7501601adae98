//! Algorithm 3 at work: trajectories from an environment plugin, adaptation, and the trust-region outer step.
//!
//! [`environment`] is the plugin as the rollout takes it; [`programs`] lowers the plans of
//! [`crate::meta::reinforcement`]; [`steps`] turns trajectories into their inputs; [`sampling`] says when a batch of trajectories is complete; [`task`] is what happens to one task, on one thread;
//! [`together`] is the outer step of all tasks at once, on a device that takes them so;
//! [`estimator`] is what the outer gradient may take into account beside the paper's terms;
//! [`birth`] finds where a number that is not finite came from;
//! [`evaluation`] adapts to one test task; [`learner`] joins the tasks into meta-iterations and evaluations.

pub mod birth;
pub mod environment;
pub mod estimator;
pub mod evaluation;
pub mod learner;
pub mod programs;
pub mod sampling;
pub mod steps;
pub mod task;
pub mod together;

pub use learner::Reinforcement;
pub use programs::piece_rows;
