//! Algorithm 3 for all tasks of a meta-batch in one graph, the inner steps unrolled in it.
//!
//! [`super::reinforcement`] runs small graphs once a task, step and piece. Once all trajectories are there, a device that
//! takes many tasks in one launch need not: the graphs here repeat the adaptation θ_{k+1} = θ_k − α M ∇L_k(θ_k) on the
//! stored time steps (M keeps what the policy adapts and zeroes the rest) and go on to the outer gradient, to a product
//! with the curvature of the post-adaptation divergence, or to the loss and divergence of a candidate (protocol A.4).
//! θ and the vector of a product have no task axis and are repeated for the tasks inside; gradients and products are
//! sums over the tasks, losses and divergences one number a task.
//!
//! Ports in, of all three: `theta`, `rate []`; for each inner step k from 0 on `observation_k [tasks, support, …]`,
//! `action_k [tasks, support, …]`, `advantage_k [tasks, support]`, `weight_k [tasks, support]`; and of the time steps
//! after adaptation the like without a number, `[tasks, query, …]`. Weights are as for [`loss::weighted`].

use super::{inner, loss};
use crate::graph::{Plan, Port, Shape, Tape, Var, grad, vjp};
use crate::nn::policy::Gaussian;
use crate::nn::{Policy, Role};

/// The inner steps of all tasks.
struct Adaptation<'t> {
    rate: Var<'t>,
    /// Whether each parameter tensor is adapted: M.
    moves: Vec<bool>,
    /// θ₀ … θ_K, with the task axis in front.
    thetas: Vec<Vec<Var<'t>>>,
    /// ∇L_k(θ_k), as θ_k; of what is not adapted, too.
    gradients: Vec<Vec<Var<'t>>>,
    /// Ports of `theta`, `rate` and the time steps.
    inputs: Vec<Port>,
}

/// Every task's copy of tensors that all tasks share.
fn repeated<'t>(shared: &[Var<'t>], tasks: usize) -> Vec<Var<'t>> {
    shared.iter().map(|p| p.broadcast(Shape::new(&[&[tasks], &p.shape[..]].concat()))).collect()
}

/// Σ over tasks of tensors that have them in front.
fn summed<'t>(each: &[Var<'t>]) -> Vec<Var<'t>> {
    each.iter().map(|x| x.sum(&[0])).collect()
}

