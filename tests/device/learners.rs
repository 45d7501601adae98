//! Whole gradients of the paper's algorithms.

use super::{Case, check};
use crate::lower::learners::{data, learner, policy};
use crate::lower::networks::classes;
use crate::nn::{RELU, batch_norm, conv, linear};
use mamlx::lower::gpu::Module;
use mamlx::meta::supervised::Learner;
use mamlx::nn::block::Block;
use mamlx::nn::conv::Padding;
use mamlx::nn::{Activation, BatchMode, Mlp, Network, Policy};
use mamlx::spec::{Loss, Order, Reduction};

/// Four blocks of convolution, batch normalisation and rectifier, as the paper's few-shot networks have, but small.
pub fn conv_4(stride: usize) -> Learner {
    let norm = batch_norm(BatchMode::Transductive, true, true);
    let block = [conv(4, 3, stride, Padding::Same), norm, RELU];
    let blocks = [&block.repeat(4)[..], &[Block::Mean, linear(3)]].concat();
    let model = Network::new(&[8, 8, 1], &blocks, 3).expect("the blocks fit");
    Learner { model, loss: Loss::CrossEntropy, reduction: Reduction::Mean, order: Order::Second }
}

pub fn sine() -> Vec<Case> {
    let case = |(order, lead, steps): (Order, &'static [usize], usize)| {
        let build = move || learner(order, Activation::Relu, &[40, 40]).meta_gradient(lead, 10, 10, steps);
        Case::new(build, &data(&build()), 1e-6, 1e-4)
    };
    [(Order::First, &[][..], 1), (Order::Second, &[], 2), (Order::Second, &[5], 1)].map(case).into()
}

pub fn convolutional() -> Vec<Case> {
    let case = |(stride, lead): (usize, &'static [usize])| {
        let build = move || conv_4(stride).meta_gradient(lead, 3, 3, 1);
        Case::new(build, &classes(&build()), 1e-6, 1e-3)
    };
    [(2, &[][..]), (1, &[2])].map(case).into()
}

pub fn reinforcement() -> Vec<Case> {
    let plans = [
        || policy().policy_gradient(&[], 30),
        || policy().policy_curvature(&[], 30),
        || policy().surrogate(&[2], 30, true),
        || policy().fisher(&[], 30),
        || policy().batch_gradient(3, 12, 10, 2, true),
        || policy().batch_gradient(2, 12, 10, 1, false),
        || policy().batch_fisher(3, 12, 10, 2, true),
        || policy().batch_fisher(2, 12, 10, 1, false),
        || policy().batch_surrogate(3, 12, 10, 2),
        || policy().batch_surrogate(2, 12, 10, 0),
    ];
    plans.into_iter().map(|plan| Case::new(plan, &data(&plan()), 1e-6, 1e-4)).collect()
}

#[test]
fn sine_meta_gradients() {
    check(&sine());
}

#[test]
fn convolutional_meta_gradients() {
    check(&convolutional());
}

#[test]
fn policy_gradients_surrogate_and_fisher_products() {
    check(&reinforcement());
}

/// Nothing is computed twice, though the graphs spell some gradients twice. Of products with weights, at 2 operations a
/// multiply-add: a gradient takes 2 of the first layer and 3 of each other, and 2 and 6 to be differentiated; the Fisher
/// matrix, forward, along the vector and back, 3 and 5.
#[test]
fn a_batch_of_policies_takes_the_operations_counted_by_hand() {
    let mlp = Mlp::new(20, &[100, 100], 6, Activation::Tanh);
    let policy = Policy { mlp, context: 0, init_std: 1.0, min_std: 1e-6 };
    let (rows, first, rest) = (20.0 * 4000.0, 2.0 * 20.0 * 100.0, 2.0 * 100.0 * 106.0);
    let cases = [
        (policy.batch_gradient(20, 4000, 4000, 1, true), [2.0 + 2.0 + 2.0, 3.0 + 6.0 + 3.0]),
        (policy.batch_fisher(20, 4000, 4000, 1, true), [2.0 + 2.0 * 2.0 + 3.0, 3.0 + 2.0 * 6.0 + 5.0]),
    ];
    for (plan, [by_first, by_rest]) in cases {
        let counted = rows * (by_first * first + by_rest * rest);
        let (name, found) = (plan.name.clone(), Module::of(plan).flops() as f64);
        assert!(found <= 1.001 * counted, "{name}: {found:e} instead of {counted:e}");
    }
}

#[test]
fn no_patches_are_written_and_tasks_share_every_launch() {
    let one = Module::of(conv_4(2).meta_gradient(&[], 3, 3, 1));
    let many = Module::of(conv_4(2).meta_gradient(&[20], 3, 3, 1));
    let kernels = |module: &Module| module.stages.iter().map(Vec::len).sum::<usize>();
    assert!(kernels(&many) <= kernels(&one) + 8, "{} and {}", kernels(&one), kernels(&many));
    // The largest tensor is an image or an activation, not nine times one.
    let (name, floats) = many.memory.largest.clone().expect("there are tensors");
    assert!(floats <= 20 * 3 * 8 * 8 * 4, "{name}: {floats}");
}
