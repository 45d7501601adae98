//! Where a program meets the outside: which steps its ports name, and which stage each step belongs to.

use super::draft::Draft;
use super::view::View;
use crate::graph::{Plan, Port};
use std::collections::HashMap;

pub struct Doors {
    /// Input steps with their port and offset in it.
    pub inputs: HashMap<usize, (usize, usize)>,
    pub input_ports: usize,
    /// Result parts in port order: the step, and its port and offset in it.
    pub results: Vec<(usize, (usize, usize))>,
    /// Steps of the second stage.
    pub late: Vec<bool>,
    /// Output ports that the first stage writes: those no part of which depends on a late input.
    pub early: Vec<bool>,
}

impl Doors {
    pub fn of(plan: &Plan, draft: &Draft) -> Doors {
        let mut roots = draft.roots.iter().copied();
        let mut parts = |ports: &[Port]| {
            let mut parts = Vec::new();
            for (number, port) in ports.iter().enumerate() {
                let mut offset = 0;
                for (part, root) in port.parts.iter().zip(&mut roots) {
                    parts.push((root, (number, offset)));
                    offset += part.shape.size();
                }
            }
            parts
        };
        let (inputs, results) = (parts(&plan.inputs), parts(&plan.outputs));
        let inputs: HashMap<usize, (usize, usize)> = inputs.into_iter().collect();
        let split = plan.inputs.iter().any(|port| port.late);
        let mut late: Vec<bool> = Vec::with_capacity(draft.steps.len());
        for (at, step) in draft.steps.iter().enumerate() {
            let own = inputs.get(&at).is_some_and(|(port, _)| plan.inputs[*port].late);
            late.push(!split || own || step.inputs.iter().any(|i| late[*i]));
        }
        let reached = |port: usize| results.iter().any(|(step, (of, _))| *of == port && late[*step]);
        let early = (0..plan.outputs.len()).map(|port| split && !reached(port)).collect();
        Doors { inputs, input_ports: plan.inputs.len(), results, late, early }
    }

    /// For each result the step whose kernel writes it where it belongs: the first mention of a tensor that a kernel
    /// of the second stage makes, also under another shape. The others are copied.
    ///
    /// `places` says whose buffer holds each step and where in it, `made` whether a kernel writes one for the step.
    pub fn direct(
        &self,
        draft: &Draft,
        places: &[Option<(usize, View)>],
        made: &[bool],
    ) -> Vec<Option<usize>> {
        let mut direct: Vec<Option<usize>> = Vec::with_capacity(self.results.len());
        for (step, _) in &self.results {
            let owner = places[*step].and_then(|(owner, view)| {
                let all = draft.steps[owner].shape.size() == view.shape.size() && view.contiguous();
                (all && made[owner] && self.late[owner]).then_some(owner)
            });
            direct.push(owner.filter(|owner| !direct.contains(&Some(*owner))));
        }
        direct
    }
}
