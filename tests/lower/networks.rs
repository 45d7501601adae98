//! Meta-gradients of every block: f32 programs against the f64 oracle, on every instruction set.

use super::compare;
use super::learners::data;
use crate::meta::networks::{gru_net, small_net};
use crate::nn::{RELU, batch_norm, conv, linear};
use mamlx::graph::Plan;
use mamlx::meta::supervised::Learner;
use mamlx::nn::block::Block;
use mamlx::nn::conv::Padding;
use mamlx::nn::norm::LayerNorm;
use mamlx::nn::{BatchMode, Network};
use mamlx::spec::{Loss, Order, Reduction};

fn learner(model: Network, order: Order) -> Learner {
    Learner { model, loss: Loss::CrossEntropy, reduction: Reduction::Mean, order }
}

/// Targets in one hot place, averages of variances positive, everything else irregular.
pub fn classes(plan: &Plan) -> Vec<Vec<f64>> {
    let mut all = data(plan);
    for (port, data) in plan.inputs.iter().zip(&mut all) {
        let shape = port.parts[0].shape;
        let mut at = 0;
        for part in &port.parts {
            let end = at + part.shape.size();
            if part.name.ends_with("variance") {
                data[at..end].iter_mut().for_each(|x| *x = x.abs() + 0.2);
            }
            at = end;
        }
        if port.name.ends_with("_y") {
            let ways = shape[shape.len() - 1];
            data.iter_mut().enumerate().for_each(|(i, y)| {
                *y = if i % ways == i / ways % ways { 1.0 } else { 0.0 };
            });
        }
    }
    all
}

#[test]
fn meta_gradients_of_small_networks() {
    let norms = [
        batch_norm(BatchMode::Transductive, false, false),
        batch_norm(BatchMode::Support, true, true),
        batch_norm(BatchMode::PerStep { steps: 2 }, true, true),
        Block::LayerNorm(LayerNorm { scale: true, epsilon: 1e-5, adapted: true }),
    ];
    for model in norms.into_iter().map(small_net).chain([gru_net()]) {
        for order in [Order::First, Order::Second] {
            for (lead, steps) in [(&[][..], 2), (&[2], 1)] {
                let build = || learner(model.clone(), order).meta_gradient(lead, 3, 6, steps);
                compare(build, &classes(&build()), 1e-6, 2e-4);
            }
        }
        let build = || learner(model.clone(), Order::Second).evaluate_after(&[], 3, 6, 1);
        compare(build, &classes(&build()), 1e-6, 2e-5);
    }
}

#[test]
fn meta_gradients_of_the_strided_network() {
    // The form of the paper's Omniglot network, with channels that fill registers and some that do not.
    for filters in [20, 32] {
        let norm = batch_norm(BatchMode::Transductive, false, true);
        let block = [conv(filters, 3, 2, Padding::Same), norm, RELU];
        let blocks = [&block.repeat(3)[..], &[Block::Mean, linear(5)]].concat();
        let model = Network::new(&[14, 14, 1], &blocks, 5).expect("the blocks fit");
        let build = || learner(model.clone(), Order::Second).meta_gradient(&[], 5, 5, 1);
        compare(build, &classes(&build()), 1e-6, 1e-3);
    }
}
