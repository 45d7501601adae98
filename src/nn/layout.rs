//! The parameters of a network as one flat vector with named parts.

use crate::graph::{Port, Shape, Tape, Var};

/// How one parameter tensor starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// The same number everywhere.
    Constant(f64),
    /// A weight matrix with this many inputs and outputs; the spec's `model.init` says how it is drawn.
    Weight { fan_in: usize, fan_out: usize },
}

/// One parameter tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    pub shape: Vec<usize>,
    pub start: Start,
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
}
