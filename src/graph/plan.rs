//! A finished program: a luminal graph with named ports.

use super::{Dag, Shape, Tape, Var};
use luminal::prelude::{Graph, NodeIndex};
use std::fmt::Write;

/// One tensor of a port.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub name: String,
    pub shape: Shape,
    pub node: NodeIndex,
}

/// A flat buffer at the door of a program: its parts lie one after the other in it.
/// Parameters, gradients and tangents are one port of many parts; data are ports of one part.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub name: String,
    pub parts: Vec<Part>,
    /// Inputs: given only at the second stage. What does not depend on a late port is computed once and kept
    /// (the Hessian-vector products of one conjugate-gradient solve share all but their vector).
    pub late: bool,
    /// Outputs: given by the first stage already; nothing in them may depend on a late port.
    pub early: bool,
}

impl Port {
    pub fn new(name: &str, parts: &[(String, Var)]) -> Port {
        let parts = parts.iter().map(|(name, v)| Part { name: name.clone(), shape: v.shape, node: v.id });
        Port { name: name.to_string(), parts: parts.collect(), late: false, early: false }
    }

    pub fn single(name: &str, var: Var) -> Port {
        Port::new(name, &[(name.to_string(), var)])
    }

    pub fn late(mut self) -> Port {
        self.late = true;
        self
    }

    pub fn early(mut self) -> Port {
        self.early = true;
        self
    }

    /// Number of floats.
    pub fn size(&self) -> usize {
        self.parts.iter().map(|p| p.shape.size()).sum()
    }
}

/// A graph with its ports. Not `Send`: plans live at compile time on one thread.
#[derive(Debug)]
pub struct Plan {
    pub name: String,
    pub graph: Graph,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

impl Plan {
    pub fn new(name: &str, tape: Tape, inputs: Vec<Port>, outputs: Vec<Port>) -> Plan {
        Plan { name: name.to_string(), graph: tape.finish(), inputs, outputs }
    }

    pub fn dag(&self) -> Dag {
        Dag::of(&self.graph)
    }

    /// A printed form that depends only on the program: golden files and `explain --graph` use it.
    pub fn dump(&self) -> String {
        let dag = self.dag();
        let mut text = format!("plan {}\n", self.name);
        let mut ports = |kind: &str, ports: &[Port]| {
            for port in ports {
                let stage = match (port.late, port.early) {
                    (true, _) => " (late)",
                    (_, true) => " (early)",
                    _ => "",
                };
                let _ = writeln!(text, "{kind} {}{stage}", port.name);
                for part in &port.parts {
                    let _ =
                        writeln!(text, "    {} = %{} : {:?}", part.name, dag.index(part.node), part.shape);
                }
            }
        };
        ports("input", &self.inputs);
        ports("output", &self.outputs);
        for at in 0..dag.steps.len() {
            text.push_str(&dag.line(at));
            text.push('\n');
        }
        text
    }
}
