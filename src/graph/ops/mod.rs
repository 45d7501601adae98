//! The op table: one row an operation, with its formula, shape rule, value, derivative and sample inputs.
//!
//! Every row's derivative is written in ops of this table, so the set is closed and derivatives of any order
//! exist. The tests take first, second and third derivatives of every row against central differences.

mod elementwise;
mod indexing;
mod leaf;
mod matmul;
mod movement;
pub mod reduce;
mod windows;

use super::eval::Value;
use super::{Op, Shape, Var};

/// Everything there is to know about one operation.
pub struct Row {
    pub name: &'static str,
    /// The value, with inputs named a, b, c.
    pub formula: &'static str,
    /// The adjoint of each input, with `g` the adjoint of the result `y`.
    pub adjoint: &'static str,
    /// Result shape, or why these inputs do not fit.
    pub shape: fn(&Op, &[Shape]) -> Result<Shape, String>,
    /// Row-major f64 result.
    pub eval: fn(&Op, Shape, &[&Value]) -> Vec<f64>,
    /// One adjoint per input; `None` where the derivative is zero.
    pub derivative: for<'a, 't> fn(&Pullback<'a, 't>) -> Vec<Option<Var<'t>>>,
    /// Inputs on which the row is tested.
    pub samples: fn() -> Vec<Sample>,
}

/// What a derivative rule sees.
pub struct Pullback<'a, 't> {
    pub op: Op,
    pub inputs: &'a [Var<'t>],
    pub output: Var<'t>,
    pub adjoint: Var<'t>,
}

/// One test case of a row, away from its kinks and poles.
pub struct Sample {
    pub op: Op,
    pub inputs: Vec<Value>,
    /// Whether derivatives with respect to the input are tested (not: indices, masks).
    pub smooth: Vec<bool>,
}

impl Sample {
    /// Deterministic, irregular, pairwise different numbers in about ±1.5, none within 0.05 of zero.
    fn of(op: Op, shapes: &[&[usize]]) -> Sample {
        let mut n = 0u32;
        let mut number = || {
            n += 1;
            let x = (f64::from(n) * 2.399_963).sin() * 1.4;
            x + 0.1 * x.signum()
        };
        let inputs: Vec<Value> = shapes
            .iter()
            .map(|shape| Value::new(shape, (0..Shape::new(shape).size()).map(|_| number()).collect()))
            .collect();
        Sample { op, smooth: vec![true; inputs.len()], inputs }
    }

    fn map(mut self, f: impl Fn(f64) -> f64) -> Sample {
        self.inputs.iter_mut().flat_map(|v| &mut v.data).for_each(|x| *x = f(*x));
        self
    }
}

/// Every row, in the order of [`Op`].
pub static TABLE: &[&Row] = &[
    &leaf::INPUT,
    &leaf::CONSTANT,
    &leaf::STOP_GRADIENT,
    &elementwise::NEG,
    &elementwise::RECIP,
    &elementwise::SQRT,
    &elementwise::EXP,
    &elementwise::LOG,
    &elementwise::SIN,
    &elementwise::TANH,
    &elementwise::RELU,
    &elementwise::ADD,
    &elementwise::SUB,
    &elementwise::MUL,
    &elementwise::DIV,
    &elementwise::MAX,
    &elementwise::LESS_THAN,
    &elementwise::SELECT,
    &reduce::SUM,
    &reduce::MAX_REDUCE,
    &movement::RESHAPE,
    &movement::PERMUTE,
    &movement::EXPAND,
    &movement::SLICE,
    &movement::PAD,
    &movement::CONCAT,
    &indexing::GATHER,
    &indexing::SCATTER,
    &windows::UNFOLD,
    &windows::FOLD,
    &matmul::MATMUL,
];

/// The row of an op.
pub fn row(op: &Op) -> &'static Row {
    match op {
        Op::Input(_) => &leaf::INPUT,
        Op::Constant(_) => &leaf::CONSTANT,
        Op::StopGradient => &leaf::STOP_GRADIENT,
        Op::Neg => &elementwise::NEG,
        Op::Recip => &elementwise::RECIP,
        Op::Sqrt => &elementwise::SQRT,
        Op::Exp => &elementwise::EXP,
        Op::Log => &elementwise::LOG,
        Op::Sin => &elementwise::SIN,
        Op::Tanh => &elementwise::TANH,
        Op::Relu => &elementwise::RELU,
        Op::Add => &elementwise::ADD,
        Op::Sub => &elementwise::SUB,
        Op::Mul => &elementwise::MUL,
        Op::Div => &elementwise::DIV,
        Op::Max => &elementwise::MAX,
        Op::LessThan => &elementwise::LESS_THAN,
        Op::Select => &elementwise::SELECT,
        Op::Sum(_) => &reduce::SUM,
        Op::MaxReduce(_) => &reduce::MAX_REDUCE,
        Op::Reshape(_) => &movement::RESHAPE,
        Op::Permute(_) => &movement::PERMUTE,
        Op::Expand(_) => &movement::EXPAND,
        Op::Slice { .. } => &movement::SLICE,
        Op::Pad { .. } => &movement::PAD,
        Op::Concat(_) => &movement::CONCAT,
        Op::Gather => &indexing::GATHER,
        Op::Scatter(_) => &indexing::SCATTER,
        Op::Unfold(_) => &windows::UNFOLD,
        Op::Fold(..) => &windows::FOLD,
        Op::MatMul { .. } => &matmul::MATMUL,
    }
}

/// The shape rule of ops with a fixed number of inputs.
fn expect<const N: usize>(shapes: &[Shape]) -> Result<[Shape; N], String> {
    shapes.try_into().map_err(|_| format!("takes {N} inputs, not {}", shapes.len()))
}
