//! What an experiment is: plain, comparable, serialisable data with every default explicit.
//!
//! Field documentation is the help text. Sources: "paper" is Finn, Abbeel and Levine (ICML 2017);
//! "released" is the authors' published code.

use super::bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole experiment, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Name of the experiment; becomes the folder under `results/`. `[a-z0-9_.-]`, at most 100 bytes, no leading dot.
    pub name: String,
    /// Every random number is a function of this seed, its purpose and its indices.
    pub seed: u64,
    /// Trained and evaluated in this order.
    pub methods: Vec<Method>,
    pub task: Task,
    pub model: Model,
    pub inner: Inner,
    pub outer: Outer,
    pub eval: Eval,
    /// Regressors whose weights the averaged methods take the mean of. Other methods do not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub averaged: Option<Averaged>,
    /// Numbers of the paper to stand beside ours in `summary.csv`; they decide no result.
    pub published: Vec<Published>,
    /// What the programs run on; `--device` on the command line says it too. It changes results by rounding only.
    pub device: Device,
    /// The most memory that the programs of all threads and their tasks may take, such as `256 MiB`; null: as much as is
    /// fastest. Of more than 5 inner steps those are repeated whose intermediate results do not fit (supervised only). It
    /// changes no bit of a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_budget: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Isolation::is_none")]
    pub isolation: Isolation,
}

/// What a file may have beside the keys of its spec.
#[derive(Clone, Debug, PartialEq)]
pub struct Swept {
    /// Many runs of the experiment: every combination of the grid's values with every seed. `mamlx sweep` makes them.
    pub sweep: Sweep,
}

/// Which runs a sweep has.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Every combination runs with each of these seeds, which replace `seed`.
    pub seeds: Vec<u64>,
    /// Key paths as `--set` takes them, each with the list of values that it goes through: `inner.rate: [0.01, 0.1]`.
    pub grid: BTreeMap<String, Vec<ParamValue>>,
}

/// One word per learner of the paper's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Second-order MAML (Algorithms 2 and 3), or the order that `inner.order` says.
    Maml,
    /// First-order MAML: the inner gradient is treated as a constant (paper, section 5.2).
    Fomaml,
    /// Trained on all tasks at once without an inner step, then fine-tuned.
    Pretrained,
    /// The initialisation, never trained, then fine-tuned.
    Random,
    /// Trained on all tasks with the task's parameters as extra inputs; not adapted.
    Oracle,
    /// Data sets: an ordinary classifier of all training classes; at test its last layer is drawn anew and the whole
    /// network fine-tuned on the support points (the fine-tuning baseline of the paper's table 1).
    Finetune,
    /// Data sets: the same classifier without its last layer; a query gets the class of the support point whose
    /// features are nearest (the nearest-neighbour baseline of table 1). Not adapted.
    NearestNeighbour,
    /// Task distributions: the mean weights of separate regressors, each trained on one task (paper, appendix C.1 and
    /// table 2), then fine-tuned. Its meta-iterations are regressors; the block `averaged` says more.
    Averaged,
    /// As averaged; every regressor is trained with a penalty on its weights, λ‖θ‖².
    AveragedL2,
    /// As averaged; every regressor is trained with a penalty on its distance from the mean of those before it.
    AveragedToMean,
    /// MAML of a context vector (paper, appendix C.2 and table 3, after Rei 2015): free parameters beside the input are
    /// all that the inner steps adapt, and the outer steps learn everything. `model.context` says how many.
    Context,
}

impl Method {
    /// Whether it trains one ordinary classifier of all training classes.
    pub fn classifies(self) -> bool {
        matches!(self, Method::Finetune | Method::NearestNeighbour)
    }

    /// Whether it trains with inner steps.
    pub fn adapts(self) -> bool {
        matches!(self, Method::Maml | Method::Fomaml | Method::Context)
    }

    /// Whether gradient steps are taken on test tasks. The oracle is told the task instead.
    pub fn adapts_at_test(self) -> bool {
        self != Method::Oracle && self != Method::NearestNeighbour
    }

    /// Whether it averages the weights of regressors.
    pub fn averages(self) -> bool {
        matches!(self, Method::Averaged | Method::AveragedL2 | Method::AveragedToMean)
    }

