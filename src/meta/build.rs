//! From the spec's words to networks.

use crate::nn::{Activation, Mlp, Policy, init::Draw};
use crate::spec::{self, Init, Model};

impl From<spec::Activation> for Activation {
    fn from(word: spec::Activation) -> Self {
        match word {
            spec::Activation::Relu => Activation::Relu,
            spec::Activation::Tanh => Activation::Tanh,
            spec::Activation::Sigmoid => Activation::Sigmoid,
        }
    }
}

impl From<Init> for Draw {
    fn from(init: Init) -> Self {
        match init {
            Init::TruncatedNormal { std } => Draw::TruncatedNormal(std),
            Init::Xavier => Draw::Xavier,
        }
    }
}

/// The spec's network between these widths.
pub fn network(model: &Model, inputs: usize, outputs: usize) -> Mlp {
    Mlp::new(inputs, &model.hidden, outputs, model.activation.into())
}

/// The spec's Gaussian policy.
pub fn policy(model: &Model, observations: usize, actions: usize) -> Policy {
    Policy { mlp: network(model, observations, actions), init_std: model.init_std, min_std: model.min_std }
}
