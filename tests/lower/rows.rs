//! Every row of the op table, on its own samples.

use super::compare;
use mamlx::graph::{Op, Plan, Port, Tape, ops};

#[test]
fn every_row_computes_its_samples() {
    let mut seen = 0;
    for sample in ops::TABLE.iter().flat_map(|row| (row.samples)()) {
        let build = || {
            let tape = Tape::new();
            let (inputs, output) = {
                let vars: Vec<_> = sample.inputs.iter().map(|value| tape.input(&value.shape)).collect();
                let ports = vars.iter().enumerate().map(|(i, v)| Port::single(&format!("x{i}"), *v));
                (ports.collect(), Port::single("y", tape.apply(sample.op, &vars)))
            };
            Plan::new("row", tape, inputs, vec![output])
        };
        let inputs: Vec<Vec<f64>> = sample.inputs.iter().map(|value| value.data.clone()).collect();
        compare(build, &inputs, 1e-3, 4e-7);
        seen += 1;
    }
    assert!(seen > 40, "only {seen} samples");
}

#[test]
fn rows_work_on_tensors_larger_than_a_tile() {
    // 50 x 70 is several tiles with a tail, and wider than any register.
    for op in [Op::Exp, Op::Tanh, Op::Relu, Op::Sum(0b01), Op::Sum(0b10), Op::Sum(0b11), Op::MaxReduce(1)] {
        let build = || {
            let tape = Tape::new();
            let (input, output) = {
                let x = tape.input(&[50, 70]);
                (Port::single("x", x), Port::single("y", tape.apply(op, &[x])))
            };
            Plan::new("row", tape, vec![input], vec![output])
        };
        let data = (0..3500).map(|i| (f64::from(i) * 0.377).sin() * 2.0).collect();
        // The sums cancel, so their error is measured against some hundreds of terms.
        compare(build, &[data], 1.0, 1e-5);
    }
}

#[test]
fn matrix_products_of_every_shape_and_orientation() {
    let sizes = [1, 2, 5, 7, 16, 33, 70];
    let mut n = 0usize;
    for (m, k, n_) in sizes.iter().flat_map(|m| sizes.iter().flat_map(move |k| sizes.map(|n| (*m, *k, n)))) {
        // Each shape takes another orientation and number of batches.
        n += 1;
        let (transpose_a, transpose_b, batch) =
            (n.is_multiple_of(2), (n / 2).is_multiple_of(2), [1, 3][n / 4 % 2]);
        let a = if transpose_a { [batch, k, m] } else { [batch, m, k] };
        let b = if transpose_b { [batch, n_, k] } else { [batch, k, n_] };
        let build = || {
            let tape = Tape::new();
            let (inputs, output) = {
                let (a, b) = (tape.input(&a), tape.input(&b));
                let y = a.matmul_with(b, transpose_a, transpose_b);
                (vec![Port::single("a", a), Port::single("b", b)], Port::single("y", y))
            };
            Plan::new("product", tape, inputs, vec![output])
        };
        let data = |size: usize, phase: f64| (0..size).map(|i| (i as f64 * 0.7 + phase).sin()).collect();
        let inputs = [data(a.iter().product(), 0.1), data(b.iter().product(), 0.2)];
        compare(build, &inputs, 1.0, 2e-6);
    }
}
