//! Meta-gradients composed step by step: right, and to the bit the same however little memory they have.

use super::bits;
use crate::lower::learners::data;
use crate::lower::networks::classes;
use crate::lower::{error, rounded, single, slices};
use crate::meta::networks::{gru_net, small_net};
use crate::nn::batch_norm;
use mamlx::graph::eval::evaluate;
use mamlx::meta::supervised::Learner;
use mamlx::nn::{Activation, BatchMode, Mlp, Network};
use mamlx::run::composed::{Composed, Of};
use mamlx::run::meta_gradient::MetaGradient;
use mamlx::spec::{Loss, Order, Reduction};

const SUPPORT: usize = 3;
const QUERY: usize = 6;

fn networks() -> Vec<Network> {
    let modes = [
        batch_norm(BatchMode::Transductive, true, true),
        batch_norm(BatchMode::Support, false, true),
        batch_norm(BatchMode::Running, true, false),
    ];
    let mlp = Mlp::new(1, &[13, 11], 3, Activation::Tanh).into();
    modes.into_iter().map(small_net).chain([gru_net(), mlp]).collect()
}

fn learner(model: Network, order: Order) -> Learner {
    Learner { model, loss: Loss::CrossEntropy, reduction: Reduction::Mean, order }
}

/// Gradient and loss on a thread.
fn run(program: &Composed, inputs: &[Vec<f32>], thread: usize) -> (Vec<f32>, f32) {
    let mut gradient = vec![f32::NAN; inputs[0].len()];
    let points = [2, 3, 4, 5].map(|port| &inputs[port][..]);
    let loss = program.run(thread, &Of { theta: &inputs[0], rate: inputs[1][0], points }, &mut gradient);
    (gradient, loss)
}

#[test]
fn composed_gradients_are_those_of_the_unrolled_graph() {
    for model in networks() {
        for (order, steps) in [(Order::First, 3), (Order::Second, 1), (Order::Second, 4)] {
            let learner = learner(model.clone(), order);
            let plan = learner.meta_gradient(&[], SUPPORT, QUERY, steps);
            let inputs = rounded(&classes(&plan));
            let exact = evaluate(&plan, &slices(&inputs));
            let program = Composed::new(&learner, SUPPORT, QUERY, steps, 1);
            let (gradient, loss) = run(&program, &single(&inputs), 0);
            let error = error(&[gradient, vec![loss]], &exact, 1e-6);
            assert!(error < 3e-4, "{:?} {order:?}, {steps} steps: {error:e}", learner.model.layout());
        }
    }
}

#[test]
fn memory_and_threads_change_no_bit() {
    const STEPS: usize = 11;
    for (number, model) in networks().into_iter().enumerate() {
        for order in [Order::First, Order::Second] {
            let learner = learner(model.clone(), order);
            let inputs = single(&classes(&learner.meta_gradient(&[], SUPPORT, QUERY, 1)));
            let mut program = Composed::new(&learner, SUPPORT, QUERY, STEPS, 2);
            let (whole, least) = (program.bytes(), program.least_bytes());
            let (gradient, loss) = run(&program, &inputs, 0);
            assert!(gradient.iter().all(|g| g.is_finite()) && gradient.iter().any(|g| *g != 0.0));
            let mut plans = vec![program.reversal()];
            for bytes in [0, least, least + (whole - least) / 5, (whole + least) / 2, whole - 1, whole] {
                program.keep_within(bytes);
                assert!(program.bytes() <= bytes.max(least), "{bytes}: {:?}", program.reversal());
                plans.push(program.reversal());
                for thread in 0..2 {
                    let (again, same) = run(&program, &inputs, thread);
                    assert!(
                        bits(&again) == bits(&gradient) && same == loss,
                        "network {number}, {order:?}, {:?}",
                        program.reversal()
                    );
                }
            }
            assert_eq!(plans.first(), plans.last(), "all the memory is what there was before");
            plans.dedup();
            assert!(order == Order::First || plans.len() >= 5, "{plans:?}");
        }
    }
}

#[test]
fn the_form_is_a_matter_of_the_steps_alone() {
    let mlp = || learner(Mlp::new(1, &[7], 1, Activation::Relu).into(), Order::Second);
    let form = |learner: &Learner, steps| match MetaGradient::new(learner, 2, 2, steps, 1) {
        MetaGradient::Unrolled(_) => "unrolled",
        MetaGradient::Composed(_) => "composed",
    };
    assert_eq!(
        [1, 5, 6, 1000].map(|steps| form(&mlp(), steps)),
        ["unrolled", "unrolled", "composed", "composed"]
    );
    // Every step of such a network has parameters of its own.
    let own = small_net(batch_norm(BatchMode::PerStep { steps: 6 }, true, true));
    assert_eq!(form(&learner(own, Order::Second), 6), "unrolled");
    let mut unrolled = MetaGradient::new(&mlp(), 2, 2, 5, 1);
    let least = unrolled.bytes();
    assert!(unrolled.keep_within(least + 100, 100, 1).is_ok());
    let refusal = unrolled.keep_within(least + 99, 100, 1).unwrap_err();
    assert!(refusal.contains("is too little") && refusal.contains("KiB at least"), "{refusal}");
}

#[test]
fn an_mlp_through_a_thousand_steps_stays_finite_within_a_tenth() {
    let learner = learner(Mlp::new(1, &[5], 3, Activation::Relu).into(), Order::Second);
    let inputs = single(&data(&learner.meta_gradient(&[], 4, 4, 1)));
    let mut program = Composed::new(&learner, 4, 4, 1000, 1);
    let (whole, all) = (run(&program, &inputs, 0), program.bytes());
    program.keep_within(all / 10);
    assert!(program.bytes() <= all / 10 && program.reversal().computed() < 3000, "{:?}", program.reversal());
    let (gradient, loss) = run(&program, &inputs, 0);
    assert!(bits(&gradient) == bits(&whole.0) && loss == whole.1 && loss.is_finite());
}
