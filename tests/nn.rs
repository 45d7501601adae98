//! The promise: networks compute what their blocks say, with the parameters that the protocol counts.

use crate::graph::numbers;
use mamlx::graph::eval::evaluate;
use mamlx::graph::{Plan, Port, Tape, Var};
use mamlx::nn::block::Block;
use mamlx::nn::conv::{Conv, Padding, Pool};
use mamlx::nn::gru::Gru;
use mamlx::nn::init::{Draw, initial};
use mamlx::nn::norm::{BatchNorm, LayerNorm};
use mamlx::nn::{Activation, BatchMode, Mlp, Network, Pass, Role};
use mamlx::random::{Purpose, stream};

pub const RELU: Block = Block::Activation(Activation::Relu);
pub const TANH: Block = Block::Activation(Activation::Tanh);

pub fn conv(filters: usize, kernel: usize, stride: usize, padding: Padding) -> Block {
    Block::Conv(Conv {
        filters,
        kernel,
        stride,
        padding,
        bias: true,
        draw: Some(Draw::Xavier),
        adapted: true,
    })
}

pub fn batch_norm(mode: BatchMode, scale: bool, adapted: bool) -> Block {
    Block::BatchNorm(BatchNorm { mode, scale, epsilon: 1e-3, adapted })
}

pub fn linear(width: usize) -> Block {
    Block::Linear { width, draw: Some(Draw::Normal(1.0)), adapted: true }
}

pub fn pool(size: usize) -> Block {
    Block::MaxPool(Pool { size })
}

/// The value of one pass of the network over `n` points.
fn value(network: &Network, theta: &[f64], x: &[f64], n: usize, pass: &Pass<'_, '_>) -> Vec<f64> {
    let tape = Tape::new();
    let (inputs, output) = {
        let params = network.layout().inputs(&tape, &[]);
        let points = tape.input(&[n, x.len() / n]);
        let pass = Pass { support: None, ..*pass };
        let (y, _) = network.pass(&params, points, &pass);
        (vec![network.layout().port("theta", &params), Port::single("x", points)], Port::single("y", y))
    };
    evaluate(&Plan::new("value", tape, inputs, vec![output]), &[theta, x]).remove(0)
}

/// The definition, straight from TensorFlow's documentation of SAME and VALID and PyTorch's of padding, one output at a time.
fn convolved(x: &[f64], w: &[f64], b: &[f64], [h, c, f]: [usize; 3], conv: &Conv) -> Vec<f64> {
    let (k, s) = (conv.kernel, conv.stride);
    let (out, before) = match conv.padding {
        Padding::Valid => ((h - k) / s + 1, 0),
        Padding::Around(rows) => ((h + 2 * rows - k) / s + 1, rows as i64),
        Padding::Same => {
            let out = h.div_ceil(s);
            (out, (((out - 1) * s + k) as i64 - h as i64).max(0) / 2)
        }
    };
    let mut y = vec![];
    for (i, j, filter) in (0..out).flat_map(|i| (0..out).flat_map(move |j| (0..f).map(move |o| (i, j, o)))) {
        let mut sum = b[filter];
        for (p, q, channel) in (0..k).flat_map(|p| (0..k).flat_map(move |q| (0..c).map(move |a| (p, q, a)))) {
            let (u, v) = ((i * s + p) as i64 - before, (j * s + q) as i64 - before);
            if (0..h as i64).contains(&u) && (0..h as i64).contains(&v) {
                let pixel = x[(u as usize * h + v as usize) * c + channel];
                sum += pixel * w[((p * k + q) * c + channel) * f + filter];
            }
        }
        y.push(sum);
    }
    y
}

#[test]
fn convolutions_are_their_definition() {
    for (h, c, f, kernel, stride, padding) in [
        (5, 2, 3, 3, 1, Padding::Same),
        (5, 2, 3, 3, 2, Padding::Same),
        (6, 1, 2, 3, 2, Padding::Same),
        (6, 2, 2, 2, 1, Padding::Same),
        (7, 1, 1, 4, 3, Padding::Same),
        (3, 2, 1, 5, 1, Padding::Same),
        (4, 1, 1, 1, 3, Padding::Same),
        (5, 2, 3, 3, 1, Padding::Valid),
        (6, 3, 2, 3, 2, Padding::Valid),
        (6, 2, 2, 3, 2, Padding::Around(1)),
        (5, 1, 2, 3, 1, Padding::Around(2)),
    ] {
        let block = conv(f, kernel, stride, padding);
        let Block::Conv(spelt) = block else { unreachable!("it is a convolution") };
        let point = block.shape(&[h, h, c]).unwrap();
        let network = Network::new(&[h, h, c], &[block, Block::Flatten], point.iter().product()).unwrap();
        let theta = numbers(network.layout().size(), 0.4);
        let (w, b) = theta.split_at(theta.len() - f);
        let x = numbers(2 * h * h * c, 0.9);
        let expected: Vec<f64> =
            x.chunks(h * h * c).flat_map(|x| convolved(x, w, b, [h, c, f], &spelt)).collect();
        let found = value(&network, &theta, &x, 2, &Pass::default());
        assert_eq!(found.len(), expected.len());
        let same = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(same, "{block:?}: {found:?} {expected:?}");
    }
}

