//! What a network is built from: each block's parameters and what it makes of the shape of a point.

use super::conv::{Conv, Pool};
use super::gru::Gru;
use super::init::Draw;
use super::layout::{Entry, Role, Start};
use super::mlp::Activation;
use super::norm::{BatchNorm, LayerNorm};
use crate::graph::{Shape, Var};
use std::fmt;

/// One block. A point is a vector `[width]`, a sequence `[time, width]` or an image `[height, width, channels]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Block {
    /// `x W + b` of a vector.
    Linear {
        width: usize,
        /// How the weights are drawn; none: as the whole network says.
        draw: Option<Draw>,
        adapted: bool,
    },
    Conv(Conv),
    BatchNorm(BatchNorm),
    LayerNorm(LayerNorm),
    Activation(Activation),
    MaxPool(Pool),
    /// Mean over space or time: `[…, channels]` → `[channels]`.
    Mean,
    /// Everything in one row.
    Flatten,
    Gru(Gru),
    /// The context vector, `width` free parameters beside the last axis of a point: all that the inner steps adapt.
    Context {
        width: usize,
    },
}

/// Why a network cannot be built: the block, counted from 0, and what is wrong with it. `layer` is the number of blocks
/// where the fault shows only behind the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    pub layer: usize,
    pub message: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Block {
    pub fn name(&self) -> &'static str {
        match self {
            Block::Linear { .. } => "linear",
            Block::Conv(_) => "conv",
            Block::BatchNorm(_) => "batch_norm",
            Block::LayerNorm(_) => "layer_norm",
            Block::Activation(Activation::Relu) => "relu",
            Block::Activation(Activation::Tanh) => "tanh",
            Block::Activation(Activation::Sigmoid) => "sigmoid",
            Block::MaxPool(_) => "max_pool",
            Block::Mean => "mean",
            Block::Flatten => "flatten",
            Block::Gru(_) => "gru",
            Block::Context { .. } => "context",
        }
    }

    /// The shape of a point behind the block, or why there is none.
    pub fn shape(&self, point: &[usize]) -> Result<Vec<usize>, String> {
        match (self, point) {
            (Block::Linear { width, .. }, [_]) => Ok(vec![*width]),
            (Block::Linear { .. }, _) => Err("takes a vector; put `mean` or `flatten` before it".into()),
            (Block::Conv(conv), [height, width, _]) => conv.shape(*height, *width),
            (Block::MaxPool(pool), [height, width, channels]) => pool.shape(*height, *width, *channels),
            (Block::Conv(_) | Block::MaxPool(_), _) => Err("takes images, height x width x channels".into()),
            (Block::BatchNorm(_) | Block::LayerNorm(_) | Block::Activation(_), _) => Ok(point.to_vec()),
            (Block::Mean, [_]) => Err("takes images or sequences; a vector has no space to average".into()),
            (Block::Mean, _) => Ok(point[point.len() - 1..].to_vec()),
            (Block::Flatten, _) => Ok(vec![point.iter().product()]),
            (Block::Gru(gru), [_] | [_, _]) => Ok(vec![gru.hidden]),
            (Block::Context { width }, [.., last]) => {
                Ok([&point[..point.len() - 1], &[last + width]].concat())
            }
            (Block::Context { .. }, []) => Err("takes a point of at least one number".into()),
            (Block::Gru(_), _) => Err("takes sequences, time x width; put `flatten` before it".into()),
        }
    }

    /// Its parameters. Blocks with weights are `layer0`, `layer1`, …, normalisations `norm0`, `norm1`, …: `number`
    /// says which this is among its kind.
    pub fn entries(&self, point: &[usize], number: usize) -> Vec<Entry> {
        let inputs = point.last().copied().unwrap_or(1);
        match self {
            Block::Linear { width, draw, adapted } => {
                let start = Start::Weight { fan_in: inputs, fan_out: *width, draw: *draw };
                affine(&format!("layer{number}."), vec![inputs, *width], start, role(*adapted))
            }
            Block::Conv(conv) => conv.entries(inputs, number),
            Block::Gru(gru) => gru.entries(point, number),
            Block::BatchNorm(norm) => norm.entries(inputs, number),
            Block::LayerNorm(norm) => norm.entries(inputs, number),
            Block::Context { width } => vec![context(*width)],
            Block::Activation(_) | Block::MaxPool(_) | Block::Mean | Block::Flatten => vec![],
        }
    }

    /// Whether the block counts among the layers or among the normalisations, if at all.
    pub fn counted(&self) -> Option<usize> {
        match self {
            Block::Linear { .. } | Block::Conv(_) | Block::Gru(_) => Some(0),
            Block::BatchNorm(_) | Block::LayerNorm(_) => Some(1),
            Block::Activation(_) | Block::MaxPool(_) | Block::Mean | Block::Flatten => None,
            Block::Context { .. } => None,
        }
    }

    /// The same block, with parameters that no inner step adapts.
    pub fn shared(self) -> Block {
        let adapted = false;
        match self {
            Block::Linear { width, draw, .. } => Block::Linear { width, draw, adapted },
            Block::Conv(conv) => Block::Conv(Conv { adapted, ..conv }),
            Block::BatchNorm(norm) => Block::BatchNorm(BatchNorm { adapted, ..norm }),
            Block::LayerNorm(norm) => Block::LayerNorm(LayerNorm { adapted, ..norm }),
            Block::Gru(gru) => Block::Gru(Gru { adapted, ..gru }),
            other => other,
        }
    }
}

/// Who moves parameters that the inner steps may or may not adapt.
pub(super) fn role(adapted: bool) -> Role {
    if adapted { Role::Adapted } else { Role::Shared }
}

/// The parameters of a context vector, which start at 0: before it has adapted, a network is one without.
pub(super) fn context(width: usize) -> Entry {
    Entry { name: "context".into(), shape: vec![width], start: Start::Constant(0.0), role: Role::Adapted }
}

/// `x [lead…, n, point…]` with the context `z [lead…, width]` beside its last axis.
pub(super) fn beside<'t>(z: Var<'t>, x: Var<'t>) -> Var<'t> {
    let (lead, width) = z.shape.split_at(z.shape.len() - 1);
    let last = x.shape.len() - 1;
    let ones = vec![1; last - lead.len()];
    let everywhere = Shape::new(&[&x.shape[..last], width].concat());
    let z = z.reshape(&[lead, &ones, width].concat()).broadcast(everywhere);
    Var::concat(&[x, z], last)
}

/// `<prefix>weight` of this shape and `<prefix>bias` along its last axis.
pub(super) fn affine(prefix: &str, shape: Vec<usize>, start: Start, role: Role) -> Vec<Entry> {
    let outputs = shape.last().copied().unwrap_or(1);
    vec![
        Entry { name: format!("{prefix}weight"), shape, start, role },
        Entry { name: format!("{prefix}bias"), shape: vec![outputs], start: Start::Constant(0.0), role },
    ]
}
