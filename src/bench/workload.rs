//! The workloads: shapes from the paper's experiments, and neighbours of them that no code path is made for.

use crate::nn::Activation;

/// A named workload.
#[derive(Clone)]
pub struct Workload {
    pub name: &'static str,
    pub about: &'static str,
    pub kind: Kind,
}

#[derive(Clone)]
pub enum Kind {
    Supervised(Supervised),
    Policy { sizes: Policy, quantity: Quantity },
    Environment(Environment),
}

/// A supervised meta-step: second order, Adam with a rate of 0.001.
#[derive(Clone)]
pub struct Supervised {
    pub tasks: usize,
    /// Points of a task over all its classes.
    pub support: usize,
    pub query: usize,
    pub steps: usize,
    /// Inner rate.
    pub rate: f32,
    pub model: Model,
}

#[derive(Clone)]
pub enum Model {
    /// Regression of one number on one number by mean squared error.
    Mlp { hidden: &'static [usize], activation: Activation },
    /// Four modules of 3×3 convolution, batch normalisation over the batch at hand with shift and scale, and ReLU, all
    /// adapted; then a linear layer and the mean cross-entropy.
    Conv {
        /// Pixels of a side.
        size: usize,
        channels: usize,
        filters: usize,
        /// Halve by 2×2 max-pooling after a stride of 1, else by a stride of 2 and a mean over the last image.
        pool: bool,
        ways: usize,
    },
}

/// A Gaussian policy with two tanh layers, one inner policy-gradient step on `steps` time steps of each task, and as many
/// after it.
#[derive(Clone)]
pub struct Policy {
    pub tasks: usize,
    pub steps: usize,
    pub observation: usize,
    pub action: usize,
    pub hidden: usize,
    pub rate: f32,
}

/// Trajectories of an environment plugin, 20 at once on every thread.
#[derive(Clone)]
pub struct Environment {
    pub plugin: &'static str,
    /// Integer parameters that differ from their defaults.
    pub params: &'static [(&'static str, i64)],
    pub horizon: usize,
    /// Actions come from a policy with two hidden layers of 100, drawn, recorded and scaled as in training; else they
    /// were drawn beforehand.
    pub policy: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// The gradient of the outer surrogate through the inner step.
    Gradient,
    /// One product JᵀFJv, with everything it rests on computed anew.
    Fisher,
    /// Ten iterations of conjugate gradient, the inner step included.
    ConjugateGradient,
}

const OMNIGLOT: Model = Model::Conv { size: 28, channels: 1, filters: 64, pool: false, ways: 5 };
const HALF_CHEETAH: Policy =
    Policy { tasks: 20, steps: 4000, observation: 20, action: 6, hidden: 100, rate: 0.1 };
const SINE: Model = Model::Mlp { hidden: &[40, 40], activation: Activation::Relu };

const fn supervised(
    name: &'static str,
    about: &'static str,
    [tasks, support, query, steps]: [usize; 4],
    rate: f32,
    model: Model,
) -> Workload {
    Workload { name, about, kind: Kind::Supervised(Supervised { tasks, support, query, steps, rate, model }) }
}

const fn policy(name: &'static str, about: &'static str, quantity: Quantity, sizes: Policy) -> Workload {
    Workload { name, about, kind: Kind::Policy { sizes, quantity } }
}

const fn environment(
    name: &'static str,
    about: &'static str,
    plugin: &'static str,
    params: &'static [(&'static str, i64)],
    (horizon, policy): (usize, bool),
) -> Workload {
    Workload { name, about, kind: Kind::Environment(Environment { plugin, params, horizon, policy }) }
}

/// All workloads, the eight that peers are measured on first.
pub const WORKLOADS: &[Workload] = &[
    supervised("sine1", "MLP 1-40-40-1, 25 tasks, 10 + 10 points, 1 inner step", [25, 10, 10, 1], 0.01, SINE),
    supervised("sine5", "the same with 5 inner steps", [25, 10, 10, 5], 0.01, SINE),
    supervised(
        "omni5",
        "conv-4, 64 filters, stride 2, 5-way 1-shot, 32 tasks, 1 inner step",
        [32, 5, 5, 1],
        0.4,
        OMNIGLOT,
    ),
    supervised(
        "omni20",
        "the same, 20-way 1-shot, 16 tasks, 5 inner steps",
        [16, 20, 20, 5],
        0.1,
        Model::Conv { size: 28, channels: 1, filters: 64, pool: false, ways: 20 },
    ),
    supervised(
        "mini",
        "84x84x3, conv-4, 32 filters, max-pool, 5-way 1-shot, 75 queries, 4 tasks, 5 inner steps",
        [4, 5, 75, 5],
        0.01,
        Model::Conv { size: 84, channels: 3, filters: 32, pool: true, ways: 5 },
    ),
    policy(
        "rl-grad",
        "policy 20-100-100-6, 20 tasks x 4000 time steps, surrogate gradient through one inner step",
        Quantity::Gradient,
        HALF_CHEETAH,
    ),
    policy("rl-fvp", "the same, one Fisher-vector product", Quantity::Fisher, HALF_CHEETAH),
    policy(
        "rl-cg10",
        "the same, ten iterations of conjugate gradient",
        Quantity::ConjugateGradient,
        HALF_CHEETAH,
    ),
    supervised(
        "sine1-near",
        "MLP 1-37-53-1, tanh, 7 tasks, 9 + 9 points, 1 inner step",
        [7, 9, 9, 1],
        0.01,
        Model::Mlp { hidden: &[37, 53], activation: Activation::Tanh },
    ),
    supervised(
        "omni5-near",
        "conv-4, 48 filters, stride 2, 6-way 1-shot, 32 tasks, 1 inner step",
        [32, 6, 6, 1],
        0.4,
        Model::Conv { size: 28, channels: 1, filters: 48, pool: false, ways: 6 },
    ),
    policy(
        "rl-grad-near",
        "policy 17-100-100-5, 20 tasks x 4000 time steps, surrogate gradient",
        Quantity::Gradient,
        Policy { observation: 17, action: 5, ..HALF_CHEETAH },
    ),
    environment(
        "env-point",
        "2D navigation, 20 episodes a thread, given actions",
        "point",
        &[],
        (100, false),
    ),
    environment("env-cheetah", "the half-cheetah, the same", "cheetah", &[], (200, false)),
    environment(
        "env-cheetah2",
        "with 2 solver iterations",
        "cheetah",
        &[("solver_iterations", 2)],
        (200, false),
    ),
    environment(
        "env-cheetah4",
        "with 4 solver iterations",
        "cheetah",
        &[("solver_iterations", 4)],
        (200, false),
    ),
    environment("env-ant", "the ant, the same", "ant", &[], (200, false)),
    environment("sample-point", "2D navigation, actions of a policy 2-100-100-2", "point", &[], (100, true)),
    environment("sample-cheetah", "the half-cheetah, policy 20-100-100-6", "cheetah", &[], (200, true)),
    environment("sample-ant", "the ant, policy 125-100-100-8", "ant", &[], (200, true)),
];