    /// Whether its meta-iterations are not those of `outer.iterations` (see [`Spec::iterations`]).
    pub fn iterates_otherwise(self) -> bool {
        self == Method::Random || self.averages()
    }
}

impl Spec {
    /// Meta-iterations of a method: of the averaged ones regressors, of the untrained one none.
    pub fn iterations(&self, method: Method) -> u64 {
        match (method, &self.averaged) {
            (Method::Random, _) => 0,
            (method, Some(averaged)) if method.averages() => averaged.regressors as u64,
            _ => self.outer.iterations as u64,
        }
    }
}

/// Where tasks come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Name of the plugin library (`lib<name>.so`).
    pub plugin: String,
    /// The plugin's own parameters, checked against the table that the plugin declares.
    pub params: BTreeMap<String, ParamValue>,
    /// Classes per task (N; data sets only; null otherwise).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ways: Option<usize>,
    /// Supervised: support points per task (K), of a data set per class. Reinforcement learning: trajectories per inner
    /// update.
    pub support: usize,
    /// Supervised: query points per task, of a data set per class. Reinforcement learning: trajectories after adaptation.
    pub query: usize,
    /// Whether every class of a task is turned by a random multiple of 90°, as the released code does with Omniglot
    /// (data sets of square images only).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rotate: bool,
    /// Steps per episode; the host's time limit (environments only; null otherwise).
    pub horizon: Option<usize>,
    /// How many trajectories a batch of `support` or `query` has (environments only).
    pub sampling: Sampling,
}

/// When a batch of trajectories is complete. The two agree where episodes never end before the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// After exactly as many trajectories as asked for.
    Episodes,
    /// After that many times the horizon in time steps, with more trajectories where some ended early.
    Steps,
    /// As the released sampler (maml_rl, vectorized_sampler.py): the trajectories run side by side, each place starts
    /// the next as soon as one ends, and the batch is complete at the first moment when the trajectories that have
    /// ended hold that many times the horizon in time steps. What is still running then is dropped, so trajectories
    /// that end early count for more than their share.
    Completed,
}

/// The value of a plugin parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParamValue {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// The network: a multilayer perceptron in its short form, or any row of blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Short form: widths of the hidden layers. Empty beside `layers`.
    pub hidden: Vec<usize>,
    /// Short form: what stands between the layers.
    pub activation: Activation,
    /// How the weights of linear layers are drawn, where a layer does not say itself.
    pub init: Init,
    /// The network block by block, in place of the short form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<Layer>>,
    /// Numbers of the context vector of method `context`, whose place is beside the input, of images in every pixel. They
    /// start at 0. Other methods do not read it; the paper names no number. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// Gaussian policies: initial standard deviation of the actions (released: 1.0).
    pub init_std: f64,
    /// Gaussian policies: floor of the standard deviation (released: 1e-6).
    pub min_std: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    Relu,
    Tanh,
    Sigmoid,
}

/// One block of a network. A point is a vector, a sequence (time, width) or an image (height, width, channels).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Layer {
    /// Convolution of images with a square kernel.
    Conv {
        /// Channels of the result.
        filters: usize,
        /// Pixels of a side.
        kernel: usize,
        /// Pixels from one place of the kernel to the next.
        stride: usize,
        padding: Padding,
        /// Whether there is a learned bias a channel.
        bias: bool,
        init: Init,
        /// Whether inner steps adapt it; the outer steps always do.
        adapted: bool,
    },
    /// Normalisation of each channel over the batch.
    BatchNorm {
        mode: BatchMode,
        /// Whether there is a learned scale beside the shift.
        scale: bool,
        /// Added to the variance.
        epsilon: f64,
        /// Whether inner steps adapt it; the outer steps always do.
        adapted: bool,
    },
    /// Normalisation of each point over all its features.
    LayerNorm {
        /// Whether there is a learned scale beside the shift.
        scale: bool,
        /// Added to the variance.
        epsilon: f64,
        /// Whether inner steps adapt it; the outer steps always do.
        adapted: bool,
    },
    Relu,
    Tanh,
    Sigmoid,
    /// The largest of each square of so many pixels a side; squares lie side by side.
    MaxPool {
        /// Pixels of a side.
        size: usize,
    },
    /// Mean over space or time.
    Mean,
    /// Everything in one row.
    Flatten,
    /// Linear layer with a bias.
    Linear {
        /// null: as many outputs as the task asks for.
        width: Option<usize>,
        init: Init,
        /// Whether inner steps adapt it; the outer steps always do.
        adapted: bool,
    },
    /// Gated recurrent unit over a sequence, which a vector is too; its last state goes on.
    Gru {
        /// Numbers of its state.
        width: usize,
        init: Init,
        /// Whether inner steps adapt it; the outer steps always do.
        adapted: bool,
    },
}

