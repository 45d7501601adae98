//! Every row of the op table on its own samples, and the schedules that only larger tensors take.

use super::{Case, check};
use mamlx::graph::{Op, Plan, Port, Tape, Var, ops};
use mamlx::lower::gpu::Module;

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

pub fn samples() -> Vec<Case> {
    let case = |sample: ops::Sample| {
        let shapes: Vec<Vec<usize>> = sample.inputs.iter().map(|value| value.shape.to_vec()).collect();
        let inputs: Vec<Vec<f64>> = sample.inputs.iter().map(|value| value.data.clone()).collect();
        let build = move || plan(&shapes, |tape, vars| tape.apply(sample.op, vars));
        Case::new(build, &inputs, 1e-3, 2e-6)
    };
    ops::TABLE.iter().flat_map(|row| (row.samples)()).map(case).collect()
}

/// One thread a result, a group a result, and a group for sixteen neighbouring results.
pub fn reductions() -> Vec<Case> {
    let cases = [
        ([50, 30], Op::Sum(0b10)),
        ([50, 700], Op::Sum(0b10)),
        ([5, 2100], Op::Sum(0b10)),
        ([700, 50], Op::Sum(0b01)),
        ([70, 90], Op::Sum(0b11)),
        ([700, 50], Op::MaxReduce(0b01)),
        ([3, 700], Op::MaxReduce(0b10)),
        ([40, 50], Op::MaxReduce(0b11)),
    ];
    cases.into_iter().map(reduction).collect()
}

fn reduction((shape, op): ([usize; 2], Op)) -> Case {
    let build = move || plan(&[shape.to_vec()], |tape, vars| tape.apply(op, &[vars[0].sin()]).tanh());
    Case::new(build, &[numbers(shape.iter().product(), 0.1)], 1.0, 4e-5)
}

/// Sums and products so long that one kernel adds up parts of them and a second the parts.
pub fn parted() -> Vec<Case> {
    let sums = [
        ([6000, 20], Op::Sum(0b01)),
        ([3, 24000], Op::Sum(0b10)),
        ([9000, 24], Op::MaxReduce(0b01)),
        ([160, 90], Op::Sum(0b11)),
    ];
    let products = [(40, 960, 24), (100, 400, 100)].into_iter().enumerate().flat_map(product);
    sums.into_iter().map(reduction).chain(products).collect()
}

/// Every tile and orientation, with and without batches. A row is added and a function taken: the product's kernel
/// does both.
pub fn products() -> Vec<Case> {
    let sizes =
        [(5, 7, 9), (1, 3, 40), (20, 40, 17), (33, 18, 70), (70, 5, 65), (64, 130, 64), (90, 20, 100)];
    sizes.into_iter().enumerate().flat_map(product).collect()
}

fn product((number, (m, k, n)): (usize, (usize, usize, usize))) -> Vec<Case> {
    let case = |turn: usize| {
        let (ta, tb, batch) = (turn % 2 == 1, turn / 2 == 1, [1, 3][(number + turn) % 2]);
        let a = if ta { vec![batch, k, m] } else { vec![batch, m, k] };
        let b = if tb { vec![batch, n, k] } else { vec![batch, k, n] };
        let shapes = vec![a, b, vec![n]];
        let size = |(i, shape): (usize, &Vec<usize>)| numbers(shape.iter().product(), 0.1 + i as f64);
        let data: Vec<Vec<f64>> = shapes.iter().enumerate().map(size).collect();
        let build = move || plan(&shapes, |_, v| (v[0].matmul_with(v[1], ta, tb) + v[2]).relu());
        // The terms of a sum may be many times larger than it: its rounding grows with its length.
        Case::new(build, &data, 1.0, (1.2e-7 * k as f64).max(4e-6))
    };
    (0..4).map(case).collect()
}

#[test]
fn every_row_computes_its_samples_on_every_device() {
    assert!(samples().len() > 40, "only {} samples", samples().len());
    check(&samples());
}

#[test]
fn reductions_of_every_schedule() {
    check(&reductions());
}

#[test]
fn long_sums_and_products_are_parted_and_come_to_the_same() {
    for case in parted() {
        let kernels = Module::of((case.plan)()).stages.iter().flatten().count();
        assert_eq!(kernels, 2, "{}", Module::of((case.plan)()).describe());
    }
    check(&parted());
}

#[test]
fn products_of_every_tile_and_orientation() {
    check(&products());
}
