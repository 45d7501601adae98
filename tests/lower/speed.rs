//! Not a promise but a measurement: `cargo test --release lower::speed -- --ignored --nocapture`.
//! `ONLY=fisher` restricts it to the cases with that in their name, `DESCRIBE=fisher` prints their kernels.

use super::learners::data;
use super::{room, single, slices};
use crate::nn::{RELU, batch_norm, conv, linear, pool};
use mamlx::graph::{Plan, Port, Tape, Var};
use mamlx::lower::{Program, lower};
use mamlx::meta::supervised::Learner;
use mamlx::nn::block::Block;
use mamlx::nn::conv::Padding;
use mamlx::nn::{Activation, BatchMode, Mlp, Network, Policy};
use mamlx::spec::{Loss, Order, Reduction};
use std::time::Instant;

/// Median seconds of a call, over repetitions that together take about a fifth of a second.
fn median(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    call();
    let once = start.elapsed().as_secs_f64();
    let batch = (2e-3 / once).ceil().max(1.0) as usize;
    let mut times: Vec<f64> = (0..100)
        .map(|_| {
            let start = Instant::now();
            (0..batch).for_each(|_| call());
            start.elapsed().as_secs_f64() / batch as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[50]
}

/// The best rate of a large product, for comparison.
fn peak() -> f64 {
    let n = 768;
    let (a, b, mut c) = (vec![0.5f32; n * n], vec![0.25f32; n * n], vec![0.0f32; n * n]);
    let seconds = (0..10)
        .map(|_| {
            let start = Instant::now();
            let (n_, s) = (n, n as isize);
            // SAFETY: three dense n x n matrices.
            unsafe {
                gemm::gemm(
                    n_,
                    n_,
                    n_,
                    c.as_mut_ptr(),
                    1,
                    s,
                    false,
                    a.as_ptr(),
                    1,
                    s,
                    b.as_ptr(),
                    1,
                    s,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    2.0 * (n as f64).powi(3) / seconds
}

fn measure(name: &str, plan: impl Fn() -> Plan, peak: f64) {
    if std::env::var("ONLY").is_ok_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    let inputs = single(&data(&plan()));
    let built = plan();
    let start = Instant::now();
    let program: Program = lower(built);
    let lowering = start.elapsed().as_secs_f64();
    if std::env::var("DESCRIBE").is_ok_and(|wanted| name.contains(&wanted)) {
        println!("{}", program.describe());
    }
    let (mut scratch, mut kept) = (program.scratch(), program.kept());
    let mut outputs = room(&program);
    let mut into: Vec<&mut [f32]> = outputs.iter_mut().map(|port| &mut port[..]).collect();
    let given = slices(&inputs);
    let whole = median(|| program.run(&mut scratch, &given, &mut into));
    program.prepare(&mut scratch, &mut kept, &given, &mut into);
    let second = median(|| program.apply(&mut scratch, &kept, &given, &mut into));
    let kernels = program.describe().lines().count();
    println!(
        "{name:28} run {:9.2} us ({:3.0} %)  apply {:9.2} us  {:9.0} flop  {kernels:4} kernels  \
         {:6} KiB scratch  {:6} KiB kept  lowered in {:6.1} ms",
        whole * 1e6,
        100.0 * program.flops() as f64 / whole / peak,
        second * 1e6,
        program.flops() as f64,
        program.scratch_bytes() / 1024,
        program.kept_bytes() / 1024,
        lowering * 1e3,
    );
}

fn sine(hidden: &[usize], activation: Activation, shot: usize, steps: usize) -> Plan {
    let learner = Learner {
        model: Mlp::new(1, hidden, 1, activation).into(),
        loss: Loss::SquaredError,
        reduction: Reduction::Mean,
        order: Order::Second,
    };
    learner.meta_gradient(&[], shot, shot, steps)
}

fn product(m: usize, k: usize, n: usize, transpose_a: bool, transpose_b: bool) -> Plan {
    let tape = Tape::new();
    let (inputs, output) = {
        let a = tape.input(&if transpose_a { [k, m] } else { [m, k] });
        let b = tape.input(&if transpose_b { [n, k] } else { [k, n] });
        let y = a.matmul_with(b, transpose_a, transpose_b);
        (vec![Port::single("a", a), Port::single("b", b)], Port::single("y", y))
    };
    Plan::new("product", tape, inputs, vec![output])
}

/// One map over [n, m] with a bias row.
fn map(n: usize, m: usize, body: impl for<'t> Fn(Var<'t>, Var<'t>) -> Vec<Var<'t>>) -> Plan {
    let tape = Tape::new();
    let (inputs, outputs) = {
        let (x, b) = (tape.input(&[n, m]), tape.input(&[m]));
        let ys = body(x, b);
        let outputs = ys.into_iter().map(|y| Port::single("y", y)).collect();
        (vec![Port::single("x", x), Port::single("b", b)], outputs)
    };
    Plan::new("map", tape, inputs, outputs)
}

/// One task of a convolutional workload: stride 2 and mean (Omniglot), or max-pooling and flat (MiniImagenet).
fn images(size: usize, channels: usize, filters: usize, pooled: bool, query: usize, steps: usize) -> Plan {
    let norm = batch_norm(BatchMode::Transductive, true, true);
    let strided = [conv(filters, 3, 2, Padding::Same), norm, RELU];
    let whole = [conv(filters, 3, 1, Padding::Same), norm, RELU, pool(2)];
    let (block, end) = if pooled { (&whole[..], Block::Flatten) } else { (&strided[..], Block::Mean) };
    let blocks = [&block.repeat(4)[..], &[end, linear(5)]].concat();
    let model = Network::new(&[size, size, channels], &blocks, 5).expect("the blocks fit");
    let learner =
        Learner { model, loss: Loss::CrossEntropy, reduction: Reduction::Mean, order: Order::Second };
    learner.meta_gradient(&[], 5, query, steps)
}

fn policy(activation: Activation) -> Policy {
    Policy { mlp: Mlp::new(20, &[100, 100], 6, activation), context: 0, init_std: 1.0, min_std: 1e-6 }
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let peak = peak();
    println!("768^3 product: {:.1} GFLOP/s", peak / 1e9);
    for (m, k, n) in [
        (10, 40, 40),
        (500, 20, 100),
        (500, 100, 100),
        (100, 500, 100),
        (500, 100, 6),
        (100, 500, 6),
        (500, 6, 100),
        (768, 768, 768),
    ] {
        for (ta, tb) in [(false, false), (false, true), (true, false)] {
            measure(&format!("product {m} {k} {n} {ta} {tb}"), || product(m, k, n, ta, tb), peak);
        }
    }
    for (n, m) in [(500, 100), (500, 6)] {
        let name = |what: &str| format!("map {what} {n} {m}");
        measure(&name("x + b"), || map(n, m, |x, b| vec![x + b]), peak);
        measure(&name("tanh x"), || map(n, m, |x, _| vec![x.tanh()]), peak);
        measure(&name("exp x"), || map(n, m, |x, _| vec![x.exp()]), peak);
        measure(&name("x + b, tanh"), || map(n, m, |x, b| vec![(x + b).tanh()]), peak);
        measure(
            &name("x - x x x, column sums"),
            || {
                map(n, m, |x, _| {
                    let y = x - x * x * x;
                    vec![y, y.sum(&[0])]
                })
            },
            peak,
        );
        measure(&name("row sums"), || map(n, m, |x, _| vec![x.sum(&[1])]), peak);
    }
    for steps in [1, 5, 20] {
        measure(&format!("sine, {steps} steps"), || sine(&[40, 40], Activation::Relu, 10, steps), peak);
    }
    measure("omni5, a task", || images(28, 1, 64, false, 5, 1), peak);
    measure("omni 48 filters, a task", || images(28, 1, 48, false, 5, 1), peak);
    if std::env::var("ONLY").is_ok_and(|wanted| wanted == "mini") {
        // Half a minute, which only those who ask for it wait.
        measure("mini, a task", || images(84, 3, 32, true, 75, 5), peak);
    }
    measure("sine 37-53 tanh, 1 step", || sine(&[37, 53], Activation::Tanh, 9, 1), peak);
    for n in [500, 4000] {
        for activation in [Activation::Tanh, Activation::Relu] {
            let policy = policy(activation);
            let name = |what: &str| format!("{what} {activation:?} {n}");
            measure(&name("gradient"), || policy.policy_gradient(&[], n), peak);
            measure(&name("curvature"), || policy.policy_curvature(&[], n), peak);
            measure(&name("surrogate"), || policy.surrogate(&[], n, true), peak);
            measure(&name("fisher"), || policy.fisher(&[], n), peak);
        }
    }
    measure("act 1", || policy(Activation::Tanh).act(&[], 1), peak);
    measure("act 20", || policy(Activation::Tanh).act(&[], 20), peak);
}
