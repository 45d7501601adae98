//! Graph → graph rewrites, each small, named, and meaning-preserving on its own.
//!
//! A [`Pass`] maps a [`Draft`] to a draft. A [`Pipeline`] of passes is a luminal `Compiler`: it reads the graph
//! out once, runs its passes in order until nothing changes, and writes the graph back once.

mod common;
mod constants;
mod dead;
mod folds;
mod identities;
mod narrow;
mod products;
mod recognise;
mod reshapes;
mod signs;
mod sums;
mod views;

use super::draft::Draft;
use super::verify::verify;
use crate::graph::Plan;
use luminal::prelude::{Compiler, Graph, NodeIndex, ToIdsMut};

pub use common::CommonSubexpressions;
pub use constants::ConstantFolding;
pub use dead::DeadNodes;
pub use folds::Folds;
pub use identities::Identities;
pub use narrow::Narrow;
pub use products::Products;
pub use recognise::RecogniseProducts;
pub use reshapes::Reshapes;
pub use signs::Signs;
pub use sums::Sums;
pub use views::Views;

/// One rewrite. It keeps the order and the meaning of the roots.
pub trait Pass: Sync {
    fn name(&self) -> &'static str;
    fn run(&self, draft: &Draft) -> Draft;
}

/// Every pass, in the order in which a round runs them.
pub static STANDARD: &[&dyn Pass] = &[
    &DeadNodes,
    &ConstantFolding,
    &Identities,
    &Signs,
    &Views,
    &Reshapes,
    &Folds,
    &Narrow,
    &Sums,
    &RecogniseProducts,
    &Products,
    &CommonSubexpressions,
];

/// Rewrites feed one another; rounds stop when one changes nothing. Real plans settle in under ten, so this
/// bound only guards against two rules that undo each other.
const MAX_ROUNDS: usize = 40;

/// Passes as one luminal compiler.
pub struct Pipeline(pub &'static [&'static dyn Pass]);

impl Pipeline {
    pub fn standard() -> Pipeline {
        Pipeline(STANDARD)
    }

    /// Compiles the graph of a plan and moves its ports along.
    pub fn apply(&self, plan: &mut Plan) {
        let ports = plan.inputs.iter_mut().chain(&mut plan.outputs);
        let ids: Vec<&mut NodeIndex> = ports.flat_map(|p| &mut p.parts).map(|part| &mut part.node).collect();
        self.compile(&mut plan.graph, ids);
    }

    /// Runs the passes until a whole round changes nothing.
    pub fn run(&self, mut draft: Draft) -> Draft {
        for _ in 0..MAX_ROUNDS {
            let before = draft.clone();
            for pass in self.0 {
                draft = pass.run(&draft);
                if cfg!(debug_assertions) {
                    check(pass.name(), &draft);
                }
            }
            if draft == before {
                break;
            }
        }
        let draft = DeadNodes.run(&draft);
        check("the passes", &draft);
        draft
    }
}

impl Compiler for Pipeline {
    fn compile<T: ToIdsMut>(&self, graph: &mut Graph, mut remap: T) {
        let mut ids = remap.to_ids_mut();
        let roots: Vec<NodeIndex> = ids.iter().map(|id| **id).collect();
        let (rebuilt, roots) = self.run(Draft::read(graph, &roots)).write();
        *graph = rebuilt;
        ids.iter_mut().zip(roots).for_each(|(id, root)| **id = root);
    }
}

fn check(pass: &str, draft: &Draft) {
    if let Err(why) = verify(draft) {
        panic!("after {pass}: {why}");
    }
}
