//! The handle that model code is written with.

use super::{Node, Op, Shape, Window, ops};
use luminal::prelude::symbolic::Expression;
use luminal::prelude::{Graph, NodeIndex, ShapeTracker};
use std::cell::{Cell, RefCell};
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::rc::Rc;

/// A luminal graph under construction.
pub struct Tape {
    graph: RefCell<Graph>,
    inputs: Cell<u32>,
    scope: RefCell<Rc<str>>,
}

/// A tensor of the program: a node of the tape's graph and its shape. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Var<'t> {
    pub tape: &'t Tape,
    pub id: NodeIndex,
    pub shape: Shape,
}

impl Default for Tape {
    fn default() -> Self {
        Self::new()
    }
}

impl Tape {
    pub fn new() -> Self {
        Tape { graph: RefCell::new(Graph::new()), inputs: Cell::new(0), scope: RefCell::new(Rc::from("")) }
    }

    /// Nodes built inside `body` carry `name` in their label.
    pub fn scope<R>(&self, name: &str, body: impl FnOnce() -> R) -> R {
        let outer = self.scope.borrow().clone();
        let inner = if outer.is_empty() { name.to_string() } else { format!("{outer}/{name}") };
        *self.scope.borrow_mut() = Rc::from(inner);
        let result = body();
        *self.scope.borrow_mut() = outer;
        result
    }

    /// Nodes built inside `body` carry the label of what they are the derivative of, with that said.
    pub(super) fn derivative_scope<R>(&self, of: &str, body: impl FnOnce() -> R) -> R {
        let label = match of.split_once("derivative of ") {
            _ if of.is_empty() => self.scope.borrow().to_string(),
            Some(("", rest)) => format!("second derivative of {rest}"),
            Some(("second ", rest)) => format!("third derivative of {rest}"),
            Some((_, rest)) => format!("higher derivative of {rest}"),
            None => format!("derivative of {of}"),
        };
        let outer = std::mem::replace(&mut *self.scope.borrow_mut(), Rc::from(label));
        let result = body();
        *self.scope.borrow_mut() = outer;
        result
    }