#[test]
fn pooling_takes_the_largest_of_whole_squares() {
    let network = Network::new(&[5, 4, 2], &[pool(2), Block::Flatten, linear(8)], 8).unwrap();
    let mut theta = vec![0.0; network.layout().size()];
    (0..8).for_each(|i| theta[i * 8 + i] = 1.0);
    let x = numbers(40, 0.3);
    let at = |i: usize, j: usize, c: usize| x[(i * 4 + j) * 2 + c];
    let largest = |i: usize, j: usize, c: usize| {
        [(0, 0), (0, 1), (1, 0), (1, 1)]
            .map(|(p, q)| at(2 * i + p, 2 * j + q, c))
            .into_iter()
            .fold(f64::MIN, f64::max)
    };
    let expected: Vec<f64> = (0..8).map(|n| largest(n / 4, n / 2 % 2, n % 2)).collect();
    assert_eq!(value(&network, &theta, &x, 1, &Pass::default()), expected);
}

#[test]
fn normalised_batches_and_points_have_mean_0_and_variance_1() {
    let moments = |y: &[f64]| {
        let mean = y.iter().sum::<f64>() / y.len() as f64;
        (mean, y.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / y.len() as f64)
    };
    // One channel: all numbers of the batch meet in it, and with layer norm all of a point.
    let point_norm = LayerNorm { scale: false, epsilon: 1e-9, adapted: false };
    let batch = BatchNorm { mode: BatchMode::Transductive, scale: false, epsilon: 1e-9, adapted: false };
    let x = numbers(24, 0.2);
    for (block, groups) in [(Block::BatchNorm(batch), 1), (Block::LayerNorm(point_norm), 2)] {
        let network = Network::new(&[3, 4, 1], &[block, Block::Flatten, linear(12)], 12).unwrap();
        let mut theta = vec![0.0; network.layout().size()];
        (0..12).for_each(|i| theta[1 + i * 12 + i] = 1.0);
        let y = value(&network, &theta, &x, 2, &Pass::default());
        for group in y.chunks(24 / groups) {
            let (mean, variance) = moments(group);
            assert!(mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-6, "{block:?}: {mean} {variance}");
        }
        // The shift is added behind.
        theta[0] = 0.7;
        let moved = value(&network, &theta, &x, 2, &Pass::default());
        assert!(moved.iter().zip(&y).all(|(a, b)| (a - b - 0.7).abs() < 1e-12));
    }
}

#[test]
fn judging_with_running_averages_uses_the_row_of_the_step() {
    for (mode, rows) in [(BatchMode::Running, 1), (BatchMode::PerStep { steps: 2 }, 3)] {
        let network = Network::new(&[2], &[batch_norm(mode, true, false), linear(2)], 2).unwrap();
        let layout = network.layout();
        let names: Vec<&str> = layout.entries.iter().map(|e| e.name.as_str()).collect();
        let expected =
            ["norm0.shift", "norm0.scale", "norm0.mean", "norm0.variance", "layer0.weight", "layer0.bias"];
        assert_eq!(names, expected);
        assert_eq!(layout.entries[2].role, Role::Average);
        let mut theta = numbers(layout.size(), 0.1);
        let weights = theta.len() - 6;
        theta[weights..].copy_from_slice(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        let x = numbers(6, 0.5);
        for updates in 0..5 {
            let row = updates.min(rows - 1);
            let at = |which: usize, channel: usize| theta[(which * rows + row) * 2 + channel];
            let variance = |c: usize| at(3, c).abs() + 1.0;
            let mut theta = theta.clone();
            (0..2).for_each(|c| theta[(3 * rows + row) * 2 + c] = variance(c));
            let pass = Pass { updates, judging: true, support: None };
            let found = value(&network, &theta, &x, 3, &pass);
            for (i, y) in found.iter().enumerate() {
                let c = i % 2;
                let expected = (x[i] - at(2, c)) / (variance(c) + 1e-3).sqrt() * at(1, c) + at(0, c);
                assert!((y - expected).abs() < 1e-12, "{mode:?} after {updates}: {y} {expected}");
            }
        }
    }
}

#[test]
fn running_averages_move_towards_the_batches_and_leave_no_gradient() {
    let block = batch_norm(BatchMode::Running, false, false);
    let layout = Network::new(&[2], &[block, linear(1)], 1).unwrap().layout();
    let mut theta = vec![1.0, 1.0, 4.0, 4.0, 2.0, 2.0, 5.0, 5.0, 5.0];
    let mut gradient = vec![0.5, 0.5, 3.0, -1.0, 1.0, 0.0, 0.5, 0.5, 0.5];
    layout.settle(&mut theta, &mut gradient, 0.1);
    assert_eq!(theta, [1.0, 1.0, 4.0 - 0.1 * 3.0, 4.1, 1.9, 2.0, 5.0, 5.0, 5.0]);
    assert_eq!(gradient, [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5]);
}

#[test]
fn the_papers_networks_have_the_protocols_parameters() {
    // Protocol A.2 and A.3, "size": adapted parameters and batch-norm shifts.
    let shift = batch_norm(BatchMode::Transductive, false, false);
    let sizes = |network: Network| {
        let layout = network.layout();
        let of = |role: Role| -> usize {
            let mine = layout.entries.iter().filter(|e| e.role == role);
            mine.map(|e| e.shape.iter().product::<usize>()).sum()
        };
        (of(Role::Adapted), of(Role::Shared))
    };
    let strided = [conv(64, 3, 2, Padding::Same), shift, RELU];
    let blocks = [&strided.repeat(4)[..], &[Block::Mean, linear(5)]].concat();
    assert_eq!(sizes(Network::new(&[28, 28, 1], &blocks, 5).unwrap()), (111_749, 256));
    let pooled = [conv(32, 3, 1, Padding::Same), shift, RELU, pool(2)];
    let blocks = [&pooled.repeat(4)[..], &[Block::Flatten, linear(5)]].concat();
    assert_eq!(sizes(Network::new(&[84, 84, 3], &blocks, 5).unwrap()), (32_645, 128));
    let hidden = [256, 128, 64, 64].map(|width| [linear(width), shift, RELU]).concat();
    let blocks = [&[Block::Flatten], &hidden[..], &[linear(5)]].concat();
    assert_eq!(sizes(Network::new(&[28, 28, 1], &blocks, 5).unwrap()), (246_597, 512));
}

#[test]
fn the_short_form_is_its_blocks() {
    let mlp = Mlp::new(3, &[4, 5], 2, Activation::Tanh);
    let network = Network::from(mlp.clone());
    assert_eq!(network.layout(), mlp.layout());
    let dump = |forward: &dyn for<'t> Fn(&[Var<'t>], Var<'t>) -> Var<'t>| {
        let tape = Tape::new();
        let (inputs, output) = {
            let params = mlp.layout().inputs(&tape, &[]);
            let x = tape.input(&[7, 3]);
            let y = forward(&params, x);
            (vec![mlp.layout().port("theta", &params), Port::single("x", x)], Port::single("y", y))
        };
        Plan::new("dump", tape, inputs, vec![output]).dump()
    };
    assert_eq!(dump(&|p, x| network.forward(p, x)), dump(&|p, x| mlp.forward(p, x)));
}

