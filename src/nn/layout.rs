//! The parameters of a network as one flat vector with named parts.

use super::init::Draw;
use crate::graph::{Port, Shape, Tape, Var};

/// How one parameter tensor starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// The same number everywhere.
    Constant(f64),
    /// A weight tensor with this many inputs and outputs, drawn as told, or else as the whole network is.
    Weight { fan_in: usize, fan_out: usize, draw: Option<Draw> },
}

/// What moves a parameter tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The inner steps, and the outer ones that set where they start.
    Adapted,
    /// The outer steps alone: every task and inner step sees the same value (the released code's batch-norm shifts).
    Shared,
    /// A running average, which no gradient reaches. Its entry of a "gradient" is its distance from the batch at hand:
    /// see [`Layout::settle`].
    Average,
}

/// One parameter tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    pub shape: Vec<usize>,
    pub start: Start,
    pub role: Role,
}

/// Parameter tensors in the order of the flat vector; each is row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    pub entries: Vec<Entry>,
}

impl Layout {
    /// Number of parameters.
    pub fn size(&self) -> usize {
        self.entries.iter().map(|e| e.shape.iter().product::<usize>()).sum()
    }

    /// New inputs of the program, one a parameter tensor, with `lead` axes before each shape.
    pub fn inputs<'t>(&self, tape: &'t Tape, lead: &[usize]) -> Vec<Var<'t>> {
        self.entries.iter().map(|e| tape.input(&[lead, &e.shape].concat())).collect()
    }

    /// One port whose parts are these tensors, in the order of the flat vector.
    pub fn port(&self, name: &str, vars: &[Var]) -> Port {
        let parts: Vec<(String, Var)> =
            self.entries.iter().zip(vars).map(|(e, v)| (e.name.clone(), *v)).collect();
        Port::new(name, &parts)
    }

    /// Name, shape and range in the flat vector of every tensor.
    pub fn parts(&self) -> Vec<(String, Shape, std::ops::Range<usize>)> {
        let mut start = 0;
        let part = |e: &Entry| {
            let shape = Shape::new(&e.shape);
            let range = start..start + shape.size();
            start = range.end;
            (e.name.clone(), shape, range)
        };
        self.entries.iter().map(part).collect()
    }

    /// Sets what no inner step adapts to zero in a vector with a number for each parameter: the derivative of an inner
    /// step with respect to its gradient.
    pub fn hold<T: Copy + Default>(&self, vector: &mut [T]) {
        if self.entries.iter().all(|e| e.role == Role::Adapted) {
            return;
        }
        for (entry, (_, _, range)) in self.entries.iter().zip(self.parts()) {
            if entry.role != Role::Adapted {
                vector[range].fill(T::default());
            }
        }
    }

    /// Moves the running averages of `theta` by `weight` of their distance from the batches, which `gradient` holds,
    /// and leaves no gradient there for the outer optimiser. To be called before each of its steps.
    pub fn settle(&self, theta: &mut [f32], gradient: &mut [f32], weight: f32) {
        let averages = self.entries.iter().zip(self.parts()).filter(|(e, _)| e.role == Role::Average);
        for (_, (_, _, range)) in averages {
            for (x, distance) in theta[range.clone()].iter_mut().zip(&mut gradient[range]) {
                *x -= weight * *distance;
                *distance = 0.0;
            }
        }
    }
}
