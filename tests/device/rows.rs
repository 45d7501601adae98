//! Every row of the op table on its own samples, and the schedules that only larger tensors take.

use super::{compare, machines};
use mamlx::graph::{Op, Plan, Port, Tape, Var, ops};

pub fn plan(shapes: &[Vec<usize>], build: impl for<'t> Fn(&'t Tape, &[Var<'t>]) -> Var<'t>) -> Plan {
    let tape = Tape::new();
    let (inputs, output) = {
        let vars: Vec<Var> = shapes.iter().map(|shape| tape.input(shape)).collect();
        let ports = vars.iter().enumerate().map(|(i, v)| Port::single(&format!("x{i}"), *v));
        (ports.collect(), Port::single("y", build(&tape, &vars)))
    };
    Plan::new("row", tape, inputs, vec![output])
}

fn numbers(size: usize, phase: f64) -> Vec<f64> {
    (0..size).map(|i| (i as f64 * 0.377 + phase).sin() * 2.0).collect()
}

#[test]
fn every_row_computes_its_samples_on_every_device() {
    let machines = machines();
    let mut seen = 0;
    for sample in ops::TABLE.iter().flat_map(|row| (row.samples)()) {
        let shapes: Vec<Vec<usize>> = sample.inputs.iter().map(|value| value.shape.to_vec()).collect();
        let inputs: Vec<Vec<f64>> = sample.inputs.iter().map(|value| value.data.clone()).collect();
        compare(&machines, || plan(&shapes, |tape, vars| tape.apply(sample.op, vars)), &inputs, 1e-3, 2e-6);
        seen += 1;
    }
    assert!(seen > 40, "only {seen} samples");
}

#[test]
fn reductions_of_every_schedule() {
    let machines = machines();
    // One thread a result, a group a result, and a group for sixteen neighbouring results.
    for (shape, op) in [
        ([50, 30], Op::Sum(0b10)),
        ([50, 700], Op::Sum(0b10)),
        ([5, 2100], Op::Sum(0b10)),
        ([700, 50], Op::Sum(0b01)),
        ([70, 90], Op::Sum(0b11)),
        ([700, 50], Op::MaxReduce(0)),
        ([3, 700], Op::MaxReduce(1)),
    ] {
        let build = || plan(&[shape.to_vec()], |tape, vars| tape.apply(op, &[vars[0].sin()]).tanh());
        compare(&machines, build, &[numbers(shape.iter().product(), 0.1)], 1.0, 4e-5);
    }
}

#[test]
fn products_of_every_tile_and_orientation() {
    let machines = machines();
    let sizes = [(5, 7, 9), (1, 3, 40), (20, 40, 17), (33, 18, 70), (70, 5, 65), (64, 130, 64)];
    for (number, (m, k, n)) in sizes.into_iter().enumerate() {
        for turn in 0..4 {
            let (ta, tb, batch) = (turn % 2 == 1, turn / 2 == 1, [1, 3][(number + turn) % 2]);
            let a = if ta { vec![batch, k, m] } else { vec![batch, m, k] };
            let b = if tb { vec![batch, n, k] } else { vec![batch, k, n] };
            // A row is added and a function taken: the product's kernel does both.
            let build = || {
                plan(&[a.clone(), b.clone(), vec![n]], |_, v| (v[0].matmul_with(v[1], ta, tb) + v[2]).relu())
            };
            let data = [(&a, 0.1), (&b, 0.2), (&vec![n], 0.3)];
            let data = data.map(|(shape, phase)| numbers(shape.iter().product(), phase));
            compare(&machines, build, &data, 1.0, 4e-6);
        }
    }
}
