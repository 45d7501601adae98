//! Tensors larger than a cache, which are computed again where they are read rather than written and read again.

use super::compare;
use super::networks::classes;
use crate::nn::{RELU, batch_norm, conv, linear, pool};
use mamlx::graph::{Plan, Port, Tape, grad};
use mamlx::lower::cpu::Isa;
use mamlx::lower::{lower, lower_in_pieces};
use mamlx::meta::supervised::Learner;
use mamlx::nn::block::Block;
use mamlx::nn::conv::Padding;
use mamlx::nn::{BatchMode, Network};
use mamlx::spec::{Loss, Order, Reduction};

/// Images normalised over the batch, ReLU, 2×2 max-pooling with an odd row left out, and the gradient of a sum of squares.
fn pooled(height: usize) -> Plan {
    let tape = Tape::new();
    let (inputs, outputs) = {
        let x = tape.input(&[2, height, 30, 48]);
        let (scale, shift) = (tape.input(&[1, 1, 1, 48]), tape.input(&[1, 1, 1, 48]));
        let count = (2 * height * 30) as f64;
        let centred = x - x.sum_keep(&[0, 1, 2]) * (1.0 / count);
        let variance = centred.square().sum_keep(&[0, 1, 2]) * (1.0 / count);
        let normal = centred * (variance + 1e-3).sqrt().recip() * scale + shift;
        let (down, across) = (height / 2, 15);
        let squares = normal.relu().slice(1, 0, 2 * down).reshape(&[2, down, 2, across, 2, 48]);
        let y = squares.max_keep(&[2, 4]);
        let gradient = grad(y.square().sum_all(), &[x, scale]);
        let port = |name: &str, var| Port::single(name, var);
        (
            vec![port("x", x), port("scale", scale), port("shift", shift)],
            vec![port("y", y), port("dx", gradient[0]), port("dscale", gradient[1])],
        )
    };
    Plan::new("pooled", tape, inputs, outputs)
}

#[test]
fn normalised_and_pooled_images_agree_with_the_oracle_and_are_not_all_kept() {
    let height = 31;
    let data = vec![
        (0..2 * height * 30 * 48).map(|i| (i as f64 * 0.731).sin() * 2.0 + 0.3).collect(),
        (0..48).map(|i| 1.0 + 0.01 * f64::from(i)).collect(),
        (0..48).map(|i| 0.1 - 0.01 * f64::from(i)).collect::<Vec<f64>>(),
    ];
    compare(|| pooled(height), &data, 1e-3, 1e-4);
    // A cache holds the smaller images, so theirs are written once and read where they are needed.
    let floats = |height: usize| lower(pooled(height)).scratch_bytes() as f64 / height as f64;
    assert!(floats(31) < 0.75 * floats(15), "{} and {} bytes a row", floats(31), floats(15));
}

/// The meta-gradient of a small form of the paper's MiniImagenet network.
fn pooled_network(side: usize) -> Plan {
    let norm = batch_norm(BatchMode::Transductive, true, true);
    let block = [conv(8, 3, 1, Padding::Same), norm, RELU, pool(2)];
    let blocks = [&block.repeat(2)[..], &[Block::Flatten, linear(5)]].concat();
    let model = Network::new(&[side, side, 3], &blocks, 5).expect("the blocks fit");
    let order = Order::Second;
    let learner = Learner { model, loss: Loss::CrossEntropy, reduction: Reduction::Mean, order };
    learner.meta_gradient(&[], 5, 30, 2)
}

#[test]
fn large_tensors_pass_piece_by_piece() {
    let lowered = |large| lower_in_pieces(pooled_network(24), Isa::detect(), large);
    // The largest tensors of the query images have 138,240 floats, the next 34,560.
    let (whole, pieces) = (lowered(usize::MAX), lowered(100_000));
    assert!(!whole.describe().contains(" pieces with"));
    let text = pieces.describe();
    assert!(text.contains(" pieces with"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("    ") && line.contains("patches'")), "{text}");
    let floats = [&whole, &pieces].map(|program| program.scratch_bytes() / 4);
    assert!(floats[0] - floats[1] > 100_000, "{floats:?}");
    assert_eq!(whole.flops(), pieces.flops());
    // Where they are larger still beside the cache, the first layer's outputs are computed again rather than kept: those
    // of the queries by whoever reads them, those of the support images once more for the second derivatives.
    let again = lowered(5_000);
    assert!(again.describe().contains(" bands, the first: "), "{}", again.describe());
    let saved = floats[1] - again.scratch_bytes() / 4;
    assert!(saved > 138_240 + 2 * 23_040, "{saved} floats saved");
    let more = again.flops() as f64 / whole.flops() as f64;
    assert!(more > 1.0 && more < 2.0, "{more} times the products");
    compare(|| pooled_network(12), &classes(&pooled_network(12)), 1e-6, 1e-3);
}
