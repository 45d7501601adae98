//! Multilayer perceptrons.

use super::layout::{Entry, Layout, Role, Start};
use crate::graph::Var;

/// The nonlinearity between layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Relu,
    Tanh,
    Sigmoid,
}

impl Activation {
    pub fn apply(self, x: Var) -> Var {
        match self {
            Activation::Relu => x.relu(),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => x.sigmoid(),
        }
    }
}

/// `x → act(x W₁ + b₁) → … → x Wₙ + bₙ`; the last layer is linear.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// Input width, hidden widths, output width.
    pub widths: Vec<usize>,
    pub activation: Activation,
}

impl Mlp {
    pub fn new(inputs: usize, hidden: &[usize], outputs: usize, activation: Activation) -> Mlp {
        Mlp { widths: [&[inputs], hidden, &[outputs]].concat(), activation }
    }

    /// `layer<i>.weight [in, out]` and `layer<i>.bias [out]`, layer by layer.
    pub fn layout(&self) -> Layout {
        let layer = |(i, pair): (usize, &[usize])| {
            let (fan_in, fan_out) = (pair[0], pair[1]);
            [
                Entry {
                    name: format!("layer{i}.weight"),
                    shape: vec![fan_in, fan_out],
                    start: Start::Weight { fan_in, fan_out, draw: None },
                    role: Role::Adapted,
                },
                Entry {
                    name: format!("layer{i}.bias"),
                    shape: vec![fan_out],
                    start: Start::Constant(0.0),
                    role: Role::Adapted,
                },
            ]
        };
        Layout { entries: self.widths.windows(2).enumerate().flat_map(layer).collect() }
    }

    /// `x [lead…, n, inputs]`, parameters with the same leading axes → `[lead…, n, outputs]`.
    pub fn forward<'t>(&self, params: &[Var<'t>], x: Var<'t>) -> Var<'t> {
        let layers = self.widths.len() - 1;
        params.chunks(2).take(layers).enumerate().fold(x, |x, (i, layer)| {
            x.tape.scope(&format!("layer {i}"), || {
                let bias = layer[1];
                let (lead, width) = bias.shape.split_at(bias.shape.len() - 1);
                let y = x.matmul(layer[0]) + bias.reshape(&[lead, &[1], width].concat());
                if i + 1 < layers { self.activation.apply(y) } else { y }
            })
        })
    }
}
