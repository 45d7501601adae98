//! The rows of every CSV and their headers: one place for names, order and types.
//!
//! `results/README.md` explains each column to the reader; a test keeps the two in step.

use super::number::{f32_text, optional_text};

/// Columns of `train.csv`: one row per meta-iteration.
pub const TRAIN_HEADER: [&str; 12] = [
    "experiment",
    "run",
    "seed",
    "method",
    "iteration",
    "tasks_seen",
    "env_steps",
    "loss_outer",
    "return_pre",
    "return_post",
    "kl",
    "step_accepted",
];

/// Columns of `eval.csv` before the task's own `task_<name>` columns: one row per test task and inner step.
pub const EVAL_HEADER: [&str; 13] = [
    "experiment",
    "run",
    "seed",
    "iteration",
    "method",
    "split",
    "support",
    "norm",
    "task",
    "inner_step",
    "loss",
    "accuracy",
    "return",
];

/// Columns of `summary.csv`: means over the tasks of `eval.csv`.
pub const SUMMARY_HEADER: [&str; 12] = [
    "iteration",
    "method",
    "split",
    "support",
    "inner_step",
    "metric",
    "mean",
    "ci95_low",
    "ci95_high",
    "tasks",
    "versus",
    "published",
];

/// Columns of `timing.csv`, the one result file with a clock in it.
pub const TIMING_HEADER: [&str; 12] = [
    "method",
    "iteration",
    "total_secs",
    "physics_secs",
    "policy_secs",
    "update_secs",
    "env_steps_per_sec",
    "fit_secs",
    "inner_secs",
    "products_secs",
    "line_search_secs",
    "eval_secs",
];

/// Before the name of a task parameter in the header of `eval.csv`.
pub const TASK_PREFIX: &str = "task_";

/// The word of the column `split` for the tasks that results are about.
pub const TEST: &str = "test";

/// What every raw row says about its run, so that files of many runs can be concatenated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub experiment: String,
    /// Seed and hash of the resolved specification: the folder's name under `results/<experiment>/`.
    pub run: String,
    pub seed: u64,
}

impl Identity {
    fn cells(&self) -> [String; 3] {
        [self.experiment.clone(), self.run.clone(), self.seed.to_string()]
    }
}

/// One meta-iteration. `None` is an empty cell: the column does not apply to this method or task kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainRow {
    pub method: String,
    /// Meta-iterations completed, this one included.
    pub iteration: u64,
    /// Training tasks consumed so far by this method.
    pub tasks_seen: u64,
    /// Environment steps taken so far by this method's training.
    pub env_steps: Option<u64>,
    /// Outer loss before the update, averaged over the meta-batch.
    pub loss_outer: Option<f32>,
    /// Mean undiscounted return of the meta-batch before adaptation.
    pub return_pre: Option<f32>,
    /// Mean undiscounted return of the meta-batch after adaptation.
    pub return_post: Option<f32>,
    /// Mean KL divergence of the accepted outer step.
    pub kl: Option<f32>,
    /// Whether the line search accepted a step.
    pub step_accepted: Option<bool>,
}

impl TrainRow {
    pub fn cells(&self, identity: &Identity) -> Vec<String> {
        let mut cells = Vec::from(identity.cells());
        cells.extend([
            self.method.clone(),
            self.iteration.to_string(),
            self.tasks_seen.to_string(),
            self.env_steps.map_or_else(String::new, |steps| steps.to_string()),
            optional_text(self.loss_outer),
            optional_text(self.return_pre),
            optional_text(self.return_post),
            optional_text(self.kl),
            self.step_accepted.map_or_else(String::new, |accepted| accepted.to_string()),
        ]);
        cells
    }
}

/// One test task after one number of inner steps; raw, never averaged over tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvalRow {
    /// Meta-iterations of training behind the evaluated parameters.
    pub iteration: u64,
    pub method: String,
    /// `test`, or the name of another set of tasks.
    pub split: String,
    /// Support points per task, or trajectories per inner update.
    pub support: u32,
    /// How batch statistics were taken; `None` for models without batch normalisation.
    pub norm: Option<String>,
    /// Index of the test task; the same task for every method.
    pub task: u32,
    /// Gradient steps of adaptation.
    pub inner_step: u32,
    pub loss: Option<f32>,
    /// Share of correct answers, 0 to 1.
    pub accuracy: Option<f32>,
    /// Mean undiscounted return.
    pub episode_return: Option<f32>,
    /// Values of the `task_<name>` columns, in header order.
    pub task_params: Vec<f32>,
}