impl<'t> Adaptation<'t> {
    /// `steps` inner steps on `rows` time steps each. Derivatives go through them, or else each θ_{k+1} is a constant to
    /// those with respect to what came before, what is not adapted included.
    fn new(
        policy: &Policy,
        tape: &'t Tape,
        [tasks, rows, steps]: [usize; 3],
        through: bool,
    ) -> Adaptation<'t> {
        let layout = policy.layout();
        let (given, rate) = (layout.inputs(tape, &[]), tape.input(&[]));
        let mut adaptation = Adaptation {
            rate,
            moves: layout.entries.iter().map(|entry| entry.role == Role::Adapted).collect(),
            thetas: vec![repeated(&given, tasks)],
            gradients: vec![],
            inputs: vec![layout.port("theta", &given), Port::single("rate", rate)],
        };
        for step in 0..steps {
            let data = policy.steps(tape, &[tasks], rows);
            adaptation.inputs.extend(data.ports().map(|mut port| {
                port.name = format!("{}_{step}", port.name);
                port
            }));
            tape.scope(&format!("inner step {}", step + 1), || {
                let theta = &adaptation.thetas[step];
                let loss = policy.policy_loss(theta, &data);
                let mut next = inner::step_some(theta, &adaptation.moves, loss, rate, through);
                if !through {
                    next.iter_mut().for_each(|p| *p = p.stop_gradient());
                }
                // What the step itself has computed of it is computed once.
                adaptation.gradients.push(grad(loss.sum_all(), theta));
                adaptation.thetas.push(next);
            });
        }
        adaptation
    }

    fn adapted(&self) -> &[Var<'t>] {
        &self.thetas[self.thetas.len() - 1]
    }

    /// The derivative of inner step `step` along `vector`: v − α M ∇²L(θ_k) v. Hessians are symmetric, so that the
    /// derivative of the gradient along a vector is that of their product.
    fn along(&self, step: usize, vector: &[Var<'t>]) -> Vec<Var<'t>> {
        self.rate.tape.scope(&format!("tangent of inner step {}", step + 1), || {
            let curved = vjp(&self.gradients[step], vector, &self.thetas[step]);
            let all = vector.iter().zip(curved).zip(&self.moves);
            all.map(|((v, h), moves)| if *moves { *v - h * self.rate } else { *v }).collect()
        })
    }

    /// The same transposed: v − α ∇²L(θ_k) M v.
    fn back(&self, step: usize, vector: &[Var<'t>]) -> Vec<Var<'t>> {
        let kept = |all: &[Var<'t>]| -> Vec<Var<'t>> {
            all.iter().zip(&self.moves).filter(|(_, moves)| **moves).map(|(x, _)| *x).collect()
        };
        self.rate.tape.scope(&format!("adjoint of inner step {}", step + 1), || {
            let curved = vjp(&kept(&self.gradients[step]), &kept(vector), &self.thetas[step]);
            vector.iter().zip(curved).map(|(v, h)| *v - h * self.rate).collect()
        })
    }
}

impl Policy {
    /// The outer gradient (Algorithm 3, lines 4 to 10): `steps` inner steps on `support` time steps each, then ∇S on
    /// `query` time steps that the adapted policy sampled, with respect to θ; with the inner gradients constant unless
    /// `through`.
    ///
    /// Ports out: `gradient` (as theta), the sum over tasks; `loss [tasks]`; and the distribution that sampled the last
    /// time steps, `old_mean [tasks, query, actions]`, `old_log_std [tasks, 1, actions]`.
    pub fn batch_gradient(
        &self,
        tasks: usize,
        support: usize,
        query: usize,
        steps: usize,
        through: bool,
    ) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let adaptation = Adaptation::new(self, &tape, [tasks, support, steps], through);
            let last = self.steps(&tape, &[tasks], query);
            let policy = self.forward(adaptation.adapted(), last.observation);
            let log_density = policy.log_density(last.action);
            // The policy is the one that sampled.
            let loss = last.surrogate_loss(log_density, log_density.stop_gradient());
            // To first order the derivative of the adaptation is the identity.
            let start = if through { &adaptation.thetas[0] } else { adaptation.adapted() };
            let gradient = summed(&grad(loss.sum_all(), start));
            let mut inputs = adaptation.inputs;
            inputs.extend(last.ports());
            let outputs = vec![
                self.layout().port("gradient", &gradient),
                Port::single("loss", loss),
                Port::single("old_mean", policy.mean),
                Port::single("old_log_std", policy.log_std),
            ];
            (inputs, outputs)
        };
        Plan::new("batch_gradient", tape, inputs, outputs)
    }

    /// Σ over tasks of Jᵀ F J v: the Hessian of the post-adaptation divergences at θ, along a vector. F is the Fisher
    /// matrix of the adapted policy on `query` time steps (see [`Policy::fisher`]), J the derivative of the adaptation,
    /// or the identity unless `through`.
    ///
    /// Ports in: of the last time steps `observation` and `weight` alone; late `vector` (as theta).
    /// Ports out: `product` (as theta).
    pub fn batch_fisher(
        &self,
        tasks: usize,
        support: usize,
        query: usize,
        steps: usize,
        through: bool,
    ) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let layout = self.layout();
            let adaptation = Adaptation::new(self, &tape, [tasks, support, steps], false);
            let observation = tape.input(&[tasks, query, self.observations()]);
            let weight = tape.input(&[tasks, query]);
            let vector = layout.inputs(&tape, &[]);
            let through = if through { steps } else { 0 };
            let along = |v: Vec<_>, step| adaptation.along(step, &v);
            let back = |v: Vec<_>, step| adaptation.back(step, &v);
            let tangent = (0..through).fold(repeated(&vector, tasks), along);
            let adjoint = self.fisher_along(adaptation.adapted(), observation, weight, &tangent);
            let product = summed(&(0..through).rev().fold(adjoint, back));
            let mut inputs = adaptation.inputs;
            inputs.extend([
                Port::single("observation", observation),
                Port::single("weight", weight),
                layout.port("vector", &vector).late(),
            ]);
            (inputs, vec![layout.port("product", &product)])
        };
        Plan::new("batch_fisher", tape, inputs, outputs)
    }

    /// What a candidate θ is judged by: the outer objective S of the policies adapted from it, and their mean
    /// KL(old ‖ new) from the distributions that sampled the last time steps.
    ///
    /// Ports in: behind the others `old_mean [tasks, query, actions]`, `old_log_std [tasks, 1, actions]`.
    /// Ports out: `loss [tasks]`, `kl [tasks]`.
    pub fn batch_surrogate(&self, tasks: usize, support: usize, query: usize, steps: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let adaptation = Adaptation::new(self, &tape, [tasks, support, steps], false);
            let last = self.steps(&tape, &[tasks], query);
            let old = Gaussian {
                mean: tape.input(&[tasks, query, self.actions()]),
                log_std: tape.input(&[tasks, 1, self.actions()]),
            };
            let new = self.forward(adaptation.adapted(), last.observation);
            let loss = last.surrogate_loss(new.log_density(last.action), old.log_density(last.action));
            let kl = loss::weighted(new.kl_from(old), last.weight);
            let mut inputs = adaptation.inputs;
            inputs.extend(last.ports());
            inputs.extend([Port::single("old_mean", old.mean), Port::single("old_log_std", old.log_std)]);
            (inputs, vec![Port::single("loss", loss), Port::single("kl", kl)])
        };
        Plan::new("batch_surrogate", tape, inputs, outputs)
    }
}