/// What lies around an image that is convolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// ⌈size / stride⌉ outputs a side, as TensorFlow's SAME.
    Same,
    /// Nothing.
    Valid,
}

/// Whose mean and variance a batch is normalised with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchMode {
    /// Its own, queries included (released).
    Transductive,
    /// Queries are normalised with the moments of the support points.
    Support,
    /// Gradient steps use the batch's own, evaluations running averages.
    Running,
    /// As running, with averages, shift and scale for each number of inner steps (Antoniou et al. 2019).
    PerStep,
}

/// How weights start; biases start at zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Init {
    /// Normal with standard deviation `std`, redrawn beyond two deviations (released: 0.01 for the sinusoid).
    TruncatedNormal {
        /// Standard deviation before anything is redrawn.
        std: f64,
    },
    /// Uniform in ±sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010; the released policies).
    Xavier,
    /// Normal with standard deviation `std` (released: 1 for the last layer on Omniglot).
    Normal {
        /// Standard deviation.
        std: f64,
    },
}

/// Adaptation to one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inner {
    /// Gradient steps during meta-training.
    pub steps: usize,
    /// Step size α.
    pub rate: f64,
    /// `second`: differentiate through the inner gradient; `first`: treat it as a constant.
    pub order: Order,
    pub loss: Loss,
    pub reduction: Reduction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    First,
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    SquaredError,
    CrossEntropy,
    /// Minus the mean of log-probability times advantage; environments only.
    Reinforce,
}

/// How a loss over several points becomes one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    Mean,
    Sum,
    /// Sum over points divided by the support size K, as the released image code does (protocol A.0 row 16).
    SumOverShot,
}

/// Meta-training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outer {
    /// Meta-iterations.
    pub iterations: usize,
    /// Tasks per meta-iteration (the meta-batch).
    pub tasks: usize,
    pub optimizer: Optimizer,
    /// Reinforcement learning: which derivative of the adapted return is estimated.
    pub estimator: Estimator,
    /// Reinforcement learning: discount γ (released: 0.99).
    pub discount: f64,
    /// Reinforcement learning: λ of generalised advantage estimation (released: 1.0).
    pub gae_lambda: f64,
    /// One row of `train.csv` and `timing.csv` for every so many meta-iterations.
    pub log_every: usize,
}

/// Which derivative the outer gradient of reinforcement learning estimates. Methods that do not differentiate through the
/// inner step ignore it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// Through the inner step, whose trajectories are constants, sampled from no parameters (paper, Algorithm 3).
    #[default]
    Maml,
    /// The same, and what θ changes about which trajectories the inner step sees: the score of all of them times the return
    /// after adaptation, against the mean over the meta-batch's other tasks (E-MAML, Stadie et al. 2018).
    Emaml,
    /// Through the inner step as a step on the expected return: its derivative is the score function's to second order
    /// (DiCE, Foerster et al. 2018, with advantages as in Farquhar et al. 2019).
    Dice,
}

/// Regressors of single tasks (paper, appendix C.1), one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Averaged {
    /// How many, each with initial weights and a training task of its own (paper: 500). Default: 500.
    pub regressors: usize,
    /// A regressor is trained until the mean loss of its last 100 steps, on points that it had not seen, is below this
    /// (paper: 0.02) … Default: 0.02.
    pub loss: f64,
    /// … or for so many steps of `outer.optimizer`. Each step takes `outer.tasks` times `task.support` new points of the
    /// task. Default: 10000.
    pub max_steps: usize,
    /// `averaged_l2`: λ of the penalty λ‖θ‖². The paper went as high as did no harm, and names no number. Default: 0.001.
    pub l2: f64,
    /// `averaged_to_mean`: λ of the penalty λ‖θ − mean of the regressors before‖²; the first has none. Default: 0.003.
    pub to_mean: f64,
}

