//! The closed set of operations, as plain comparable data.

use super::{Shape, Window, eval, ops};
use luminal::op::{InputTensor, Operator};
use luminal::prelude::ShapeTracker;
use luminal::prelude::Tensor;
use std::fmt;
use std::rc::Rc;

/// One operation. Formulas, shapes, values and derivatives stand in the rows of [`ops::TABLE`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// A port of the plan; the number keeps distinct inputs distinct.
    Input(u32),
    /// A scalar, as the bits of an f64 so that ops stay `Eq + Hash`.
    Constant(u64),
    /// Identity with derivative zero.
    StopGradient,
    Neg,
    Recip,
    Sqrt,
    Exp,
    Log,
    Sin,
    Tanh,
    Relu,
    Add,
    Sub,
    Mul,
    Div,
    Max,
    /// 1 where the first input is smaller, else 0; derivative zero.
    LessThan,
    /// Second input where the first is not 0, else the third.
    Select,
    /// Sum over the axes in the bit mask; they stay with length 1.
    Sum(u8),
    /// Maximum over the axes in the bit mask; they stay with length 1.
    MaxReduce(u8),
    /// Same elements in row-major order under another shape.
    Reshape(Shape),
    /// Output axis `i` is input axis `permutation[i]`.
    Permute(Shape),
    /// Axes of length 1 repeated up to this shape.
    Expand(Shape),
    /// Elements `start[i]..end[i]` along every axis.
    Slice {
        start: Shape,
        end: Shape,
    },
    /// Zeros added before and after every axis.
    Pad {
        before: Shape,
        after: Shape,
    },
    /// Inputs one after the other along an axis (at most 255 inputs: luminal's edge order is a u8).
    Concat(u8),
    /// Rows of a table `[n, …]` at float-valued indices `[m]`; a row outside the table reads as zeros.
    Gather,
    /// Adjoint of `Gather`: rows `[m, …]` added into a zero table of that many rows.
    Scatter(usize),
    /// The patches that a window sees of images `[…, height, width, channels]`, one row each.
    Unfold(Window),
    /// Adjoint of `Unfold`: patches added into zero images of this height and width.
    Fold(Window, [usize; 2]),
    /// Matrix product over the last two axes; leading axes are batches and agree.
    MatMul {
        transpose_a: bool,
        transpose_b: bool,
    },
}

impl Op {
    pub fn constant(value: f64) -> Op {
        Op::Constant(value.to_bits())
    }

    /// Whether each element of the result comes from the same element of every input alone.
    pub fn is_elementwise(&self) -> bool {
        match self {
            Op::StopGradient | Op::Neg | Op::Recip | Op::Sqrt | Op::Exp | Op::Log | Op::Sin => true,
            Op::Tanh | Op::Relu | Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Max => true,
            Op::LessThan | Op::Select => true,
            Op::Input(_) | Op::Constant(_) | Op::Sum(_) | Op::MaxReduce(_) | Op::Reshape(_) => false,
            Op::Permute(_) | Op::Expand(_) | Op::Slice { .. } | Op::Pad { .. } | Op::Concat(_) => false,
            Op::Gather | Op::Scatter(_) | Op::Unfold(_) | Op::Fold(..) | Op::MatMul { .. } => false,
        }
    }

    pub fn as_constant(&self) -> Option<f64> {
        match self {
            Op::Constant(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ops::row(self).name;
        match self {
            Op::Input(port) => write!(f, "{name} #{port}"),
            Op::Constant(bits) => write!(f, "{name} {:?}", f64::from_bits(*bits)),
            Op::Sum(mask) | Op::MaxReduce(mask) => {
                let axes: Vec<_> = ops::reduce::axes(*mask).collect();
                write!(f, "{name} {axes:?}")
            }
            Op::Concat(axis) => write!(f, "{name} axis {axis}"),
            Op::Permute(order) => write!(f, "{name} {order:?}"),
            Op::Slice { start, end } => write!(f, "{name} {start:?}..{end:?}"),
            Op::Pad { before, after } => write!(f, "{name} {before:?} {after:?}"),
            Op::Unfold(window) => write!(f, "{name} {window}"),
            Op::Fold(window, [height, width]) => write!(f, "{name} {window} into {height}x{width}"),
            Op::Scatter(rows) => write!(f, "{name} into {rows}"),
            Op::MatMul { transpose_a, transpose_b } => {
                let mark = |t: bool| if t { "'" } else { "" };
                write!(f, "{name} a{} b{}", mark(*transpose_a), mark(*transpose_b))
            }
            _ => f.write_str(name),
        }
    }
}

/// A node of the luminal graph: an op, the shape of its result, and where in the model it was written.
#[derive(Clone)]
pub struct Node {
    pub op: Op,
    pub shape: Shape,
    /// The scope it was built in, such as `inner 2/layer 1`, for error messages.
    pub label: Rc<str>,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.shape == other.shape
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} : {:?}", self.op, self.shape)
    }
}

/// luminal's own executor can run our nodes too; they compute through the f64 rows and round to f32.
impl Operator for Node {
    fn process(&mut self, inputs: Vec<(InputTensor, ShapeTracker)>) -> Vec<Tensor> {
        let args: Vec<eval::Value> = inputs
            .iter()
            .map(|(tensor, tracker)| {
                let data = tensor.borrowed().data.as_any().downcast_ref::<Vec<f32>>();
                let data = data.expect("every tensor of our graphs is a Vec<f32>");
                let axes: Vec<usize> = tracker.shape().iter().map(|d| d.to_usize().unwrap_or(0)).collect();
                eval::Value { shape: Shape::new(&axes), data: data.iter().map(|x| f64::from(*x)).collect() }
            })
            .collect();
        let refs: Vec<&eval::Value> = args.iter().collect();
        let out = (ops::row(&self.op).eval)(&self.op, self.shape, &refs);
        vec![Tensor::new(out.into_iter().map(|x| x as f32).collect::<Vec<f32>>())]
    }
}