impl EvalRow {
    pub fn cells(&self, identity: &Identity) -> Vec<String> {
        let mut cells = Vec::from(identity.cells());
        cells.extend([
            self.iteration.to_string(),
            self.method.clone(),
            self.split.clone(),
            self.support.to_string(),
            self.norm.clone().unwrap_or_default(),
            self.task.to_string(),
            self.inner_step.to_string(),
            optional_text(self.loss),
            optional_text(self.accuracy),
            optional_text(self.episode_return),
        ]);
        cells.extend(self.task_params.iter().map(|&value| f32_text(value)));
        cells
    }

    /// The row's value of one metric.
    pub fn metric(&self, metric: Metric) -> Option<f32> {
        match metric {
            Metric::Loss => self.loss,
            Metric::Accuracy => self.accuracy,
            Metric::Return => self.episode_return,
        }
    }
}

/// What `summary.csv` averages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    Loss,
    Accuracy,
    Return,
}

impl Metric {
    pub const ALL: [Metric; 3] = [Metric::Loss, Metric::Accuracy, Metric::Return];

    pub fn name(self) -> &'static str {
        match self {
            Metric::Loss => "loss",
            Metric::Accuracy => "accuracy",
            Metric::Return => "return",
        }
    }
}

/// A mean over tasks with its interval, or a paired difference of two methods on the same tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    pub iteration: u64,
    pub method: String,
    pub split: String,
    pub support: u32,
    pub inner_step: u32,
    pub metric: Metric,
    pub mean: f32,
    /// `None` with fewer than two tasks.
    pub ci95_low: Option<f32>,
    pub ci95_high: Option<f32>,
    pub tasks: u32,
    /// The row is `method` minus this method, task by task.
    pub versus: Option<String>,
    /// The number printed in the paper or released with its code, where there is one.
    pub published: Option<f32>,
}

impl SummaryRow {
    pub fn cells(&self) -> Vec<String> {
        vec![
            self.iteration.to_string(),
            self.method.clone(),
            self.split.clone(),
            self.support.to_string(),
            self.inner_step.to_string(),
            self.metric.name().to_string(),
            f32_text(self.mean),
            optional_text(self.ci95_low),
            optional_text(self.ci95_high),
            self.tasks.to_string(),
            self.versus.clone().unwrap_or_default(),
            optional_text(self.published),
        ]
    }
}

/// Wall-clock seconds of one meta-iteration. Not part of the result: two equal runs differ here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimingRow {
    pub method: String,
    pub iteration: u64,
    /// The whole meta-iteration, evaluation excluded.
    pub total_secs: f32,
    pub physics_secs: Option<f32>,
    pub policy_secs: Option<f32>,
    pub update_secs: Option<f32>,
    pub env_steps_per_sec: Option<f32>,
    pub fit_secs: Option<f32>,
    pub inner_secs: Option<f32>,
    pub products_secs: Option<f32>,
    pub line_search_secs: Option<f32>,
    pub eval_secs: Option<f32>,
}

impl TimingRow {
    pub fn cells(&self) -> Vec<String> {
        vec![
            self.method.clone(),
            self.iteration.to_string(),
            f32_text(self.total_secs),
            optional_text(self.physics_secs),
            optional_text(self.policy_secs),
            optional_text(self.update_secs),
            optional_text(self.env_steps_per_sec),
            optional_text(self.fit_secs),
            optional_text(self.inner_secs),
            optional_text(self.products_secs),
            optional_text(self.line_search_secs),
            optional_text(self.eval_secs),
        ]
    }
}

/// The whole header of an `eval.csv` whose tasks have these parameters.
pub fn eval_header(task_names: &[String]) -> Vec<String> {
    let fixed = EVAL_HEADER.iter().map(|name| name.to_string());
    fixed.chain(task_names.iter().map(|name| format!("{TASK_PREFIX}{name}"))).collect()
}

/// A fixed header as owned text.
pub fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}
