//! MAML for reinforcement learning (paper, Algorithm 3), with a trust-region outer step (protocol A.4).
//!
//! With one inner step, θ′ = θ − α ∇L(θ) where L is the policy-gradient loss on the task's support trajectories.
//! The outer objective S(θ′) has gradient Jᵀ ∇S(θ′) with J = dθ′/dθ = I − α ∇²L(θ), and the Hessian of the
//! post-adaptation KL divergence at the old policy is exactly Jᵀ F J with F the Fisher matrix at θ′, because the
//! divergence's gradient with respect to θ′ vanishes there. So four small graphs carry everything:
//! ∇L, v ↦ ∇²L v, ∇S and v ↦ F v, and several inner steps only repeat the first two.
//!
//! Each graph works on a piece of `n` time steps of one task; pieces add up (see [`loss::weighted`]).
//! [`super::reinforcement_batch`] has the same for a whole meta-batch, with the inner steps inside the graph.

use super::loss;
use crate::graph::{Plan, Port, Tape, Var, grad, jvp, vjp};
use crate::nn::Policy;
use crate::nn::policy::Gaussian;

/// Inputs shared by the graphs of one piece: flat time steps of trajectories.
pub(super) struct Steps<'t> {
    /// `[lead…, n, observation]`
    pub(super) observation: Var<'t>,
    /// `[lead…, n, action]`, as sampled, before clipping.
    pub(super) action: Var<'t>,
    /// `[lead…, n]`
    pub(super) advantage: Var<'t>,
    /// `[lead…, n]`: 1/N on real steps, 0 on padding.
    pub(super) weight: Var<'t>,
}

