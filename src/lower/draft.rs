//! The editable form of a graph that passes work on.
//!
//! A luminal edge weighs 5 KB and petgraph edits are slow, so a pass does not edit the graph in place: the graph
//! is read out once, rewritten as a plain list in topological order, and written back once.

use crate::graph::dag::Step as Read;
use crate::graph::var::tracker;
use crate::graph::{Dag, Node, Op, Shape, ops};
use luminal::prelude::{Graph, NodeIndex};
use std::rc::Rc;

/// One node; `inputs` are positions of earlier steps.
#[derive(Clone, Debug)]
pub struct Step {
    pub op: Op,
    pub shape: Shape,
    pub inputs: Vec<usize>,
    pub label: Rc<str>,
}

impl PartialEq for Step {
    fn eq(&self, other: &Step) -> bool {
        self.op == other.op && self.shape == other.shape && self.inputs == other.inputs
    }
}

/// A graph as steps in topological order, and the steps that its ports name, in port order.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Draft {
    pub steps: Vec<Step>,
    pub roots: Vec<usize>,
}

impl Draft {
    pub fn read(graph: &Graph, roots: &[NodeIndex]) -> Draft {
        let dag = Dag::of(graph);
        let roots = roots.iter().map(|id| dag.index(*id)).collect();
        let step = |s: Read| Step { op: s.op, shape: s.shape, inputs: s.inputs, label: s.label };
        Draft { steps: dag.steps.into_iter().map(step).collect(), roots }
    }

    /// A fresh luminal graph, and where the roots lie in it.
    pub fn write(&self) -> (Graph, Vec<NodeIndex>) {
        let mut graph = Graph::new();
        let mut ids = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let node = Node { op: step.op, shape: step.shape, label: step.label.clone() };
            let mut added = graph.add_op(node);
            for input in &step.inputs {
                added = added.input(ids[*input], 0, tracker(self.steps[*input].shape));
            }
            ids.push(added.finish());
        }
        let roots = self.roots.iter().map(|root| ids[*root]).collect();
        (graph, roots)
    }

    /// How many steps and roots read each step.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.steps.len()];
        self.steps.iter().flat_map(|s| &s.inputs).chain(&self.roots).for_each(|i| uses[*i] += 1);
        uses
    }

    /// Rebuilds the draft front to back. The rule sees each step with its inputs already rebuilt, and either
    /// names the step that replaces it or leaves it as it is.
    pub fn rewrite(&self, mut rule: impl FnMut(&mut Rewriter, &Step, usize) -> Option<usize>) -> Draft {
        let mut out = Rewriter { steps: Vec::with_capacity(self.steps.len()), label: Rc::from("") };
        let mut moved: Vec<usize> = Vec::with_capacity(self.steps.len());
        for (at, step) in self.steps.iter().enumerate() {
            let mut step = step.clone();
            step.inputs.iter_mut().for_each(|i| *i = moved[*i]);
            out.label = step.label.clone();
            let to = rule(&mut out, &step, at).unwrap_or_else(|| {
                out.steps.push(step);
                out.steps.len() - 1
            });
            moved.push(to);
        }
        Draft { steps: out.steps, roots: self.roots.iter().map(|root| moved[*root]).collect() }
    }
}

/// The part of a draft that is rebuilt so far, to which a rule may append.
pub struct Rewriter {
    pub steps: Vec<Step>,
    label: Rc<str>,
}

impl Rewriter {
    pub fn op(&self, at: usize) -> Op {
        self.steps[at].op
    }

    pub fn shape(&self, at: usize) -> Shape {
        self.steps[at].shape
    }

    pub fn input(&self, at: usize, which: usize) -> usize {
        self.steps[at].inputs[which]
    }

    /// Appends an op; its shape comes from its row of the table.
    pub fn push(&mut self, op: Op, inputs: &[usize]) -> usize {
        let shapes: Vec<Shape> = inputs.iter().map(|i| self.shape(*i)).collect();
        let shape = (ops::row(&op).shape)(&op, &shapes);
        let shape = shape.unwrap_or_else(|why| panic!("a pass built {op} of {shapes:?}: {why}"));
        self.steps.push(Step { op, shape, inputs: inputs.to_vec(), label: self.label.clone() });
        self.steps.len() - 1
    }

    pub fn reshape(&mut self, x: usize, shape: Shape) -> usize {
        if self.shape(x) == shape { x } else { self.push(Op::Reshape(shape), &[x]) }
    }

    pub fn expand(&mut self, x: usize, shape: Shape) -> usize {
        if self.shape(x) == shape { x } else { self.push(Op::Expand(shape), &[x]) }
    }

    pub fn permute(&mut self, x: usize, order: &[usize]) -> usize {
        if order.iter().copied().eq(0..order.len()) {
            x
        } else {
            self.push(Op::Permute(Shape::new(order)), &[x])
        }
    }

    pub fn sum(&mut self, x: usize, mask: u8) -> usize {
        if mask == 0 { x } else { self.push(Op::Sum(mask), &[x]) }
    }

    /// One number everywhere, in its one canonical spelling: constant, reshape to ones, expand.
    pub fn full(&mut self, value: f64, shape: Shape) -> usize {
        let number = self.push(Op::constant(value), &[]);
        let ones = self.reshape(number, Shape::new(&vec![1; shape.len()]));
        self.expand(ones, shape)
    }

    /// The number that this step holds everywhere, if it is one.
    pub fn splat(&self, at: usize) -> Option<f64> {
        let step = &self.steps[at];
        match step.op {
            Op::Constant(_) => step.op.as_constant(),
            Op::Reshape(_) | Op::Expand(_) | Op::Permute(_) | Op::Slice { .. } | Op::StopGradient => {
                self.splat(step.inputs[0])
            }
            _ => None,
        }
    }
}

/// Whether the op works on each element alone.
pub fn elementwise(op: &Op) -> bool {
    op.is_elementwise()
}
