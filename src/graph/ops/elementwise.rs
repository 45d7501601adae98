//! Ops that work on each element alone; all inputs have one shape.

use super::{Pullback, Row, Sample, expect};
use crate::graph::eval::Value;
use crate::graph::{Op, Shape, Var};

fn same<const N: usize>(_: &Op, shapes: &[Shape]) -> Result<Shape, String> {
    let shapes = expect::<N>(shapes)?;
    if shapes.iter().any(|s| *s != shapes[0]) {
        return Err("elementwise ops take inputs of one shape".into());
    }
    Ok(shapes[0])
}

fn map1(args: &[&Value], f: impl Fn(f64) -> f64) -> Vec<f64> {
    args[0].data.iter().map(|x| f(*x)).collect()
}

fn map2(args: &[&Value], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    args[0].data.iter().zip(&args[1].data).map(|(a, b)| f(*a, *b)).collect()
}

fn zeros<'t>(p: &Pullback<'_, 't>) -> Var<'t> {
    p.adjoint.tape.full(0.0, p.adjoint.shape)
}

fn shapes_of(op: Op, inputs: usize) -> Vec<Sample> {
    let cases: [&[usize]; 3] = [&[], &[1, 4], &[2, 3]];
    cases.iter().map(|shape| Sample::of(op, &vec![*shape; inputs])).collect()
}

fn positive(op: Op) -> Vec<Sample> {
    shapes_of(op, 1).into_iter().map(|s| s.map(|x| x.abs() + 0.3)).collect()
}

pub static NEG: Row = Row {
    name: "neg",
    formula: "-a",
    adjoint: "-g",
    shape: same::<1>,
    eval: |_, _, args| map1(args, |a| -a),
    derivative: |p| vec![Some(-p.adjoint)],
    samples: || shapes_of(Op::Neg, 1),
};

pub static RECIP: Row = Row {
    name: "recip",
    formula: "1 / a",
    adjoint: "-g y²",
    shape: same::<1>,
    eval: |_, _, args| map1(args, |a| 1.0 / a),
    derivative: |p| vec![Some(-(p.adjoint * p.output * p.output))],
    samples: || shapes_of(Op::Recip, 1).into_iter().map(|s| s.map(|x| x + x.signum())).collect(),
};

pub static SQRT: Row = Row {
    name: "sqrt",
    formula: "√a",
    adjoint: "g / (2 y)",
    shape: same::<1>,
    eval: |_, _, args| map1(args, f64::sqrt),
    derivative: |p| vec![Some(p.adjoint * 0.5 / p.output)],
    samples: || positive(Op::Sqrt),
};

pub static EXP: Row = Row {
    name: "exp",
    formula: "eᵃ",
    adjoint: "g y",
    shape: same::<1>,
    eval: |_, _, args| map1(args, f64::exp),
    derivative: |p| vec![Some(p.adjoint * p.output)],
    samples: || shapes_of(Op::Exp, 1),
};

pub static LOG: Row = Row {
    name: "log",
    formula: "ln a",
    adjoint: "g / a",
    shape: same::<1>,
    eval: |_, _, args| map1(args, f64::ln),
    derivative: |p| vec![Some(p.adjoint / p.inputs[0])],
    samples: || positive(Op::Log),
};

pub static SIN: Row = Row {
    name: "sin",
    formula: "sin a",
    adjoint: "g sin(a + π/2)",
    shape: same::<1>,
    eval: |_, _, args| map1(args, f64::sin),
    derivative: |p| vec![Some(p.adjoint * (p.inputs[0] + std::f64::consts::FRAC_PI_2).sin())],
    samples: || shapes_of(Op::Sin, 1),
};

pub static TANH: Row = Row {
    name: "tanh",
    formula: "tanh a",
    adjoint: "g (1 - y²)",
    shape: same::<1>,
    eval: |_, _, args| map1(args, f64::tanh),
    derivative: |p| vec![Some(p.adjoint - p.adjoint * p.output * p.output)],
    samples: || shapes_of(Op::Tanh, 1),
};

