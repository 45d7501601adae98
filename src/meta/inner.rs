//! Adaptation by gradient descent: θ′ᵢ = θ − α ∇θ L(θ) (paper, equation in section 2.2; Algorithm 1 line 6).

use crate::graph::{Var, grad};

/// One inner step. `loss` has the leading (task) axes; each task's loss depends on its own parameters only, so the
/// gradient of their sum is every task's own gradient.
///
/// With `second_order` the result depends on θ through the gradient too; otherwise the gradient is a constant
/// (first-order MAML: paper, section 5.2).
pub fn step<'t>(params: &[Var<'t>], loss: Var<'t>, rate: Var<'t>, second_order: bool) -> Vec<Var<'t>> {
    let gradients = grad(loss.sum_all(), params);
    let update = |(p, g): (&Var<'t>, Var<'t>)| {
        let g = if second_order { g } else { g.stop_gradient() };
        *p - g * rate
    };
    params.iter().zip(gradients).map(update).collect()
}
