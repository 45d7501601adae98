//! Adaptation by gradient descent: θ′ᵢ = θ − α ∇θ L(θ) (paper, equation in section 2.2; Algorithm 1 line 6).

use crate::graph::{Var, grad};

/// One inner step. `loss` has the leading (task) axes; each task's loss depends on its own parameters only, so the
/// gradient of their sum is every task's own gradient.
///
/// With `second_order` the result depends on θ through the gradient too; otherwise the gradient is a constant
/// (first-order MAML: paper, section 5.2).
pub fn step<'t>(params: &[Var<'t>], loss: Var<'t>, rate: Var<'t>, second_order: bool) -> Vec<Var<'t>> {
    step_some(params, &vec![true; params.len()], loss, rate, second_order)
}

/// The same where only some of the parameters adapt; the others stay as they are.
pub fn step_some<'t>(
    params: &[Var<'t>],
    adapted: &[bool],
    loss: Var<'t>,
    rate: Var<'t>,
    second_order: bool,
) -> Vec<Var<'t>> {
    let moving: Vec<Var> = params.iter().zip(adapted).filter(|(_, moves)| **moves).map(|(p, _)| *p).collect();
    let mut gradients = grad(loss.sum_all(), &moving).into_iter();
    let update = |(p, moves): (&Var<'t>, &bool)| {
        let Some(g) = moves.then(|| gradients.next()).flatten() else { return *p };
        let g = if second_order { g } else { g.stop_gradient() };
        p.tape.scope("update", || *p - g * rate)
    };
    params.iter().zip(adapted).map(update).collect()
}