pub static RELU: Row = Row {
    name: "relu",
    formula: "max(a, 0)",
    adjoint: "g where 0 < a, else 0 (at the kink: 0)",
    shape: same::<1>,
    eval: |_, _, args| map1(args, |a| if a.is_nan() { a } else { a.max(0.0) }),
    derivative: |p| vec![Some(zeros(p).less_than(p.inputs[0]).select(p.adjoint, zeros(p)))],
    samples: || shapes_of(Op::Relu, 1),
};

pub static ADD: Row = Row {
    name: "add",
    formula: "a + b",
    adjoint: "g, g",
    shape: same::<2>,
    eval: |_, _, args| map2(args, |a, b| a + b),
    derivative: |p| vec![Some(p.adjoint), Some(p.adjoint)],
    samples: || shapes_of(Op::Add, 2),
};

pub static SUB: Row = Row {
    name: "sub",
    formula: "a - b",
    adjoint: "g, -g",
    shape: same::<2>,
    eval: |_, _, args| map2(args, |a, b| a - b),
    derivative: |p| vec![Some(p.adjoint), Some(-p.adjoint)],
    samples: || shapes_of(Op::Sub, 2),
};

pub static MUL: Row = Row {
    name: "mul",
    formula: "a b",
    adjoint: "g b, g a",
    shape: same::<2>,
    eval: |_, _, args| map2(args, |a, b| a * b),
    derivative: |p| vec![Some(p.adjoint * p.inputs[1]), Some(p.adjoint * p.inputs[0])],
    samples: || shapes_of(Op::Mul, 2),
};

pub static DIV: Row = Row {
    name: "div",
    formula: "a / b",
    adjoint: "g / b, -g y / b",
    shape: same::<2>,
    eval: |_, _, args| map2(args, |a, b| a / b),
    derivative: |p| {
        let scaled = p.adjoint / p.inputs[1];
        vec![Some(scaled), Some(-(scaled * p.output))]
    },
    samples: || shapes_of(Op::Div, 2).into_iter().map(|s| s.map(|x| x + x.signum())).collect(),
};

pub static MAX: Row = Row {
    name: "max",
    formula: "max(a, b)",
    adjoint: "g to the larger; half each at a tie",
    shape: same::<2>,
    eval: |_, _, args| map2(args, |a, b| if a > b || a.is_nan() { a } else { b }),
    derivative: |p| {
        let (a, b) = (p.inputs[0], p.inputs[1]);
        let half = p.adjoint * 0.5;
        let of_a = b.less_than(a).select(p.adjoint, a.less_than(b).select(zeros(p), half));
        let of_b = a.less_than(b).select(p.adjoint, b.less_than(a).select(zeros(p), half));
        vec![Some(of_a), Some(of_b)]
    },
    samples: || shapes_of(Op::Max, 2),
};

pub static LESS_THAN: Row = Row {
    name: "less_than",
    formula: "1 where a < b, else 0",
    adjoint: "0, 0",
    shape: same::<2>,
    eval: |_, _, args| map2(args, |a, b| if a < b { 1.0 } else { 0.0 }),
    derivative: |_| vec![None, None],
    samples: || shapes_of(Op::LessThan, 2),
};

pub static SELECT: Row = Row {
    name: "select",
    formula: "b where a is not 0, else c",
    adjoint: "0, g where a is not 0, g where a is 0",
    shape: same::<3>,
    eval: |_, _, args| {
        let (a, b, c) = (&args[0].data, &args[1].data, &args[2].data);
        (0..a.len()).map(|i| if a[i] != 0.0 { b[i] } else { c[i] }).collect()
    },
    derivative: |p| {
        let mask = p.inputs[0];
        vec![None, Some(mask.select(p.adjoint, zeros(p))), Some(mask.select(zeros(p), p.adjoint))]
    },
    samples: || {
        let mask = |mut s: Sample| {
            s.inputs[0].data.iter_mut().for_each(|x| *x = if *x > 0.0 { 1.0 } else { 0.0 });
            s.smooth[0] = false;
            s
        };
        shapes_of(Op::Select, 3).into_iter().map(mask).collect()
    },
};
