//! What the run loop asks of a kind of learning problem; supervised and reinforcement learning answer it.

use crate::error::Result;
use crate::nn::Layout;
use crate::random::Purpose;
use crate::record::row::{EvalRow, TEST, TimingRow, TrainRow};
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

/// Which tasks an evaluation is made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Test,
    /// Those that `eval.select: best` chooses by.
    Val,
}

impl Split {
    /// The word in the column `split`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Test => TEST,
            Split::Val => "val",
        }
    }

    /// What draws its tasks, or their classes.
    pub fn task(self) -> Purpose {
        if self == Split::Test { Purpose::EvalTask } else { Purpose::ValTask }
    }

    /// What draws the points of its tasks.
    pub fn points(self) -> Purpose {
        if self == Split::Test { Purpose::EvalPoints } else { Purpose::ValPoints }
    }

    /// What draws the resets of its episodes, and what their actions.
    pub fn episodes(self) -> [Purpose; 2] {
        match self {
            Split::Test => [Purpose::EvalReset, Purpose::EvalAction],
            Split::Val => [Purpose::ValReset, Purpose::ValAction],
        }
    }
}

/// A learning problem: a spec with its plugin and its lowered programs.
pub trait Learner {
    /// Parameters of a method's network.
    fn layout(&self, method: Method) -> &Layout;

    /// Names of the task's parameters.
    fn task_names(&self) -> Vec<String>;

    /// One meta-iteration: advances `state` and fills the rows, whose method and iteration are set by the caller.
    fn train(&mut self, state: &mut State, train: &mut TrainRow, timing: &mut TimingRow) -> Result<()>;

    /// Whether there are validation tasks.
    fn validates(&self) -> bool;

    /// Evaluates parameters of a method on the tasks of a split: rows by support size, task, inner step.
    ///
    /// # Panics
    /// May, on [`Split::Val`], where there are no validation tasks.
    fn evaluate(
        &mut self,
        split: Split,
        method: Method,
        iteration: u64,
        theta: &[f32],
    ) -> Result<Vec<EvalRow>>;
}
