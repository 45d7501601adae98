//! Meta-gradients through networks of every block, against differences of the whole outer loss in f64.

use super::{differences, eval, inputs, relative, with};
use crate::nn::{RELU, TANH, batch_norm, conv, linear, pool};
use mamlx::meta::supervised::Learner;
use mamlx::nn::block::Block;
use mamlx::nn::conv::Padding;
use mamlx::nn::gru::Gru;
use mamlx::nn::norm::LayerNorm;
use mamlx::nn::{BatchMode, Network, Role};
use mamlx::spec::{Loss, Order, Reduction};

/// Two convolutions, one pooled and one strided, each normalised.
pub fn small_net(norm: Block) -> Network {
    let blocks = [
        conv(3, 3, 1, Padding::Same),
        norm,
        RELU,
        pool(2),
        conv(2, 3, 2, Padding::Same),
        norm,
        TANH,
        Block::Flatten,
        linear(3),
    ];
    Network::new(&[6, 6, 1], &blocks, 3).expect("the blocks fit")
}

pub fn gru_net() -> Network {
    let blocks = [Block::Gru(Gru { hidden: 3, draw: None, adapted: true }), linear(3)];
    Network::new(&[4, 2], &blocks, 3).expect("the blocks fit")
}

fn learner(model: Network, order: Order) -> Learner {
    Learner { model, loss: Loss::CrossEntropy, reduction: Reduction::Mean, order }
}

/// The meta-gradient against differences, over the parameters that a gradient reaches.
fn check(what: &str, learner: &Learner, steps: usize) {
    let plan = learner.meta_gradient(&[], 3, 6, steps);
    let given = inputs(&plan, learner.loss);
    let exact = eval(&plan, &given);
    let numeric = differences(&given[0], |theta| eval(&plan, &with(&given, 0, theta))[1][0]);
    let layout = learner.model.layout();
    let mut learned = vec![];
    for (entry, (_, _, range)) in layout.entries.iter().zip(layout.parts()) {
        learned.extend(range.map(|i| (i, entry.role != Role::Average)));
    }
    let keep = |v: &[f64]| -> Vec<f64> { learned.iter().filter(|(_, l)| *l).map(|(i, _)| v[*i]).collect() };
    let error = relative(&keep(&exact[0]), &keep(&numeric));
    assert!(error < 1e-6, "{what}, {steps} steps: {error:e}");
}

#[test]
fn second_order_meta_gradients_pass_through_convolution_normalisation_and_pooling() {
    for (mode, scale, adapted) in [
        (BatchMode::Transductive, false, false),
        (BatchMode::Transductive, true, true),
        (BatchMode::Support, false, true),
        (BatchMode::Running, false, false),
        (BatchMode::PerStep { steps: 2 }, true, true),
    ] {
        let learner = learner(small_net(batch_norm(mode, scale, adapted)), Order::Second);
        check(&format!("{mode:?} {scale} {adapted}"), &learner, 2);
    }
    let norm = LayerNorm { scale: true, epsilon: 1e-5, adapted: true };
    check("layer norm", &learner(small_net(Block::LayerNorm(norm)), Order::Second), 2);
}

#[test]
fn second_order_meta_gradients_pass_through_the_recurrent_block() {
    check("gru", &learner(gru_net(), Order::Second), 2);
}

#[test]
fn inner_steps_leave_alone_what_does_not_adapt() {
    let model = small_net(batch_norm(BatchMode::Running, true, false));
    let plan = learner(model.clone(), Order::Second).adapt(&[], 3);
    let given = inputs(&plan, Loss::CrossEntropy);
    let adapted = &eval(&plan, &given)[0];
    for (entry, (name, _, range)) in model.layout().entries.iter().zip(model.layout().parts()) {
        let still = adapted[range.clone()] == given[0][range];
        // A bias before a normalisation by the batch's own mean changes nothing, so it hardly moves.
        assert!(still || entry.role == Role::Adapted, "{name}");
        assert!(!still || !name.ends_with("weight"), "{name}");
    }
}