impl Workload {
    pub fn named(name: &str) -> Option<&'static Workload> {
        WORKLOADS.iter().find(|workload| workload.name == name)
    }

    /// Tasks, and inner steps (of a policy, which takes one, time steps of each task); none of an environment.
    pub fn size(&self) -> Option<[usize; 2]> {
        match &self.kind {
            Kind::Supervised(sizes) => Some([sizes.tasks, sizes.steps]),
            Kind::Policy { sizes, .. } => Some([sizes.tasks, sizes.steps]),
            Kind::Environment(_) => None,
        }
    }

    /// The same with so many tasks and steps; an environment as it is.
    pub fn sized(&self, [tasks, steps]: [usize; 2]) -> Workload {
        let kind = match self.kind.clone() {
            Kind::Supervised(sizes) => Kind::Supervised(Supervised { tasks, steps, ..sizes }),
            Kind::Policy { sizes, quantity } => {
                Kind::Policy { sizes: Policy { tasks, steps, ..sizes }, quantity }
            }
            environment @ Kind::Environment(_) => environment,
        };
        Workload { kind, ..*self }
    }

    /// Floating-point operations of one step, counted by hand: products with weights only, 2 per multiply-add.
    ///
    /// For every support point and inner step a layer takes 3 products for the gradient (forward, by the weight, by the
    /// input) and 6 to differentiate through it, since each of the three is bilinear; for every query point 3. The first
    /// layer needs no gradient by its input: 2 + 2 and 2. None for the conjugate gradient, whose cost depends on what is
    /// kept between its products, and for environments.
    pub fn flops(&self) -> Option<f64> {
        match &self.kind {
            Kind::Supervised(sizes) => {
                let layers = sizes.model.layers();
                let (first, rest) = (layers[0], layers[1..].iter().sum::<f64>());
                let adapting = (sizes.steps * sizes.support) as f64 * (4.0 * first + 9.0 * rest);
                let judging = sizes.query as f64 * (2.0 * first + 3.0 * rest);
                Some(sizes.tasks as f64 * (adapting + judging))
            }
            Kind::Policy { sizes, quantity } => {
                let Policy { observation, action, hidden, .. } = *sizes;
                let (first, rest) = (2 * observation * hidden, 2 * hidden * (hidden + action));
                let rows = (sizes.tasks * sizes.steps) as f64;
                let (first, rest) = (first as f64, rest as f64);
                let gradient = rows * (2.0 * first + 3.0 * rest);
                let through = rows * (2.0 * first + 6.0 * rest);
                match quantity {
                    Quantity::Gradient => Some(2.0 * gradient + through),
                    Quantity::Fisher => Some(2.0 * through + rows * (2.0 * first + 4.0 * rest)),
                    Quantity::ConjugateGradient => None,
                }
            }
            Kind::Environment(_) => None,
        }
    }
}

impl Model {
    /// Operations of each layer's forward product on one point.
    fn layers(&self) -> Vec<f64> {
        match self {
            Model::Mlp { hidden, .. } => {
                let widths = [&[1], *hidden, &[1]].concat();
                widths.windows(2).map(|pair| 2.0 * (pair[0] * pair[1]) as f64).collect()
            }
            Model::Conv { size, channels, filters, pool, ways } => {
                let (mut side, mut deep, mut layers) = (*size, *channels, vec![]);
                for _ in 0..4 {
                    let out = if *pool { side } else { side.div_ceil(2) };
                    layers.push(2.0 * (out * out * 9 * deep * filters) as f64);
                    (side, deep) = (if *pool { out / 2 } else { out }, *filters);
                }
                let features = if *pool { filters * side * side } else { *filters };
                layers.push(2.0 * (features * ways) as f64);
                layers
            }
        }
    }
}
