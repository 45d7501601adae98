//! The lowered programs of one policy.

use crate::error::Result;
use crate::lower::{Device, lower};
use crate::nn::{Layout, Policy};
use crate::run::workers::Shared;
use crate::spec::{Estimator, Optimizer, Products, Spec};
use std::collections::BTreeMap;

/// Rows of one piece at most: its activations (about 400 floats a row for the paper's policy) stay in a core's cache.
const PIECE_ROWS: usize = 512;

/// Rows of every piece: the support batch in equal pieces of at most [`PIECE_ROWS`].
pub fn piece_rows(spec: &Spec) -> usize {
    rows_of(spec.task.support * spec.task.horizon.unwrap_or(1))
}

/// Rows of every piece of a batch of `whole` time steps.
pub fn rows_of(whole: usize) -> usize {
    whole.div_ceil(whole.div_ceil(PIECE_ROWS))
}

/// Whether the spec's outer step takes its curvature products by finite differences.
pub fn by_differences(spec: &Spec) -> bool {
    matches!(spec.outer.optimizer, Optimizer::Trpo { products: Products::FiniteDifference, .. })
}

/// Programs that only some specs need.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Curvature products by finite differences.
    pub differences: bool,
    /// An estimator other than the paper's.
    pub scores: bool,
}

impl Wanted {
    pub fn by(spec: &Spec) -> Wanted {
        Wanted { differences: by_differences(spec), scores: spec.outer.estimator != Estimator::Maml }
    }
}

/// All programs that run on one policy. Data programs work on pieces of `rows` time steps.
pub struct Programs {
    pub policy: Policy,
    pub layout: Layout,
    pub rows: usize,
    /// Action means for all trajectories at one time step, by number of trajectories.
    pub act: BTreeMap<usize, Shared>,
    /// Action means of a piece.
    pub means: Shared,
    pub policy_gradient: Shared,
    pub policy_curvature: Shared,
    pub surrogate: Shared,
    pub surrogate_gradient: Shared,
    pub fisher: Shared,
    /// Only for estimators other than the paper's.
    pub score: Option<Shared>,
    /// Only for products by finite differences.
    pub divergence_gradient: Option<Shared>,
}

impl Programs {
    /// For a device; `rows` of a piece; `trajectories`: every number of them that is ever collected at once.
    pub fn new(
        policy: Policy,
        rows: usize,
        trajectories: &[usize],
        wanted: Wanted,
        (device, threads): (&Device, usize),
    ) -> Result<Programs> {
        let shared = |plan| Shared::on(device, plan, threads);
        // Physics waits for every action, so acting stays beside it on the processor.
        let act = |n: &usize| (*n, Shared::new(lower(policy.act(&[], *n)), threads));
        Ok(Programs {
            layout: policy.layout(),
            rows,
            act: trajectories.iter().map(act).collect(),
            means: shared(policy.act(&[], rows))?,
            policy_gradient: shared(policy.policy_gradient(&[], rows))?,
            policy_curvature: shared(policy.policy_curvature(&[], rows))?,
            surrogate: shared(policy.surrogate(&[], rows, false))?,
            surrogate_gradient: shared(policy.surrogate(&[], rows, true))?,
            fisher: shared(policy.fisher(&[], rows))?,
            score: wanted.scores.then(|| shared(policy.score(&[], rows))).transpose()?,
            divergence_gradient: (wanted.differences)
                .then(|| shared(policy.divergence_gradient(&[], rows)))
                .transpose()?,
            policy,
        })
    }
}