impl Policy {
    pub(super) fn steps<'t>(&self, tape: &'t Tape, lead: &[usize], n: usize) -> Steps<'t> {
        let of = |tail: &[usize]| tape.input(&[lead, &[n], tail].concat());
        Steps {
            observation: of(&[self.observations()]),
            action: of(&[self.actions()]),
            advantage: of(&[]),
            weight: of(&[]),
        }
    }

    /// `theta`, `observation [n, …]` → `mean [n, actions]`, `log_std [1, actions]`.
    pub fn act(&self, lead: &[usize], n: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.layout().inputs(&tape, lead);
            let observation = tape.input(&[lead, &[n, self.observations()]].concat());
            let out = self.forward(&theta, observation);
            let inputs = vec![self.layout().port("theta", &theta), Port::single("observation", observation)];
            (inputs, vec![Port::single("mean", out.mean), Port::single("log_std", out.log_std)])
        };
        Plan::new("act", tape, inputs, outputs)
    }

    /// The policy-gradient loss L = −Σ w log π(a|o) A of a piece (paper, equation 4; protocol A.4 "inner objective").
    pub(super) fn policy_loss<'t>(&self, theta: &[Var<'t>], steps: &Steps<'t>) -> Var<'t> {
        let log_density = self.forward(theta, steps.observation).log_density(steps.action);
        -loss::weighted(log_density * steps.advantage, steps.weight)
    }

    /// ∇L of a piece: `theta`, steps → `gradient`, `loss`.
    pub fn policy_gradient(&self, lead: &[usize], n: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.layout().inputs(&tape, lead);
            let steps = self.steps(&tape, lead, n);
            let loss = self.policy_loss(&theta, &steps);
            let gradient = grad(loss.sum_all(), &theta);
            let mut inputs = vec![self.layout().port("theta", &theta)];
            inputs.extend(steps.ports());
            (inputs, vec![self.layout().port("gradient", &gradient), Port::single("loss", loss)])
        };
        Plan::new("policy_gradient", tape, inputs, outputs)
    }

    /// ∇²L v of a piece: `theta`, steps, late `vector` → `product`, early `gradient` ∇L. Adjoint and tangent of the inner
    /// step alike, because the Hessian is symmetric.
    pub fn policy_curvature(&self, lead: &[usize], n: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.layout().inputs(&tape, lead);
            let steps = self.steps(&tape, lead, n);
            let vector = self.layout().inputs(&tape, lead);
            let gradient = grad(self.policy_loss(&theta, &steps).sum_all(), &theta);
            let along = gradient.iter().zip(&vector).map(|(g, v)| (*g * *v).sum_all()).reduce(|a, b| a + b);
            let product = grad(along.expect("a policy has parameters"), &theta);
            let mut inputs = vec![self.layout().port("theta", &theta)];
            inputs.extend(steps.ports());
            inputs.push(self.layout().port("vector", &vector).late());
            let gradient = self.layout().port("gradient", &gradient).early();
            (inputs, vec![self.layout().port("product", &product), gradient])
        };
        Plan::new("policy_curvature", tape, inputs, outputs)
    }

    /// How likely a piece's actions were, and how that changes along a direction: `theta`, `observation`, `action`, late
    /// `vector` → `log_density [n]`, `tangent [n]` = ∇ log π(a|o) · v at every time step.
    pub fn score(&self, lead: &[usize], n: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.layout().inputs(&tape, lead);
            let observation = tape.input(&[lead, &[n, self.mlp.widths[0]]].concat());
            let action = tape.input(&[lead, &[n, self.actions()]].concat());
            let vector = self.layout().inputs(&tape, lead);
            let log_density = self.forward(&theta, observation).log_density(action);
            let tangent = jvp(log_density, &theta, &vector);
            let inputs = vec![
                self.layout().port("theta", &theta),
                Port::single("observation", observation),
                Port::single("action", action),
                self.layout().port("vector", &vector).late(),
            ];
            (inputs, vec![Port::single("log_density", log_density), Port::single("tangent", tangent)])
        };
        Plan::new("score", tape, inputs, outputs)
    }

    /// The outer objective on a piece, against the distribution that sampled it: S = −Σ w (π/π_old) A and the mean
    /// KL(old ‖ new). `theta`, steps, `old_mean`, `old_log_std` → `loss`, `kl`, and `gradient` of S when asked.
    pub fn surrogate(&self, lead: &[usize], n: usize, with_gradient: bool) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.layout().inputs(&tape, lead);
            let steps = self.steps(&tape, lead, n);
            let old = Gaussian {
                mean: tape.input(&[lead, &[n, self.actions()]].concat()),
                log_std: tape.input(&[lead, &[1, self.actions()]].concat()),
            };
            let new = self.forward(&theta, steps.observation);
            let loss = steps.surrogate_loss(new.log_density(steps.action), old.log_density(steps.action));
            let kl = loss::weighted(new.kl_from(old), steps.weight);
            let mut inputs = vec![self.layout().port("theta", &theta)];
            inputs.extend(steps.ports());
            inputs.extend([Port::single("old_mean", old.mean), Port::single("old_log_std", old.log_std)]);
            let mut outputs = vec![Port::single("loss", loss), Port::single("kl", kl)];
            if with_gradient {
                outputs.push(self.layout().port("gradient", &grad(loss.sum_all(), &theta)));
            }
            (inputs, outputs)
        };
        Plan::new(if with_gradient { "surrogate_gradient" } else { "surrogate" }, tape, inputs, outputs)
    }

    /// ∇θ KL(old ‖ θ) of a piece: `theta`, `observation`, `weight`, `old_mean`, `old_log_std` → `gradient`. Differences of
    /// it are the released code's products with the divergence's Hessian (protocol A.0 row 18).
    pub fn divergence_gradient(&self, lead: &[usize], n: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.layout().inputs(&tape, lead);
            let observation = tape.input(&[lead, &[n, self.observations()]].concat());
            let weight = tape.input(&[lead, &[n]].concat());
            let old = Gaussian {
                mean: tape.input(&[lead, &[n, self.actions()]].concat()),
                log_std: tape.input(&[lead, &[1, self.actions()]].concat()),
            };
            let kl = loss::weighted(self.forward(&theta, observation).kl_from(old), weight);
            let gradient = grad(kl.sum_all(), &theta);
            let inputs = vec![
                self.layout().port("theta", &theta),
                Port::single("observation", observation),
                Port::single("weight", weight),
                Port::single("old_mean", old.mean),
                Port::single("old_log_std", old.log_std),
            ];
            (inputs, vec![self.layout().port("gradient", &gradient)])
        };
        Plan::new("divergence_gradient", tape, inputs, outputs)
    }

    /// F v of a piece: the Hessian of the mean KL divergence at the policy itself, along `vector`.
    /// `theta`, `observation`, `weight`, late `vector` → `product`.
    pub fn fisher(&self, lead: &[usize], n: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.layout().inputs(&tape, lead);
            let observation = tape.input(&[lead, &[n, self.observations()]].concat());
            let weights = tape.input(&[lead, &[n]].concat());
            let vector = self.layout().inputs(&tape, lead);
            let product = self.fisher_along(&theta, observation, weights, &vector);
            let inputs = vec![
                self.layout().port("theta", &theta),
                Port::single("observation", observation),
                Port::single("weight", weights),
                self.layout().port("vector", &vector).late(),
            ];
            (inputs, vec![self.layout().port("product", &product)])
        };
        Plan::new("fisher", tape, inputs, outputs)
    }

    /// F v at `theta` on time steps `observation [lead…, n, observation]` with `weights [lead…, n]`.
    ///
    /// For a Gaussian with mean μ(θ) and state-free σ: F = Σ w [J_μᵀ diag(σ⁻²) J_μ + 2 J_sᵀ J_s], s = ln σ.
    pub(super) fn fisher_along<'t>(
        &self,
        theta: &[Var<'t>],
        observation: Var<'t>,
        weights: Var<'t>,
        vector: &[Var<'t>],
    ) -> Vec<Var<'t>> {
        let out = self.forward(theta, observation);
        let weight = weights.reshape(&[&weights.shape[..], &[1]].concat());
        let mean_tangent = jvp(out.mean, theta, vector);
        let log_std_tangent = jvp(out.log_std, theta, vector);
        let mean_seed = mean_tangent * (out.log_std * -2.0).exp() * weight;
        let log_std_seed = log_std_tangent * weight.sum_keep(&[weight.shape.len() - 2]) * 2.0;
        vjp(&[out.mean, out.log_std], &[mean_seed, log_std_seed], theta)
    }
}

impl<'t> Steps<'t> {
    /// The outer objective S = −Σ w (π/π_old) A `[lead…]`, of log densities `[lead…, n]` of the actions (protocol A.4).
    pub(super) fn surrogate_loss(&self, new: Var<'t>, old: Var<'t>) -> Var<'t> {
        -loss::weighted((new - old).exp() * self.advantage, self.weight)
    }

    pub(super) fn ports(&self) -> [Port; 4] {
        [
            Port::single("observation", self.observation),
            Port::single("action", self.action),
            Port::single("advantage", self.advantage),
            Port::single("weight", self.weight),
        ]
    }
}
