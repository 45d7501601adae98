//! Networks as rows of blocks.

use super::block::{self, Block, Misfit};
use super::layout::{Entry, Layout};
use super::mlp::{Activation, Mlp};
use super::norm::{BatchMode, Moments};
use crate::graph::Var;

/// More parameters than any network here has a use for: a gigabyte of them.
const MOST_PARAMETERS: usize = 1 << 28;

/// `x → block₀ → block₁ → …`
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The shape of a point.
    input: Vec<usize>,
    blocks: Vec<Placed>,
}

#[derive(Clone, Debug, PartialEq)]
struct Placed {
    block: Block,
    /// The shape of a point before it.
    point: Vec<usize>,
    /// Which it is among the layers, or among the normalisations.
    number: usize,
    /// How many parameter tensors the blocks before it have.
    first: usize,
    entries: Vec<Entry>,
}

/// What a forward pass is for, as far as normalisation cares.
#[derive(Clone, Copy, Default)]
pub struct Pass<'s, 't> {
    /// How many inner steps the parameters have taken.
    pub updates: usize,
    /// Whether the points are only judged: nothing is learned from this pass.
    pub judging: bool,
    /// The moments of the task's support points at the same parameters, one for each batch normalisation.
    pub support: Option<&'s [Moments<'t>]>,
}

impl Network {
    /// The blocks on points of shape `input`; behind the last, a point is a vector of `outputs` numbers.
    pub fn new(input: &[usize], blocks: &[Block], outputs: usize) -> Result<Network, Misfit> {
        let mut network = Network { input: input.to_vec(), blocks: Vec::with_capacity(blocks.len()) };
        let mut point = input.to_vec();
        let (mut numbers, mut first) = ([0, 0], 0);
        for (layer, block) in blocks.iter().enumerate() {
            let after = block.shape(&point).map_err(|why| Misfit {
                layer,
                message: format!("`{}` {why}; it gets {}", block.name(), shown(&point)),
            })?;
            let number = block.counted().map_or(0, |kind| numbers[kind]);
            let entries = block.entries(&point, number);
            if let Some(kind) = block.counted() {
                numbers[kind] += 1;
            }
            let count = entries.len();
            network.blocks.push(Placed { block: *block, point, number, first, entries });
            first += count;
            point = after;
            if network.size().is_none_or(|size| size > MOST_PARAMETERS) {
                let message = format!("`{}` makes more than {MOST_PARAMETERS} parameters", block.name());
                return Err(Misfit { layer, message });
            }
        }
        let end = |message: String| Misfit { layer: blocks.len(), message };
        if point != [outputs] {
            let what =
                if outputs == 1 { "1 number".into() } else { format!("a vector of {outputs} numbers") };
            return Err(end(format!(
                "the network ends with {}, but the task asks for {what}",
                shown(&point)
            )));
        }
        if first == 0 {
            return Err(end("the network has no parameters".into()));
        }
        Ok(network)
    }

    /// Parameters, unless there are more than can be counted.
    fn size(&self) -> Option<usize> {
        let product = |e: &Entry| e.shape.iter().try_fold(1usize, |size, n| size.checked_mul(*n));
        let mut entries = self.blocks.iter().flat_map(|placed| &placed.entries);
        entries.try_fold(0usize, |sum, entry| sum.checked_add(product(entry)?))
    }

    /// The shape of an input point: its last axis holds channels or features.
    pub fn input(&self) -> &[usize] {
        &self.input
    }

    /// Numbers of a point behind the last block.
    pub fn outputs(&self) -> usize {
        match self.blocks.last() {
            Some(last) => last.block.shape(&last.point).map_or(0, |point| point.iter().product()),
            None => 0,
        }
    }

    pub fn layout(&self) -> Layout {
        Layout { entries: self.blocks.iter().flat_map(|placed| placed.entries.clone()).collect() }
    }

    /// The network without its last block, where that is linear and something below it has parameters: what makes the
    /// features that the last layer reads. Its parameters are the first of the whole network's.
    pub fn body(&self) -> Option<Network> {
        let (last, below) = self.blocks.split_last()?;
        let linear = matches!(last.block, Block::Linear { .. });
        let learns = below.iter().any(|placed| !placed.entries.is_empty());
        (linear && learns).then(|| Network { input: self.input.clone(), blocks: below.to_vec() })
    }

    /// Whether queries are normalised with the moments of support points, so that judging them needs both.
    pub fn needs_support(&self) -> bool {
        self.modes().any(|mode| mode == BatchMode::Support)
    }

    /// Whether it matters how many inner steps the parameters have taken.
    pub fn counts_steps(&self) -> bool {
        self.modes().any(|mode| matches!(mode, BatchMode::PerStep { .. }))
    }

    /// How batches are normalised, block by block.
    pub fn modes(&self) -> impl Iterator<Item = BatchMode> {
        self.blocks.iter().filter_map(|placed| match &placed.block {
            Block::BatchNorm(norm) => Some(norm.mode),
            _ => None,
        })
    }

