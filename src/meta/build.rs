//! From the spec's words to networks.

use crate::nn::block::{Block, Misfit};
use crate::nn::conv::{Conv, Padding, Pool};
use crate::nn::gru::Gru;
use crate::nn::norm::{BatchMode, BatchNorm, LayerNorm};
use crate::nn::{Activation, Mlp, Network, Policy, init::Draw};
use crate::spec::{self, Init, Layer, Model};

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
            Init::Normal { std } => Draw::Normal(std),
        }
    }
}

/// The spec's network on points of shape `input`, for answers of `outputs` numbers; training takes at most `steps` inner
/// steps. The short form reads an image as one row. Of a misfit, `layer` is the position in the spec's `layers`, or
/// their number where the fault shows behind the last (and always in the short form, which has none).
/// `context`: numbers of a context vector beside the points, the only ones that inner steps then adapt.
pub fn network(
    model: &Model,
    input: &[usize],
    outputs: usize,
    steps: usize,
    context: Option<usize>,
) -> Result<Network, Misfit> {
    let (input, mut blocks) = match &model.layers {
        Some(layers) => {
            (input.to_vec(), layers.iter().map(|layer| block(layer, outputs, steps)).collect::<Vec<Block>>())
        }
        None => {
            let activation = Block::Activation(model.activation.into());
            let linear = |width: usize| Block::Linear { width, draw: None, adapted: true };
            let hidden = model.hidden.iter().flat_map(|width| [linear(*width), activation]);
            (vec![input.iter().product()], hidden.chain([linear(outputs)]).collect())
        }
    };
    if let Some(width) = context {
        blocks =
            [Block::Context { width }].into_iter().chain(blocks.into_iter().map(Block::shared)).collect();
    }
    let in_spec = |misfit: Misfit| match &model.layers {
        Some(_) => Misfit { layer: misfit.layer.saturating_sub(usize::from(context.is_some())), ..misfit },
        None => Misfit { layer: 0, ..misfit },
    };
    Network::new(&input, &blocks, outputs).map_err(in_spec)
}

/// The key of the spec where a misfit lies.
pub fn key(model: &Model, misfit: &Misfit) -> String {
    match &model.layers {
        Some(layers) if misfit.layer < layers.len() => format!("model.layers[{}]", misfit.layer),
        Some(_) => "model.layers".into(),
        None => "model.hidden".into(),
    }
}

/// One block, with its answer width and the per-step rows filled in.
fn block(layer: &Layer, outputs: usize, steps: usize) -> Block {
    match *layer {
        Layer::Conv { filters, kernel, stride, padding, bias, init, adapted } => {
            let padding = match padding {
                spec::Padding::Same => Padding::Same,
                spec::Padding::Valid => Padding::Valid,
            };
            let draw = Some(init.into());
            Block::Conv(Conv { filters, kernel, stride, padding, bias, draw, adapted })
        }
        Layer::BatchNorm { mode, scale, epsilon, adapted } => {
            let mode = match mode {
                spec::BatchMode::Transductive => BatchMode::Transductive,
                spec::BatchMode::Support => BatchMode::Support,
                spec::BatchMode::Running => BatchMode::Running,
                spec::BatchMode::PerStep => BatchMode::PerStep { steps },
            };
            Block::BatchNorm(BatchNorm { mode, scale, epsilon, adapted })
        }
        Layer::LayerNorm { scale, epsilon, adapted } => {
            Block::LayerNorm(LayerNorm { scale, epsilon, adapted })
        }
        Layer::Relu => Block::Activation(Activation::Relu),
        Layer::Tanh => Block::Activation(Activation::Tanh),
        Layer::Sigmoid => Block::Activation(Activation::Sigmoid),
        Layer::MaxPool { size } => Block::MaxPool(Pool { size }),
        Layer::Mean => Block::Mean,
        Layer::Flatten => Block::Flatten,
        Layer::Linear { width, init, adapted } => {
            Block::Linear { width: width.unwrap_or(outputs), draw: Some(init.into()), adapted }
        }
        Layer::Gru { width, init, adapted } => {
            Block::Gru(Gru { hidden: width, draw: Some(init.into()), adapted })
        }
    }
}

/// The spec's Gaussian policy, with a context vector of so many numbers.
pub fn policy(model: &Model, observations: usize, actions: usize, context: usize) -> Policy {
    let mlp = Mlp::new(observations + context, &model.hidden, actions, model.activation.into());
    Policy { mlp, context, init_std: model.init_std, min_std: model.min_std }
}