#[test]
fn what_does_not_fit_is_said_of_the_block_where_it_shows() {
    let gru = Block::Gru(Gru { hidden: 3, draw: None, adapted: true });
    let says = |input: &[usize], blocks: &[Block], layer: usize, words: &str| {
        let misfit = Network::new(input, blocks, 5).unwrap_err();
        assert!(misfit.layer == layer && misfit.message.contains(words), "{misfit:?}");
    };
    says(&[3, 3, 2], &[pool(2), pool(2), Block::Flatten, linear(5)], 1, "gets images of 1x1");
    says(&[4, 4, 1], &[conv(2, 5, 1, Padding::Valid)], 0, "5x5 kernel");
    says(&[4, 4, 1], &[linear(5)], 0, "an image of 4x4x1");
    says(&[4], &[conv(2, 3, 1, Padding::Same)], 0, "4 numbers");
    says(&[4], &[Block::Mean], 0, "no space");
    says(&[2, 2, 2], &[gru], 0, "put `flatten` before it");
    says(&[4], &[linear(6)], 1, "ends with 6 numbers");
    says(&[5], &[RELU], 1, "no parameters");
    says(&[65_536], &[linear(65_536), linear(5)], 0, "more than");
}

#[test]
fn weights_start_as_their_layers_say() {
    let blocks = [
        conv(64, 3, 1, Padding::Same),
        Block::Mean,
        linear(50),
        Block::Linear { width: 50, draw: None, adapted: true },
    ];
    let layout = Network::new(&[8, 8, 16], &blocks, 50).unwrap().layout();
    let theta = initial(&layout, Draw::TruncatedNormal(0.01), &mut stream(3, Purpose::Init, 0, 0, 0));
    let spread = |name: &str| {
        let parts = layout.parts();
        let range = parts.iter().find(|part| part.0 == name).unwrap().2.clone();
        let values = &theta[range];
        let largest = values.iter().fold(0.0f32, |top, x| top.max(x.abs()));
        (largest, (values.iter().map(|x| x * x).sum::<f32>() / values.len() as f32).sqrt())
    };
    // Uniform in ±√(6 / (9 · 16 + 9 · 64)), whose deviation is √3 smaller.
    let limit = (6.0f32 / 720.0).sqrt();
    let (largest, deviation) = spread("layer0.weight");
    assert!(
        largest <= limit && largest > 0.99 * limit && (deviation * 3f32.sqrt() / limit - 1.0).abs() < 0.02
    );
    assert!((spread("layer1.weight").1 - 1.0).abs() < 0.05);
    let (largest, deviation) = spread("layer2.weight");
    assert!(largest <= 0.02 && (deviation / 0.0088 - 1.0).abs() < 0.05, "{deviation}");
    assert_eq!(spread("layer0.bias"), (0.0, 0.0));
}
