//! Reverse-mode differentiation as a graph transformation.
//!
//! Walking back from a result, every node passes its adjoint to its inputs through the derivative of its row in
//! the op table. The rows emit the same ops that they differentiate, so the result can be differentiated again.

use super::ops::{self, Pullback};
use super::{Shape, Var};
use luminal::prelude::NodeIndex;
use std::collections::{BTreeMap, HashSet};

/// Gradient of a scalar with respect to each of `wrt`; zeros where it does not depend on one.
pub fn grad<'t>(y: Var<'t>, wrt: &[Var<'t>]) -> Vec<Var<'t>> {
    assert_eq!(y.shape, Shape::scalar(), "the gradient is taken of a scalar");
    vjp(&[y], &[y.tape.constant(1.0)], wrt)
}

/// Vector–Jacobian product: Σᵢ seedᵢᵀ ∂yᵢ/∂wrt, one result per entry of `wrt`, of its shape.
pub fn vjp<'t>(ys: &[Var<'t>], seeds: &[Var<'t>], wrt: &[Var<'t>]) -> Vec<Var<'t>> {
    let tape = ys[0].tape;
    let useful = depends_on(ys, wrt);
    let targets: HashSet<NodeIndex> = wrt.iter().map(|v| v.id).collect();
    // Node ids grow along the tape, so descending ids are a reverse topological order.
    let mut adjoints: BTreeMap<NodeIndex, Var<'t>> = BTreeMap::new();
    for (y, seed) in ys.iter().zip(seeds) {
        assert_eq!(y.shape, seed.shape, "a seed has the shape of its result");
        accumulate(&mut adjoints, *y, *seed);
    }
    let mut found: BTreeMap<NodeIndex, Var<'t>> = BTreeMap::new();
    while let Some((id, adjoint)) = adjoints.pop_last() {
        if targets.contains(&id) {
            found.insert(id, adjoint);
        }
        if !useful.contains(&id) {
            continue;
        }
        let (op, sources) = tape.node(id);
        let inputs: Vec<Var<'t>> = sources.into_iter().map(|(id, shape)| Var { tape, id, shape }).collect();
        if inputs.iter().all(|input| !useful.contains(&input.id)) {
            continue;
        }
        let output = Var { tape, id, shape: adjoint.shape };
        let pullback = Pullback { op, inputs: &inputs, output, adjoint };
        tape.derivative_scope(&tape.label(id), || {
            let parts = (ops::row(&op).derivative)(&pullback);
            for (input, part) in inputs.iter().zip(parts) {
                if let Some(part) = part.filter(|_| useful.contains(&input.id)) {
                    accumulate(&mut adjoints, *input, part);
                }
            }
        });
    }
    wrt.iter().map(|v| found.get(&v.id).copied().unwrap_or_else(|| tape.full(0.0, v.shape))).collect()
}

/// Jacobian–vector product: ∂y/∂wrt · tangents, of the shape of `y`.
///
/// Reverse mode twice: the pullback of `y` is linear in its seed, and the derivative of
/// ⟨pullback(seed), tangents⟩ with respect to that seed is the product wanted.
pub fn jvp<'t>(y: Var<'t>, wrt: &[Var<'t>], tangents: &[Var<'t>]) -> Var<'t> {
    let tape = y.tape;
    // The seed only has to be a variable of the right shape; its value drops out of the result.
    let seed = tape.full(0.0, y.shape);
    let pulled = vjp(&[y], &[seed], wrt);
    let products: Vec<Var<'t>> = pulled.iter().zip(tangents).map(|(a, b)| (*a * *b).sum_all()).collect();
    let total = products.into_iter().reduce(|a, b| a + b).expect("a derivative with respect to something");
    grad(total, &[seed])[0]
}

fn accumulate<'t>(adjoints: &mut BTreeMap<NodeIndex, Var<'t>>, at: Var<'t>, part: Var<'t>) {
    debug_assert_eq!(at.shape, part.shape, "an adjoint has the shape of its node");
    let sum = adjoints.get(&at.id).map_or(part, |so_far| *so_far + part);
    adjoints.insert(at.id, sum);
}

/// The nodes between `wrt` and `ys`: the only ones an adjoint has to visit.
fn depends_on<'t>(ys: &[Var<'t>], wrt: &[Var<'t>]) -> HashSet<NodeIndex> {
    let tape = ys[0].tape;
    let mut ancestors: BTreeMap<NodeIndex, Vec<NodeIndex>> = BTreeMap::new();
    let mut open: Vec<NodeIndex> = ys.iter().map(|y| y.id).collect();
    while let Some(id) = open.pop() {
        if ancestors.contains_key(&id) {
            continue;
        }
        let sources: Vec<NodeIndex> = tape.node(id).1.into_iter().map(|(source, _)| source).collect();
        open.extend(&sources);
        ancestors.insert(id, sources);
    }
    let mut useful: HashSet<NodeIndex> = wrt.iter().map(|v| v.id).collect();
    for (id, sources) in &ancestors {
        if sources.iter().any(|source| useful.contains(source)) {
            useful.insert(*id);
        }
    }
    useful
}
