//! What the inner and outer loops minimise.

use crate::graph::Var;
use crate::spec::{Loss, Reduction};

/// Supervised loss over `n` points, of shape `lead`.
///
/// * `SquaredError` (paper, equation 2): Σ over outputs of (ŷ − y)², averaged over outputs; `y [lead…, n, outputs]`.
/// * `CrossEntropy` (paper, equation 3): −Σ yⱼ log softmax(ŷ)ⱼ; `y [lead…, n, classes]` one-hot.
///
/// `shot` divides when the reduction is `SumOverShot` (protocol A.0 row 16).
pub fn supervised<'t>(
    kind: Loss,
    reduction: Reduction,
    shot: usize,
    predicted: Var<'t>,
    y: Var<'t>,
) -> Var<'t> {
    predicted.tape.scope("loss", || reduced(kind, reduction, shot, predicted, y))
}

fn reduced<'t>(kind: Loss, reduction: Reduction, shot: usize, predicted: Var<'t>, y: Var<'t>) -> Var<'t> {
    let rank = predicted.shape.len();
    let (points, outputs) = (predicted.shape[rank - 2], predicted.shape[rank - 1]);
    let per_point = match kind {
        Loss::CrossEntropy => {
            let log_softmax = predicted - predicted.log_sum_exp_keep(rank - 1);
            -(y * log_softmax).sum(&[rank - 1])
        }
        Loss::SquaredError | Loss::Reinforce => {
            (predicted - y).square().sum(&[rank - 1]) * (1.0 / outputs as f64)
        }
    };
    let total = per_point.sum(&[rank - 2]);
    match reduction {
        Reduction::Mean => total * (1.0 / points as f64),
        Reduction::Sum => total,
        Reduction::SumOverShot => total * (1.0 / shot as f64),
    }
}

/// Weighted sum over time steps, `x, weight [lead…, n]` → `lead`. Weights are 1/N on the N real time steps of the
/// task's whole batch and 0 on padding, so the sums of the pieces of a batch add up to its mean.
pub fn weighted<'t>(x: Var<'t>, weight: Var<'t>) -> Var<'t> {
    (x * weight).sum(&[x.shape.len() - 1])
}
