//! What the run loop asks of a kind of learning problem; supervised and reinforcement learning answer it.

use crate::error::Result;
use crate::nn::Layout;
use crate::record::row::{EvalRow, TimingRow, TrainRow};
use crate::spec::Method;

/// Everything of a method that changes while it trains.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub method: Method,
    /// Meta-iterations completed.
    pub iteration: u64,
    /// The flat parameter vector.
    pub theta: Vec<f32>,
    /// The outer optimiser's state as bytes; empty for trust regions, which keep none.
    pub optimizer: Vec<u8>,
    /// Training tasks consumed so far.
    pub tasks_seen: u64,
    /// Environment steps taken so far.
    pub env_steps: u64,
}

/// A learning problem: a spec with its plugin and its lowered programs.
pub trait Learner {
    /// Parameters of a method's network.
    fn layout(&self, method: Method) -> &Layout;

    /// Names of the task's parameters.
    fn task_names(&self) -> Vec<String>;

    /// One meta-iteration: advances `state` and fills the rows, whose method and iteration are set by the caller.
    fn train(&mut self, state: &mut State, train: &mut TrainRow, timing: &mut TimingRow) -> Result<()>;

    /// Evaluates parameters of a method on the test tasks: rows by support size, task, inner step.
    fn evaluate(&mut self, method: Method, iteration: u64, theta: &[f32]) -> Result<Vec<EvalRow>>;
}
