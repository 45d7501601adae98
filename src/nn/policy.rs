//! Diagonal Gaussian policies with a state-free standard deviation (protocol A.4; the released policies).

use super::block;
use super::layout::{Entry, Layout, Role, Start};
use super::mlp::Mlp;
use crate::graph::Var;

/// `action ~ N(mlp(observation), diag(exp(log_std))²)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub mlp: Mlp,
    /// Numbers of the context vector, which the network reads behind the observation. Where there are some, they are all
    /// that inner steps adapt.
    pub context: usize,
    /// Initial standard deviation.
    pub init_std: f64,
    /// Floor of the standard deviation.
    pub min_std: f64,
}

/// The distribution at a batch of observations.
#[derive(Clone, Copy)]
pub struct Gaussian<'t> {
    /// `[lead…, n, actions]`
    pub mean: Var<'t>,
    /// `[lead…, 1, actions]`, at least ln(min_std).
    pub log_std: Var<'t>,
}

impl Policy {
    /// Numbers of an observation.
    pub fn observations(&self) -> usize {
        self.mlp.widths[0] - self.context
    }

    /// Numbers of an action.
    pub fn actions(&self) -> usize {
        self.mlp.widths[self.mlp.widths.len() - 1]
    }

    /// `context [context]` where there is one, the network's parameters, then `log_std [actions]`.
    pub fn layout(&self) -> Layout {
        let mut layout = self.mlp.layout();
        layout.entries.push(Entry {
            name: "log_std".into(),
            shape: vec![self.actions()],
            start: Start::Constant(self.init_std.ln()),
            role: Role::Adapted,
        });
        if self.context > 0 {
            layout.entries.iter_mut().for_each(|entry| entry.role = Role::Shared);
            layout.entries.insert(0, block::context(self.context));
        }
        layout
    }

    pub fn forward<'t>(&self, params: &[Var<'t>], observations: Var<'t>) -> Gaussian<'t> {
        let (context, params) = params.split_at(usize::from(self.context > 0));
        let observations = context.iter().fold(observations, |seen, z| block::beside(*z, seen));
        let (network, log_std) = params.split_at(params.len() - 1);
        let log_std = log_std[0];
        let (lead, width) = log_std.shape.split_at(log_std.shape.len() - 1);
        let log_std = log_std.tape.scope("log_std", || {
            let floor = log_std.tape.full(self.min_std.ln(), log_std.shape);
            log_std.max(floor).reshape(&[lead, &[1], width].concat())
        });
        Gaussian { mean: self.mlp.forward(network, observations), log_std }
    }
}

impl<'t> Gaussian<'t> {
    /// Log-density of actions `[lead…, n, actions]` → `[lead…, n]`:
    /// Σⱼ −(aⱼ − μⱼ)² / (2 σⱼ²) − ln σⱼ − ln(2π) / 2.
    pub fn log_density(&self, actions: Var<'t>) -> Var<'t> {
        actions.tape.scope("log-density", || {
            let z = (actions - self.mean) * (-self.log_std).exp();
            let half_log_two_pi = 0.5 * (2.0 * std::f64::consts::PI).ln();
            let axis = z.shape.len() - 1;
            (z.square() * -0.5 - self.log_std - half_log_two_pi).sum(&[axis])
        })
    }

    /// Kullback–Leibler divergence KL(old ‖ self) at every observation, `[lead…, n]`:
    /// Σⱼ ln σⱼ − ln σᵒⱼ + (σᵒⱼ² + (μᵒⱼ − μⱼ)²) / (2 σⱼ²) − 1/2.
    pub fn kl_from(&self, old: Gaussian<'t>) -> Var<'t> {
        self.mean.tape.scope("KL divergence", || {
            let precision = (self.log_std * -2.0).exp();
            let spread = ((old.log_std * 2.0).exp() + (old.mean - self.mean).square()) * precision * 0.5;
            let axis = self.mean.shape.len() - 1;
            (self.log_std - old.log_std + spread - 0.5).sum(&[axis])
        })
    }
}