#[test]
fn running_averages_stand_in_the_gradient_with_their_distance_from_the_batch() {
    // Without an inner step the moments are those of the query points at the initial parameters.
    let norm = batch_norm(BatchMode::Running, false, false);
    let model = Network::new(&[2], &[norm, linear(3)], 3).expect("the blocks fit");
    let plan = learner(model, Order::Second).meta_gradient(&[], 0, 6, 0);
    let given = inputs(&plan, Loss::CrossEntropy);
    let gradient = &eval(&plan, &given)[0];
    for channel in 0..2 {
        let x: Vec<f64> = given[1].iter().skip(channel).step_by(2).copied().collect();
        let mean = x.iter().sum::<f64>() / 6.0;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 6.0;
        let theta = |which: usize| given[0][2 * which + channel];
        assert!((gradient[2 + channel] - (theta(1) - mean)).abs() < 1e-12);
        assert!((gradient[4 + channel] - (theta(2) - variance)).abs() < 1e-12);
    }
}

#[test]
fn queries_beside_support_points_do_not_see_each_other() {
    // With the moments of the support points a query's prediction depends on itself alone; in a batch it does not.
    let predicted = |mode: BatchMode, other: f64| {
        let learner = learner(small_net(batch_norm(mode, false, false)), Order::Second);
        let plan = learner.evaluate_after(&[], 3, 2, 0);
        let mut given = inputs(&plan, Loss::CrossEntropy);
        let x = given.len() - 2;
        given[x][36..].iter_mut().for_each(|pixel| *pixel += other);
        eval(&plan, &given)[1][..3].to_vec()
    };
    assert_eq!(predicted(BatchMode::Support, 0.0), predicted(BatchMode::Support, 0.9));
    assert_ne!(predicted(BatchMode::Transductive, 0.0), predicted(BatchMode::Transductive, 0.9));
}

#[test]
fn the_released_reduction_is_the_mean_times_the_ways() {
    // Protocol A.0 row 16: a sum over N K samples divided by K is N times their mean.
    let gradient = |reduction: Reduction| {
        let model = small_net(batch_norm(BatchMode::Transductive, false, false));
        let learner = Learner { reduction, ..learner(model, Order::Second) };
        // Three ways with two shots.
        let plan = learner.adapt(&[], 6);
        let given = inputs(&plan, Loss::CrossEntropy);
        let adapted = eval(&plan, &given)[0].clone();
        adapted.iter().zip(&given[0]).map(|(a, t)| a - t).collect::<Vec<f64>>()
    };
    let mean = gradient(Reduction::Mean);
    for (reduction, factor) in [(Reduction::Sum, 6.0), (Reduction::SumOverShot, 3.0)] {
        let times: Vec<f64> = mean.iter().map(|g| factor * g).collect();
        assert!(relative(&times, &gradient(reduction)) < 1e-12, "{reduction:?}");
    }
}

/// So the released rate 0.4 on 5 ways is 2.0 with the mean, as the conversion table of protocol A.3 says: to the same
/// adapted parameters, and to a meta-gradient that is N times as long, which Adam does not see.
#[test]
fn with_the_mean_the_released_rate_is_as_many_times_larger_as_there_are_ways() {
    let results = |reduction: Reduction, rate: f64| {
        let model = small_net(batch_norm(BatchMode::Transductive, false, false));
        let learner = Learner { reduction, ..learner(model, Order::Second) };
        // Three ways with two shots, and as many queries; two inner steps.
        [learner.adapt(&[], 6), learner.meta_gradient(&[], 6, 6, 2)].map(|plan| {
            let given = with(&inputs(&plan, Loss::CrossEntropy), 1, &[rate]);
            eval(&plan, &given)[0].clone()
        })
    };
    let [adapted, released] = results(Reduction::SumOverShot, 0.1);
    let [same, mean] = results(Reduction::Mean, 0.3);
    let [unlike, _] = results(Reduction::Mean, 0.1);
    assert!(relative(&adapted, &same) < 1e-12);
    assert!(relative(&adapted, &unlike) > 1e-3);
    let times: Vec<f64> = mean.iter().map(|g| 3.0 * g).collect();
    assert!(relative(&released, &times) < 1e-12);
}
