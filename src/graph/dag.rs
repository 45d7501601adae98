//! A luminal graph read out in one fixed order: what passes, the evaluator and the dump walk over.

use super::var::node_of;
use super::{Op, Shape};
use luminal::prelude::{Graph, NodeIndex};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// One node with its inputs as positions in [`Dag::steps`].
#[derive(Clone, Debug)]
pub struct Step {
    pub node: NodeIndex,
    pub op: Op,
    pub shape: Shape,
    pub inputs: Vec<usize>,
    pub label: Rc<str>,
}

/// Steps in topological order; among those that are ready the smallest node id comes first, so that equal
/// graphs give equal orders.
#[derive(Clone, Debug)]
pub struct Dag {
    pub steps: Vec<Step>,
    positions: HashMap<NodeIndex, usize>,
}

impl Dag {
    pub fn of(graph: &Graph) -> Dag {
        let mut waiting: HashMap<NodeIndex, usize> = HashMap::new();
        let mut ready: BTreeSet<NodeIndex> = BTreeSet::new();
        let sources: HashMap<NodeIndex, Vec<NodeIndex>> = graph
            .graph
            .node_indices()
            .map(|id| (id, graph.get_sources(id).into_iter().map(|(source, ..)| source).collect()))
            .collect();
        for (id, sources) in &sources {
            waiting.insert(*id, sources.len());
            if sources.is_empty() {
                ready.insert(*id);
            }
        }
        let mut dag = Dag { steps: Vec::with_capacity(sources.len()), positions: HashMap::new() };
        while let Some(id) = ready.pop_first() {
            let node = node_of(graph, id);
            let inputs = sources[&id].iter().map(|source| dag.positions[source]).collect();
            dag.positions.insert(id, dag.steps.len());
            dag.steps.push(Step {
                node: id,
                op: node.op,
                shape: node.shape,
                inputs,
                label: node.label.clone(),
            });
            for target in graph.graph.neighbors_directed(id, petgraph::Direction::Outgoing) {
                let left = waiting.get_mut(&target).expect("every node was counted");
                *left -= 1;
                if *left == 0 {
                    ready.insert(target);
                }
            }
        }
        dag
    }

    /// Position of a node.
    pub fn index(&self, node: NodeIndex) -> usize {
        self.positions[&node]
    }

    /// One line of the dump, numbered by position, which does not depend on node ids.
    pub fn line(&self, at: usize) -> String {
        let step = &self.steps[at];
        let inputs: String = step.inputs.iter().map(|i| format!(" %{i}")).collect();
        format!("%{at} = {}{inputs} : {:?}", step.op, step.shape)
    }
}