    /// `x [lead…, n, inputs]`, flat or in the shape of a point, and parameters with the same leading axes →
    /// `[lead…, n, outputs]`. Batches are normalised with their own moments.
    pub fn forward<'t>(&self, params: &[Var<'t>], x: Var<'t>) -> Var<'t> {
        self.pass(params, x, &Pass::default()).0
    }

    /// The same for a pass of any purpose, with the moments of the batch at each batch normalisation.
    pub fn pass<'t>(
        &self,
        params: &[Var<'t>],
        x: Var<'t>,
        pass: &Pass<'_, 't>,
    ) -> (Var<'t>, Vec<Moments<'t>>) {
        let lead = self.lead(params);
        let mut y = x.reshape(&[&x.shape[..lead + 1], &self.input[..]].concat());
        let mut moments = Vec::new();
        for layer in self.order() {
            let placed = &self.blocks[layer];
            let own = &params[placed.first..placed.first + placed.entries.len()];
            let scope = match placed.block {
                Block::Context { .. } => "context".to_string(),
                // As the spec counts them, which has no context among its layers.
                _ => format!("layers[{}] {}", layer - self.contexts(), placed.block.name()),
            };
            y = y.tape.scope(&scope, || match &placed.block {
                Block::Linear { .. } => linear(own, y),
                Block::Conv(conv) => conv.forward(own, lead, y),
                Block::BatchNorm(norm) => {
                    let support = pass.support.and_then(|all| all.get(moments.len()).copied());
                    let (y, batch) = norm.forward(own, lead, y, pass, support);
                    moments.push(batch);
                    y
                }
                Block::LayerNorm(norm) => norm.forward(own, lead, y),
                Block::Activation(activation) => activation.apply(y),
                Block::MaxPool(pool) => pool.forward(lead, y),
                Block::Mean => {
                    let axes: Vec<usize> = (lead + 1..y.shape.len() - 1).collect();
                    let count = axes.iter().map(|axis| y.shape[*axis]).product::<usize>();
                    y.sum(&axes) * (1.0 / count as f64)
                }
                Block::Flatten => {
                    let size = y.shape[lead + 1..].iter().product();
                    y.reshape(&[&y.shape[..lead + 1], &[size]].concat())
                }
                Block::Gru(gru) => gru.forward(own, lead, y),
                Block::Context { .. } => block::beside(own[0], y),
            });
        }
        (y, moments)
    }

    /// Context vectors in front of the layers: one or none.
    fn contexts(&self) -> usize {
        usize::from(matches!(self.blocks.first(), Some(Placed { block: Block::Context { .. }, .. })))
    }

    /// The blocks in the order they are computed: max-pooling before the ReLU that stands before it, on a fraction of the
    /// pixels. Values are the same to the bit, because a ReLU keeps the order of its inputs. Gradients are too: where
    /// the largest pixel is positive it is the largest before the ReLU as well, and where none is, no gradient passes.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.blocks.len()).collect();
        for first in 0..order.len().saturating_sub(1) {
            let pair = [first, first + 1].map(|at| &self.blocks[order[at]].block);
            if let [Block::Activation(Activation::Relu), Block::MaxPool(_)] = pair {
                order.swap(first, first + 1);
            }
        }
        order
    }

    /// What stands in a gradient for the running averages: their distances from the moments of the passes after
    /// 0, 1, … inner steps. Every other entry is none.
    pub fn distances<'t>(&self, params: &[Var<'t>], passes: &[Vec<Moments<'t>>]) -> Vec<Option<Var<'t>>> {
        let lead = self.lead(params);
        let mut all = vec![None; params.len()];
        let norms = self.blocks.iter().filter_map(|placed| match &placed.block {
            Block::BatchNorm(norm) => Some((placed, norm)),
            _ => None,
        });
        for (which, (placed, norm)) in norms.enumerate() {
            let end = placed.first + placed.entries.len();
            let batches: Vec<Moments> = passes.iter().map(|moments| moments[which]).collect();
            let found = norm.distances(&params[placed.first..end], lead, &batches);
            let at = end - found.len();
            all[at..end].iter_mut().zip(found).for_each(|(entry, distance)| *entry = Some(distance));
        }
        all
    }

    /// How many axes parameters have before their own shape.
    fn lead(&self, params: &[Var]) -> usize {
        let own = self.blocks.iter().find_map(|placed| placed.entries.first());
        params[0].shape.len() - own.map_or(0, |entry| entry.shape.len())
    }
}

/// `x W + b`.
fn linear<'t>(params: &[Var<'t>], x: Var<'t>) -> Var<'t> {
    let bias = params[1];
    let (lead, width) = bias.shape.split_at(bias.shape.len() - 1);
    x.matmul(params[0]) + bias.reshape(&[lead, &[1], width].concat())
}

fn shown(point: &[usize]) -> String {
    let sizes: Vec<String> = point.iter().map(usize::to_string).collect();
    match point {
        [1] => "1 number".into(),
        [n] => format!("{n} numbers"),
        [_, _] => format!("a sequence of {}", sizes.join("x")),
        _ => format!("an image of {}", sizes.join("x")),
    }
}

impl From<Mlp> for Network {
    /// The short form, spelt out: the same parameters and, node for node, the same graph.
    fn from(mlp: Mlp) -> Network {
        let (input, widths) = (mlp.widths[0], &mlp.widths[1..]);
        let linear = |width: &usize| Block::Linear { width: *width, draw: None, adapted: true };
        let activation = Block::Activation(mlp.activation);
        let mut blocks: Vec<Block> = widths.iter().flat_map(|width| [linear(width), activation]).collect();
        blocks.pop();
        let outputs = mlp.widths[mlp.widths.len() - 1];
        Network::new(&[input], &blocks, outputs).expect("a vector fits every linear block")
    }
}
