//! Meta-steps of regression and classification (paper, Algorithm 2).

use super::arrays::{Arrays, Like};
use super::workload::{Model, Supervised as Sizes};
use super::{Work, named};
use crate::error::{Error, Result};
use crate::lower::Device;
use crate::meta::supervised::Learner;
use crate::nn::block::Block;
use crate::nn::conv::{Conv, Padding, Pool};
use crate::nn::norm::BatchNorm;
use crate::nn::{Activation, BatchMode, Layout, Network};
use crate::record::weights::Tensor;
use crate::run::batched::Gradients;
use crate::run::composed::Of;
use crate::run::meta_gradient::MetaGradient;
use crate::run::optimizer::GradientOptimizer;
use crate::run::programs::{Points, TaskWork};
use crate::run::reduce::sum_rows;
use crate::run::workers::Workers;
use crate::spec::{Bytes, Loss, Optimizer, Order, Reduction};
use std::time::Duration;

pub struct Supervised {
    how: How,
    layout: Layout,
    optimizer: GradientOptimizer,
    theta: Vec<f32>,
    rate: f32,
    gradient: Vec<f32>,
}

enum How {
    /// Threads of the processor take a task each.
    Alone { workers: Workers<()>, program: Box<MetaGradient>, batch: Vec<Task> },
    /// A device takes all tasks at once.
    Together { gradients: Gradients, batch: Vec<TaskWork>, resident: bool },
}

struct Task {
    /// Support and query points with their labels, in the order of the program's ports.
    points: [Vec<f32>; 4],
    gradient: Vec<f32>,
    loss: f32,
}

impl AsRef<[f32]> for Task {
    fn as_ref(&self) -> &[f32] {
        &self.gradient
    }
}

impl Supervised {
    pub fn new(
        sizes: &Sizes,
        (device, threads): (&Device, usize),
        data: &Arrays,
        budget: Option<Bytes>,
    ) -> Result<Supervised> {
        let learner = learner(sizes);
        let model = &learner.model;
        let like = match sizes.model {
            Model::Mlp { .. } => [Like::Uniform(-5.0, 5.0); 2],
            Model::Conv { ways, .. } => [Like::Uniform(0.0, 1.0), Like::OneHot(ways)],
        };
        let layout = model.layout();
        let (input, outputs) = (model.input().iter().product::<usize>(), model.outputs());
        let rows = |name: &str, points: usize, width: usize, like: Like| {
            data.rows(name, sizes.tasks, points * width, like).map(Vec::into_iter)
        };
        let mut support_x = rows("support_x", sizes.support, input, like[0])?;
        let mut support_y = rows("support_y", sizes.support, outputs, like[1])?;
        let mut query_x = rows("query_x", sizes.query, input, like[0])?;
        let mut query_y = rows("query_y", sizes.query, outputs, like[1])?;
        let next = |rows: &mut std::vec::IntoIter<Vec<f32>>| rows.next().unwrap_or_default();
        let points = (0..sizes.tasks)
            .map(|_| [next(&mut support_x), next(&mut support_y), next(&mut query_x), next(&mut query_y)]);
        let how = if device.batches() {
            let plan = |tasks: usize| learner.batch_gradient(tasks, sizes.support, sizes.query, sizes.steps);
            let task = |[x, y, query_x, query_y]: [Vec<f32>; 4]| {
                TaskWork::new(Points { x, y }, Points { x: query_x, y: query_y })
            };
            let gradients = Gradients::new(device, sizes.tasks, true, plan)?;
            How::Together { gradients, batch: points.map(task).collect(), resident: false }
        } else {
            let mut program = MetaGradient::new(&learner, sizes.support, sizes.query, sizes.steps, threads);
            if let Some(budget) = budget {
                let points = (sizes.support + sizes.query) * (input + outputs);
                let held = 4 * (sizes.tasks * (points + layout.size()) + 4 * layout.size()) as u64;
                program.keep_within(budget.0, held, threads).map_err(Error::Input)?;
            }
            let task = |points| Task { points, gradient: vec![0.0; layout.size()], loss: 0.0 };
            let workers = Workers::new(vec![(); threads])?;
            How::Alone { workers, program: Box::new(program), batch: points.map(task).collect() }
        };
        let adam = Optimizer::Adam { rate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clip: None };
        Ok(Supervised {
            how,
            optimizer: GradientOptimizer::new(&adam, layout.size()).expect("Adam has a state"),
            theta: data.parameters(&layout)?,
            rate: sizes.rate,
            gradient: vec![0.0; layout.size()],
            layout,
        })
    }

