//! Inputs, constants, and the one op that hides a dependence from differentiation.

use super::{Row, Sample, expect};
use crate::graph::{Op, Shape};

pub static INPUT: Row = Row {
    name: "input",
    formula: "a port of the plan",
    adjoint: "none",
    shape: |_, _| Err("inputs are made by Tape::input".into()),
    eval: |_, shape, _| vec![f64::NAN; shape.size()],
    derivative: |_| vec![],
    samples: Vec::new,
};

pub static CONSTANT: Row = Row {
    name: "constant",
    formula: "a number, a scalar",
    adjoint: "none",
    shape: |_, _| Ok(Shape::scalar()),
    eval: |op, _, _| vec![op.as_constant().unwrap_or(f64::NAN)],
    derivative: |_| vec![],
    samples: || vec![Sample::of(Op::constant(0.75), &[])],
};

pub static STOP_GRADIENT: Row = Row {
    name: "stop_gradient",
    formula: "a",
    adjoint: "0 (first-order MAML stops here: paper, section 5.2)",
    shape: |_, shapes| expect::<1>(shapes).map(|[a]| a),
    eval: |_, _, args| args[0].data.clone(),
    derivative: |_| vec![None],
    samples: || {
        let mut sample = Sample::of(Op::StopGradient, &[&[2, 3]]);
        sample.smooth = vec![false];
        vec![sample]
    },
};
