//! Room `bench`: how long a meta-step takes, on workloads that other frameworks are measured on too.
//!
//! A step is everything between two meta-batches: every task's meta-gradient, their mean, and the outer update, in the
//! very programs, threads and sums that `mamlx run` uses. The data lie in memory already.
//!
//! | file | what |
//! |---|---|
//! | `workload` | the table of workloads, and how many operations each takes |
//! | `supervised` | meta-steps of regression and classification |
//! | `policy` | gradients and curvature products of trust-region meta-reinforcement learning |
//! | `environment` | steps of environments, with and without a policy |
//! | `arrays` | synthetic data, or another framework's from a file |
//! | `stopwatch` | repeated timing, memory of the process |
//! | `peak` | what this machine's matrix product reaches |

mod arrays;
mod environment;
pub mod peak;
mod policy;
pub mod stopwatch;
mod supervised;
pub mod workload;

pub use arrays::Arrays;
pub use supervised::learner;
pub use workload::{WORKLOADS, Workload};

use crate::error::{Error, Result};
use crate::lower::Device;
use crate::record::weights::Tensor;
use crate::spec::Bytes;
use std::time::Duration;

/// A workload, ready to be repeated.
pub trait Work {
    /// One step, from the state that the last one left.
    fn step(&mut self) -> Result<()>;
    /// What the step computes before any update, as named tensors: the mean meta-gradient over the tasks, or the product.
    fn answer(&mut self) -> Result<Vec<Tensor>>;
    /// One task on this thread, or all on a device, kernel by kernel: what each does and how long it took.
    fn profile(&mut self) -> Result<Vec<(String, Duration)>>;
    /// Bytes of working memory that one thread holds for the task it is at.
    fn bytes_per_task(&self) -> usize;
    /// Environment steps that the latest step took; none where there is no environment.
    fn env_steps(&self) -> Option<u64> {
        None
    }
}

impl Workload {
    /// Builds and lowers the programs, and brings the data: the given ones, or synthetic ones where there are none.
    ///
    /// Errors: [`Error::Input`] when given data lack a tensor or have another shape, where the budget is too little, and for
    /// what a device does not take.
    pub fn prepare(
        &self,
        (device, threads): (&Device, usize),
        data: Option<&Arrays>,
        budget: Option<Bytes>,
    ) -> Result<Box<dyn Work>> {
        let (synthetic, given) = (Arrays::default(), data.is_some());
        let data = data.unwrap_or(&synthetic);
        if budget.is_some() && device.batches() {
            return Err(Error::Input("--memory-budget is for the processor's programs".into()));
        }
        match &self.kind {
            workload::Kind::Supervised(sizes) => {
                Ok(Box::new(supervised::Supervised::new(sizes, (device, threads), data, budget)?))
            }
            workload::Kind::Environment(_) if given => {
                Err(Error::Input(format!("--data: {} draws its own", self.name)))
            }
            workload::Kind::Environment(_) if device.batches() => {
                Err(Error::Input(format!("--device: {} is physics, which stays on the processor", self.name)))
            }
            workload::Kind::Environment(sizes) => {
                Ok(Box::new(environment::EnvironmentWork::new(sizes, threads)?))
            }
            workload::Kind::Policy { .. } if budget.is_some() => Err(Error::Input(format!(
                "--memory-budget is for supervised workloads; {} is none",
                self.name
            ))),
            workload::Kind::Policy { sizes, quantity } => {
                Ok(Box::new(policy::PolicyWork::new(sizes, *quantity, (device, threads), data)?))
            }
        }
    }
}

/// One tensor for every part of a flat vector.
fn named(parts: &crate::nn::Layout, flat: &[f32]) -> Vec<Tensor> {
    let tensor = |(name, shape, range): (String, crate::graph::Shape, std::ops::Range<usize>)| Tensor {
        name,
        shape: shape.to_vec(),
        values: flat[range].to_vec(),
    };
    parts.parts().into_iter().map(tensor).collect()
}
