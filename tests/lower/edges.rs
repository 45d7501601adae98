//! Infinities, NaN, zeros of both signs and the ends of the range, against f64; and the accuracy of the functions.

use super::{instruction_sets, run, slices};
use mamlx::graph::eval::evaluate;
use mamlx::graph::{Op, Plan, Port, Tape};
use mamlx::lower::lower_for;

fn plan(op: Op, inputs: usize, n: usize) -> Plan {
    let tape = Tape::new();
    let (ports, y) = {
        let vars: Vec<_> = (0..inputs).map(|_| tape.input(&[n])).collect();
        let ports = vars.iter().enumerate().map(|(i, v)| Port::single(&format!("x{i}"), *v)).collect();
        (ports, Port::single("y", tape.apply(op, &vars)))
    };
    Plan::new("edges", tape, ports, vec![y])
}

const EDGES: [f32; 22] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MIN_POSITIVE,
    1e-40,
    -1e-40,
    f32::MAX,
    f32::MIN,
    88.7,
    88.8,
    -87.4,
    -100.0,
    -103.9,
    -104.5,
    0.5999,
    0.6001,
    9.1,
    -20.0,
];

#[test]
fn edges_are_those_of_the_oracle() {
    use Op::*;
    let unary = [Neg, Recip, Sqrt, Exp, Log, Sin, Tanh, Relu];
    let pairs: Vec<(f32, f32)> = EDGES.iter().flat_map(|x| EDGES.map(|y| (*x, y))).collect();
    let left: Vec<f32> = pairs.iter().map(|p| p.0).collect();
    let right: Vec<f32> = pairs.iter().map(|p| p.1).collect();
    for isa in instruction_sets() {
        for op in unary {
            check(isa, op, &[EDGES.to_vec()]);
        }
        for op in [Add, Sub, Mul, Div, Max, LessThan] {
            check(isa, op, &[left.clone(), right.clone()]);
        }
        check(isa, Select, &[left.clone(), right.clone(), left.iter().rev().copied().collect()]);
        check(isa, MaxReduce(1), &[vec![1.0, f32::NAN, 3.0]]);
        check(isa, MaxReduce(1), &[vec![f32::NAN, 2.0, 3.0]]);
        check(isa, MaxReduce(1), &[EDGES[..6].to_vec()]);
    }
}

fn check(isa: mamlx::lower::cpu::Isa, op: Op, inputs: &[Vec<f32>]) {
    let n = inputs[0].len();
    let found = run(&lower_for(plan(op, inputs.len(), n), isa), inputs).remove(0);
    let wide: Vec<Vec<f64>> = inputs.iter().map(|x| x.iter().map(|x| f64::from(*x)).collect()).collect();
    let exact = evaluate(&plan(op, inputs.len(), n), &slices(&wide)).remove(0);
    for (i, (found, exact)) in found.iter().zip(&exact).enumerate() {
        let exact = *exact as f32;
        let at = || inputs.iter().filter_map(|x| x.get(i)).collect::<Vec<_>>();
        let close = (found - exact).abs() <= 4e-7 * exact.abs() + f32::from_bits(2);
        let same = found.to_bits() == exact.to_bits() || (found.is_nan() && exact.is_nan());
        assert!(same || *found == exact || close, "{isa} {op} of {:?}: {found:e}, not {exact:e}", at());
    }
}

/// Largest error of a function over numbers, by the given measure.
fn worst(isa: mamlx::lower::cpu::Isa, op: Op, xs: &[f32], measure: impl Fn(f64, f64) -> f64) -> f64 {
    let found = run(&lower_for(plan(op, 1, xs.len()), isa), &[xs.to_vec()]).remove(0);
    let wide: Vec<f64> = xs.iter().map(|x| f64::from(*x)).collect();
    let exact = evaluate(&plan(op, 1, xs.len()), &[&wide]).remove(0);
    found.iter().zip(&exact).map(|(found, exact)| measure(f64::from(*found), *exact)).fold(0.0, f64::max)
}

#[test]
fn functions_are_as_accurate_as_they_say() {
    let n = 400_000;
    let spread = |low: f32, high: f32| -> Vec<f32> {
        (0..n).map(|i| low + (high - low) * (i as f32 / n as f32)).collect()
    };
    // Every exponent and both signs, with irregular mantissas.
    let any_size = |signs: u32| -> Vec<f32> {
        (0..n as u32)
            .map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761) >> 1 | (i % signs) << 31))
            .collect()
    };
    let finite = |v: Vec<f32>| -> Vec<f32> { v.into_iter().filter(|x| x.is_normal()).collect() };
    let relative = |found: f64, exact: f64| ((found - exact) / exact).abs();
    let absolute = |found: f64, exact: f64| (found - exact).abs();
    for isa in instruction_sets() {
        let exp = worst(isa, Op::Exp, &spread(-87.0, 88.7), relative);
        assert!(exp <= 2e-7, "{isa} exp: {exp:e}");
        let log = worst(isa, Op::Log, &finite(any_size(1)), relative);
        assert!(log <= 2e-7, "{isa} log: {log:e}");
        let log = worst(isa, Op::Log, &spread(0.5001, 1.9), relative);
        assert!(log <= 2e-7, "{isa} log near 1: {log:e}");
        let tanh = worst(isa, Op::Tanh, &finite(any_size(2)), relative);
        assert!(tanh <= 4e-7, "{isa} tanh: {tanh:e}");
        let tanh = worst(isa, Op::Tanh, &spread(0.001, 10.0), relative);
        assert!(tanh <= 4e-7, "{isa} tanh in the middle: {tanh:e}");
        let sin = worst(isa, Op::Sin, &spread(-1e4, 1e4), absolute);
        assert!(sin <= 2e-7, "{isa} sin: {sin:e}");
        let sin = worst(isa, Op::Sin, &spread(9e3, 1e8), absolute);
        assert!(sin <= 2e-7, "{isa} sin of large numbers: {sin:e}");
    }
}
