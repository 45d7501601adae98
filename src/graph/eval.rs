//! The oracle: a plain f64 evaluator. Slow, obvious, and independent of every lowering.

use super::{Dag, Plan, Shape, ops};

/// A tensor in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub shape: Shape,
    pub data: Vec<f64>,
}

impl Value {
    pub fn new(shape: &[usize], data: Vec<f64>) -> Value {
        let shape = Shape::new(shape);
        assert_eq!(shape.size(), data.len(), "as many numbers as the shape says");
        Value { shape, data }
    }
}

/// The first node, in program order, whose result is not finite although its inputs are.
#[derive(Clone, Debug, PartialEq)]
pub struct NotFinite {
    /// The node as the dump prints it.
    pub node: String,
    /// The scope of the model it belongs to.
    pub label: String,
}

/// Runs a plan: one flat slice per input port in, one flat vector per output port out.
pub fn evaluate(plan: &Plan, inputs: &[&[f64]]) -> Vec<Vec<f64>> {
    let dag = plan.dag();
    let values = values(&dag, plan, inputs);
    plan.outputs
        .iter()
        .map(|port| port.parts.iter().flat_map(|part| values[dag.index(part.node)].data.clone()).collect())
        .collect()
}

/// Where a plan first produces an infinity or a NaN on these inputs, if it does.
pub fn first_not_finite(plan: &Plan, inputs: &[&[f64]]) -> Option<NotFinite> {
    let dag = plan.dag();
    let values = values(&dag, plan, inputs);
    let bad = |i: usize| values[i].data.iter().any(|x| !x.is_finite());
    let at = (0..dag.steps.len()).find(|i| bad(*i))?;
    Some(NotFinite { node: dag.line(at), label: dag.steps[at].label.to_string() })
}

fn values(dag: &Dag, plan: &Plan, inputs: &[&[f64]]) -> Vec<Value> {
    let mut given: Vec<Option<Value>> = vec![None; dag.steps.len()];
    assert_eq!(inputs.len(), plan.inputs.len(), "one slice per input port of {}", plan.name);
    for (port, data) in plan.inputs.iter().zip(inputs) {
        assert_eq!(data.len(), port.size(), "port {} of {}", port.name, plan.name);
        let mut at = 0;
        for part in &port.parts {
            let end = at + part.shape.size();
            given[dag.index(part.node)] = Some(Value { shape: part.shape, data: data[at..end].to_vec() });
            at = end;
        }
    }
    let mut values: Vec<Value> = Vec::with_capacity(dag.steps.len());
    for (i, step) in dag.steps.iter().enumerate() {
        let value = given[i].take().unwrap_or_else(|| {
            let args: Vec<&Value> = step.inputs.iter().map(|i| &values[*i]).collect();
            let data = (ops::row(&step.op).eval)(&step.op, step.shape, &args);
            Value { shape: step.shape, data }
        });
        values.push(value);
    }
    values
}
