//! Room `run`: the clock. Everything that takes time happens here, and nothing here formats text for files.
//!
//! | file | what |
//! |---|---|
//! | `experiment` | a spec file and its plugin, opened and checked |
//! | `certificate` | the meta-gradient, held against differences before it is trusted |
//! | `forecast` | parameters, work, memory and time of an experiment, before it runs |
//! | `session` | the loop over methods and meta-iterations: rows, evaluations, checkpoints, signals |
//! | `prior` | what a shorter run has learnt, for a longer one |
//! | `saved` | saved weights, evaluated without training |
//! | `selection` | which evaluations are made, and of which parameters |
//! | `sweep` | the runs of a sweep, several at a time |
//! | `paper` | many experiments, one after the other, within a budget of time |
//! | `replay`, `film` | one evaluated task played again and watched |
//! | `fits` | one task's function, and what a network takes it for |
//! | `learner` | what the loop asks of a learning problem |
//! | `supervised`, `few_shot`, `rl` | the learning problems of the paper (Algorithm 2 on drawn and on stored points, Algorithm 3) |
//! | `programs`, `batched` | what the first two share: the programs of a method, for one task or for many in a launch |
//! | `meta_gradient`, `composed`, `reversal` | through a few inner steps in one program, or through many within little memory |
//! | `budget` | what programs take, and `memory_budget` |
//! | `birth` | where a number that is not finite came from |
//! | `averaged` | regressors of single tasks, and the mean of their weights |
//! | `rollout`, `returns`, `baseline` | trajectories, their returns and advantages |
//! | `optimizer`, `trust_region`, `reduce` | outer steps, and sums over tasks in one fixed order |
//! | `test_tasks` | the tasks of evaluations |
//! | `workers`, `team` | threads that share tasks, and how they wait for work |
//! | `signals` | Ctrl-C and its relatives |
//!
//! The one durable instant is the end of a meta-iteration.

pub mod averaged;
pub mod baseline;
pub mod batched;
pub mod birth;
pub mod budget;
pub mod certificate;
pub mod composed;
pub mod experiment;
pub mod few_shot;
pub mod film;
pub mod fits;
pub mod forecast;
pub mod learner;
pub mod meta_gradient;
pub mod optimizer;
pub mod paper;
pub mod prior;
pub mod programs;
pub mod reduce;
pub mod replay;
pub mod returns;
pub mod reversal;
pub mod rl;
pub mod rollout;
pub mod saved;
pub mod selection;
pub mod session;
pub mod signals;
pub mod supervised;
pub mod sweep;
mod team;
pub mod test_tasks;
pub mod trust_region;
pub mod workers;

use crate::error::Result;
use crate::lower::Device;
use crate::lower::device::Kind;
use crate::spec::{self, Method, Spec};

/// The device that a spec asks for.
///
/// Errors: [`Error::Input`](crate::error::Error::Input) where it is not here.
pub fn device(spec: &Spec) -> Result<Device> {
    Device::open(match spec.device {
        spec::Device::Cpu => Kind::Cpu,
        spec::Device::Cuda => Kind::Cuda,
        spec::Device::Metal => Kind::Metal,
        spec::Device::Vulkan => Kind::Vulkan,
    })
}

/// Step size of test-time update `step` (from 0) for a method and the support size number `which`: the method's own
/// first rate if the spec names one, else the training rate; later updates are scaled by `eval.later_rate_factor`.
fn rates(spec: &Spec, method: Method, which: usize) -> impl Fn(usize) -> f32 + Sync {
    let first =
        spec.eval.rate.get(&method).and_then(|rates| rates.get(which)).copied().unwrap_or(spec.inner.rate);
    let later = first * spec.eval.later_rate_factor;
    move |step| if step == 0 { first as f32 } else { later as f32 }
}