/// Published means of one method, as data of the experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    pub method: Method,
    /// The support size that they belong to; null: any.
    pub support: Option<usize>,
    pub metric: Metric,
    /// Gradient steps …
    pub steps: Vec<usize>,
    /// … and the mean after each of them.
    pub values: Vec<f64>,
}

/// What an evaluation measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    Loss,
    Accuracy,
    Return,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Optimizer {
    /// Kingma and Ba 2015 with bias correction.
    Adam {
        /// Step size of the outer step (released: 0.001).
        rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
        /// Each gradient element is clipped to ±clip; null: no clipping.
        clip: Option<f64>,
    },
    Sgd {
        /// Step size of the outer step.
        rate: f64,
        /// Each gradient element is clipped to ±clip; null: no clipping.
        clip: Option<f64>,
    },
    /// Trust-region policy optimisation (Schulman et al. 2015), exact Hessian-vector products.
    Trpo {
        /// Limit of the mean KL divergence of one update (paper: 0.01).
        kl: f64,
        /// Conjugate-gradient iterations (released: 10).
        cg_iterations: usize,
        /// Added to the curvature's diagonal (released: 1e-5).
        cg_damping: f64,
        /// The line search multiplies the step by this (released: 0.8) …
        backtrack_ratio: f64,
        /// … at most this often (released: 15).
        max_backtracks: usize,
        /// How products with the curvature of the divergence are made.
        products: Products,
    },
}

/// How a product of the divergence's Hessian with a vector v is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Products {
    /// By differentiation, exact to rounding.
    Exact,
    /// From the divergence's gradients at θ ± εv with ε = 1/‖θ‖, as the released code does (protocol A.0 row 18).
    FiniteDifference,
}

/// Evaluation on held-out tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Eval {
    /// Evaluate after every so many meta-iterations, and at the end; 0: only at the end.
    pub every: usize,
    /// Which parameters are judged on the test tasks. With data sets that have a split `val`, and with `best`, every
    /// evaluation is made on so many validation tasks too.
    pub select: Select,
    /// Number of test tasks; tasks are the same for every method.
    pub tasks: usize,
    /// CSV file of test tasks, one column per task parameter, relative to the spec's folder; null: sampled.
    pub task_file: Option<String>,
    /// Gradient steps; every curve is reported for 0..=steps.
    pub steps: usize,
    /// Support sizes to evaluate with (points, or trajectories per update).
    pub support: Vec<usize>,
    /// As `task.sampling`, for the batches of evaluations.
    pub sampling: Sampling,
    /// Step size of the first update, by method, one for each entry of `support`.
    /// Methods that are not named use `inner.rate`.
    pub rate: BTreeMap<Method, Vec<f64>>,
    /// Factor on the step size after the first update (paper: 0.5 for reinforcement learning, else 1).
    pub later_rate_factor: f64,
}

/// Model selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// Those of every evaluation; what counts are the last.
    Last,
    /// Those with the best mean over the validation tasks after the last gradient step, once, when the method is
    /// trained. Validation tasks are drawn from the split `val` of a data set, and otherwise like training tasks.
    Best,
}

/// What the programs run on. It decides no result beyond rounding, and is no part of a run's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The processor.
    Cpu,
    /// NVIDIA GPUs; needs a build with the cargo feature `cuda`.
    Cuda,
    /// Apple GPUs; needs `metal`.
    Metal,
    /// Any GPU with a Vulkan driver; needs `vulkan`.
    Vulkan,
}

/// Where environments run; it decides no result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Isolation {
    /// In the run's own process.
    #[default]
    None,
    /// In processes of their own, one for each thread, which may crash, hang or exit: what a broken one was at is repeated
    /// in a new one, to the same numbers.
    Process {
        /// A call that takes longer, in seconds, is a hang.
        time_limit_secs: f64,
    },
}