    fn gradient(&mut self) -> Result<()> {
        let (theta, rate) = (&self.theta, self.rate);
        let tasks = match &mut self.how {
            How::Alone { workers, program, batch } => {
                workers.each(batch, |thread, _, _, task| {
                    let points = task.points.each_ref().map(|values| &values[..]);
                    program.run(thread, &Of { theta, rate, points }, &mut task.gradient, &mut task.loss)
                })?;
                sum_rows(&batch[..], &mut self.gradient);
                batch.len()
            }
            How::Together { gradients, batch, resident } => {
                // As on the processor the data lie in the memory of what computes, here the device's.
                self.gradient = match *resident {
                    true => gradients.again(theta, rate)?,
                    false => gradients.run(theta, rate, batch)?,
                };
                *resident = gradients.at_once();
                batch.len()
            }
        };
        self.gradient.iter_mut().for_each(|g| *g /= tasks as f32);
        Ok(())
    }
}

impl Work for Supervised {
    fn step(&mut self) -> Result<()> {
        self.gradient()?;
        self.optimizer.step(&mut self.theta, &self.gradient)
    }

    fn answer(&mut self) -> Result<Vec<Tensor>> {
        self.gradient()?;
        Ok(named(&self.layout, &self.gradient))
    }

    fn profile(&mut self) -> Result<Vec<(String, Duration)>> {
        if let How::Together { resident: false, .. } = &self.how {
            self.gradient()?;
        }
        match &mut self.how {
            How::Alone { program, batch, .. } => {
                let task = &mut batch[0];
                let points = task.points.each_ref().map(|values| &values[..]);
                let of = Of { theta: &self.theta, rate: self.rate, points };
                program.profile(&of, &mut task.gradient)
            }
            How::Together { gradients, .. } => gradients.profile(&self.theta, self.rate),
        }
    }

    fn bytes_per_task(&self) -> usize {
        match &self.how {
            How::Alone { program, .. } => program.bytes() as usize,
            How::Together { gradients, .. } => gradients.bytes_per_task(),
        }
    }
}

/// What the plans of a workload are made from.
pub fn learner(sizes: &Sizes) -> Learner {
    let loss = match sizes.model {
        Model::Mlp { .. } => Loss::SquaredError,
        Model::Conv { .. } => Loss::CrossEntropy,
    };
    Learner { model: network(&sizes.model), loss, reduction: Reduction::Mean, order: Order::Second }
}

fn network(model: &Model) -> Network {
    let linear = |width: usize| Block::Linear { width, draw: None, adapted: true };
    let (input, blocks, outputs) = match *model {
        Model::Mlp { hidden, activation } => {
            let mut blocks: Vec<Block> =
                hidden.iter().flat_map(|width| [linear(*width), Block::Activation(activation)]).collect();
            blocks.push(linear(1));
            (vec![1], blocks, 1)
        }
        Model::Conv { size, channels, filters, pool, ways } => {
            // One row of zeros all around, as the peers have it; TensorFlow's SAME differs at a stride of 2.
            let (stride, padding) = (if pool { 1 } else { 2 }, Padding::Around(1));
            let conv = Conv { filters, kernel: 3, stride, padding, bias: true, draw: None, adapted: true };
            let mode = BatchMode::Transductive;
            let norm = BatchNorm { mode, scale: true, epsilon: 1e-3, adapted: true };
            let mut module =
                vec![Block::Conv(conv), Block::BatchNorm(norm), Block::Activation(Activation::Relu)];
            if pool {
                module.push(Block::MaxPool(Pool { size: 2 }));
            }
            let mut blocks = module.repeat(4);
            blocks.push(if pool { Block::Flatten } else { Block::Mean });
            blocks.push(linear(ways));
            (vec![size, size, channels], blocks, ways)
        }
    };
    Network::new(&input, &blocks, outputs).expect("a workload's blocks fit one another")
}