    /// A new input of the program.
    pub fn input(&self, shape: &[usize]) -> Var<'_> {
        let port = self.inputs.get();
        self.inputs.set(port + 1);
        self.push(Op::Input(port), Shape::new(shape), &[])
    }

    pub fn constant(&self, value: f64) -> Var<'_> {
        self.push(Op::constant(value), Shape::scalar(), &[])
    }

    /// The same number everywhere.
    pub fn full(&self, value: f64, shape: Shape) -> Var<'_> {
        self.constant(value).broadcast(shape)
    }

    /// Appends an op after checking the shapes against its row of the table.
    ///
    /// # Panics
    /// When the shapes do not fit: model code is checked against the spec before it builds.
    pub fn apply<'t>(&'t self, op: Op, inputs: &[Var<'t>]) -> Var<'t> {
        let shapes: Vec<Shape> = inputs.iter().map(|v| v.shape).collect();
        match (ops::row(&op).shape)(&op, &shapes) {
            Ok(shape) => self.push(op, shape, inputs),
            Err(why) => panic!("{op} of {shapes:?}: {why}"),
        }
    }

    fn push<'t>(&'t self, op: Op, shape: Shape, inputs: &[Var<'t>]) -> Var<'t> {
        let node = Node { op, shape, label: self.scope.borrow().clone() };
        let mut graph = self.graph.borrow_mut();
        let mut added = graph.add_op(node);
        for input in inputs {
            added = added.input(input.id, 0, tracker(input.shape));
        }
        let id = added.finish();
        Var { tape: self, id, shape }
    }

    pub(super) fn label(&self, id: NodeIndex) -> Rc<str> {
        node_of(&self.graph.borrow(), id).label.clone()
    }

    pub(super) fn node(&self, id: NodeIndex) -> (Op, Vec<(NodeIndex, Shape)>) {
        let graph = self.graph.borrow();
        let op = node_of(&graph, id).op;
        let inputs =
            graph.get_sources(id).into_iter().map(|(source, ..)| (source, node_of(&graph, source).shape));
        (op, inputs.collect())
    }

    pub fn finish(self) -> Graph {
        self.graph.into_inner()
    }
}

/// The node weight as ours.
///
/// # Panics
/// On a foreign operator; our graphs hold none.
pub fn node_of(graph: &Graph, id: NodeIndex) -> &Node {
    let weight = graph.graph.node_weight(id).expect("node ids come from this graph");
    (**weight).as_any().downcast_ref::<Node>().expect("every node of our graphs is a graph::Node")
}

/// luminal's shape of a whole, unviewed tensor.
pub fn tracker(shape: Shape) -> ShapeTracker {
    let axes: Vec<Expression> = shape.iter().map(|n| Expression::from(*n)).collect();
    ShapeTracker::new(&axes)
}

impl<'t> Var<'t> {
    fn unary(self, op: Op) -> Var<'t> {
        self.tape.apply(op, &[self])
    }

    /// Elementwise with NumPy's broadcasting (axes aligned at the end, length 1 repeats).
    fn binary(self, op: Op, other: Var<'t>) -> Var<'t> {
        let shape = broadcast_shape(self.shape, other.shape);
        self.tape.apply(op, &[self.broadcast(shape), other.broadcast(shape)])
    }

    pub fn recip(self) -> Var<'t> {
        self.unary(Op::Recip)
    }
    pub fn sqrt(self) -> Var<'t> {
        self.unary(Op::Sqrt)
    }
    pub fn exp(self) -> Var<'t> {
        self.unary(Op::Exp)
    }
    pub fn log(self) -> Var<'t> {
        self.unary(Op::Log)
    }
    pub fn sin(self) -> Var<'t> {
        self.unary(Op::Sin)
    }
    pub fn tanh(self) -> Var<'t> {
        self.unary(Op::Tanh)
    }
    pub fn relu(self) -> Var<'t> {
        self.unary(Op::Relu)
    }
    /// 1 / (1 + exp(-x)), as (1 + tanh(x / 2)) / 2, which cannot overflow.
    pub fn sigmoid(self) -> Var<'t> {
        ((self * 0.5).tanh() + 1.0) * 0.5
    }
    pub fn square(self) -> Var<'t> {
        self * self
    }
    pub fn stop_gradient(self) -> Var<'t> {
        self.unary(Op::StopGradient)
    }
    pub fn max(self, other: Var<'t>) -> Var<'t> {
        self.binary(Op::Max, other)
    }
    pub fn less_than(self, other: Var<'t>) -> Var<'t> {
        self.binary(Op::LessThan, other)
    }

    /// `self` is the mask: `yes` where it is not 0, else `no`. Broadcasts.
    pub fn select(self, yes: Var<'t>, no: Var<'t>) -> Var<'t> {
        let shape = broadcast_shape(self.shape, broadcast_shape(yes.shape, no.shape));
        self.tape.apply(Op::Select, &[self.broadcast(shape), yes.broadcast(shape), no.broadcast(shape)])
    }

    /// Sum over the axes, which stay with length 1.
    pub fn sum_keep(self, axes: &[usize]) -> Var<'t> {
        let mask = axes.iter().fold(0u8, |mask, axis| mask | 1 << axis);
        if mask == 0 { self } else { self.unary(Op::Sum(mask)) }
    }

    /// Sum over the axes, which disappear.
    pub fn sum(self, axes: &[usize]) -> Var<'t> {
        self.sum_keep(axes).drop_axes(axes)
    }

    pub fn sum_all(self) -> Var<'t> {
        let axes: Vec<usize> = (0..self.shape.len()).collect();
        self.sum(&axes)
    }

    /// Mean over every element, a scalar.
    pub fn mean_all(self) -> Var<'t> {
        self.sum_all() * (1.0 / self.shape.size() as f64)
    }

    /// Maximum over the axes, which stay with length 1.
    pub fn max_keep(self, axes: &[usize]) -> Var<'t> {
        let mask = axes.iter().fold(0u8, |mask, axis| mask | 1 << axis);
        if mask == 0 { self } else { self.unary(Op::MaxReduce(mask)) }
    }

    /// log Σ exp over one axis, which stays with length 1; the maximum is subtracted first.
    pub fn log_sum_exp_keep(self, axis: usize) -> Var<'t> {
        let top = self.max_keep(&[axis]).stop_gradient();
        (self - top).exp().sum_keep(&[axis]).log() + top
    }

    fn drop_axes(self, axes: &[usize]) -> Var<'t> {
        let kept: Vec<usize> =
            (0..self.shape.len()).filter(|i| !axes.contains(i)).map(|i| self.shape[i]).collect();
        self.reshape(&kept)
    }

    pub fn reshape(self, shape: &[usize]) -> Var<'t> {
        if self.shape[..] == *shape { self } else { self.unary(Op::Reshape(Shape::new(shape))) }
    }
    pub fn permute(self, order: &[usize]) -> Var<'t> {
        self.unary(Op::Permute(Shape::new(order)))
    }

    /// Repeats along new leading axes and along axes of length 1.
    pub fn broadcast(self, shape: Shape) -> Var<'t> {
        if self.shape == shape {
            return self;
        }
        let mut aligned = vec![1; shape.len() - self.shape.len()];
        aligned.extend_from_slice(&self.shape);
        self.reshape(&aligned).unary(Op::Expand(shape))
    }

    /// Elements `start..end` along one axis.
    pub fn slice(self, axis: usize, start: usize, end: usize) -> Var<'t> {
        let zeros = Shape::new(&vec![0; self.shape.len()]);
        self.unary(Op::Slice { start: zeros.with(axis, start), end: self.shape.with(axis, end) })
    }

    /// Zeros before and after one axis.
    pub fn pad(self, axis: usize, before: usize, after: usize) -> Var<'t> {
        let zeros = Shape::new(&vec![0; self.shape.len()]);
        self.unary(Op::Pad { before: zeros.with(axis, before), after: zeros.with(axis, after) })
    }

    pub fn concat(parts: &[Var<'t>], axis: usize) -> Var<'t> {
        parts[0].tape.apply(Op::Concat(axis as u8), parts)
    }

    /// Rows of this table `[n, …]` at `index [m]`.
    pub fn gather(self, index: Var<'t>) -> Var<'t> {
        self.tape.apply(Op::Gather, &[self, index])
    }

    /// This table's rows `[m, …]` added into `rows` zero rows at `index [m]`.
    pub fn scatter(self, index: Var<'t>, rows: usize) -> Var<'t> {
        self.tape.apply(Op::Scatter(rows), &[self, index])
    }

    /// The patches `[…, down, across, kernel · kernel · channels]` of these images `[…, height, width, channels]`.
    pub fn unfold(self, window: Window) -> Var<'t> {
        self.unary(Op::Unfold(window))
    }

    /// `[…, m, k] · […, k, n]`; leading axes broadcast.
    pub fn matmul(self, other: Var<'t>) -> Var<'t> {
        self.matmul_with(other, false, false)
    }

    /// Matrix product with either side transposed; leading axes broadcast.
    pub fn matmul_with(self, other: Var<'t>, transpose_a: bool, transpose_b: bool) -> Var<'t> {
        let split = |s: Shape| (Shape::new(&s[..s.len() - 2]), [s[s.len() - 2], s[s.len() - 1]]);
        let ((batch_a, a), (batch_b, b)) = (split(self.shape), split(other.shape));
        let batch = broadcast_shape(batch_a, batch_b);
        let full = |matrix: [usize; 2]| Shape::new(&[&batch[..], &matrix].concat());
        let inputs = [self.broadcast(full(a)), other.broadcast(full(b))];
        self.tape.apply(Op::MatMul { transpose_a, transpose_b }, &inputs)
    }
}

fn broadcast_shape(a: Shape, b: Shape) -> Shape {
    let rank = a.len().max(b.len());
    let axis = |s: Shape, i: usize| if i + s.len() < rank { 1 } else { s[i + s.len() - rank] };
    let lengths: Vec<usize> = (0..rank)
        .map(|i| match (axis(a, i), axis(b, i)) {
            (1, n) | (n, 1) => n,
            (n, m) if n == m => n,
            _ => panic!("shapes {a:?} and {b:?} do not broadcast"),
        })
        .collect();
    Shape::new(&lengths)
}

impl<'t> Neg for Var<'t> {
    type Output = Var<'t>;
    fn neg(self) -> Var<'t> {
        self.unary(Op::Neg)
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident $op:expr;)*) => {$(
        impl<'t> $trait for Var<'t> {
            type Output = Var<'t>;
            fn $method(self, other: Var<'t>) -> Var<'t> {
                self.binary($op, other)
            }
        }
        impl<'t> $trait<f64> for Var<'t> {
            type Output = Var<'t>;
            fn $method(self, other: f64) -> Var<'t> {
                let other = self.tape.constant(other);
                self.binary($op, other)
            }
        }
    )*};
}

operators! {
    Add add Op::Add;
    Sub sub Op::Sub;
    Mul mul Op::Mul;
    Div div Op::Div;
}
