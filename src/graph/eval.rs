//! The oracle: a plain f64 evaluator. Slow, obvious, and independent of every lowering.

use super::dag::Step;
use super::{Dag, Plan, Port, Shape, ops};
use std::fmt;

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

/// Where a number that is not finite was born: a node whose result is not finite although all that it is computed from
/// is.
#[derive(Clone, Debug, PartialEq)]
pub struct NotFinite {
    /// The op as the dump prints it, or the part of an input port.
    pub op: String,
    pub shape: Shape,
    /// The scope of the model that the node was built in.
    pub label: String,
    /// Of an op that works on each element alone: what the first bad element was computed from.
    pub operands: Vec<f64>,
    /// NaN or an infinity.
    pub result: f64,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operands: Vec<String> = self.operands.iter().map(|x| format!("{:e}", *x as f32)).collect();
        let from =
            if operands.is_empty() { String::new() } else { format!(" of {}", operands.join(" and ")) };
        write!(f, "`{}`{from} is {} in a tensor of shape {:?}", self.op, self.result, self.shape)?;
        if self.label.is_empty() { Ok(()) } else { write!(f, ", {}", self.label) }
    }
}

/// Runs a plan: one flat slice per input port in, one flat vector per output port out.
pub fn evaluate(plan: &Plan, inputs: &[&[f64]]) -> Vec<Vec<f64>> {
    let dag = plan.dag();
    let values = walk(&dag, plan, inputs, |x| x, |_, _, _| ());
    plan.outputs.iter().map(|port| of_port(&dag, port, &values)).collect()
}

/// Runs a plan as a program in single precision does: the result of every node is rounded to f32. Where one of the
/// outputs is not finite, says where that began. Numbers that are masked on their way to the outputs do not count.
pub fn replay(plan: &Plan, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>, Box<NotFinite>> {
    let dag = plan.dag();
    let inputs: Vec<Vec<f64>> = inputs.iter().map(|x| x.iter().map(|x| f64::from(*x)).collect()).collect();
    let inputs: Vec<&[f64]> = inputs.iter().map(|x| &x[..]).collect();
    // Of every node whose result is not finite: what it is, as if it were born there.
    let mut bad: Vec<Option<NotFinite>> = vec![None; dag.steps.len()];
    let values = walk(
        &dag,
        plan,
        &inputs,
        |x| f64::from(x as f32),
        |at, args, value| {
            let element = value.data.iter().position(|x| !x.is_finite());
            bad[at] = element.map(|element| NotFinite {
                op: name(plan, &dag.steps[at]),
                shape: value.shape,
                label: dag.steps[at].label.to_string(),
                operands: args.iter().filter_map(|arg| arg.data.get(element).copied()).collect(),
                result: value.data[element],
            });
        },
    );
    let parts = plan.outputs.iter().flat_map(|port| &port.parts);
    let Some(mut at) = parts.map(|part| dag.index(part.node)).find(|at| bad[*at].is_some()) else {
        let round = |port: &Port| of_port(&dag, port, &values).into_iter().map(|x| x as f32).collect();
        return Ok(plan.outputs.iter().map(round).collect());
    };
    while let Some(source) = dag.steps[at].inputs.iter().find(|source| bad[**source].is_some()) {
        at = *source;
    }
    let mut born = bad.swap_remove(at).expect("the walk back visits such nodes alone");
    if !dag.steps[at].op.is_elementwise() {
        born.operands.clear();
    }
    Err(Box::new(born))
}

/// The op of a node; of an input its part of the port.
fn name(plan: &Plan, step: &Step) -> String {
    for port in &plan.inputs {
        if let Some(part) = port.parts.iter().find(|part| part.node == step.node) {
            let alone = port.name == part.name;
            return if alone { port.name.clone() } else { format!("{} {}", port.name, part.name) };
        }
    }
    step.op.to_string()
}

fn of_port(dag: &Dag, port: &Port, values: &[Value]) -> Vec<f64> {
    port.parts.iter().flat_map(|part| values[dag.index(part.node)].data.clone()).collect()
}

/// Computes node after node, and lets `seen` look at each with its inputs. Results are kept while something reads them,
/// those of the outputs to the end.
fn walk(
    dag: &Dag,
    plan: &Plan,
    inputs: &[&[f64]],
    round: impl Fn(f64) -> f64,
    mut seen: impl FnMut(usize, &[&Value], &Value),
) -> Vec<Value> {
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
    let mut last_read = vec![0; dag.steps.len()];
    for (at, step) in dag.steps.iter().enumerate() {
        step.inputs.iter().for_each(|source| last_read[*source] = at);
    }
    for part in plan.outputs.iter().flat_map(|port| &port.parts) {
        last_read[dag.index(part.node)] = usize::MAX;
    }
    let mut values: Vec<Value> = Vec::with_capacity(dag.steps.len());
    for (at, step) in dag.steps.iter().enumerate() {
        let args: Vec<&Value> = step.inputs.iter().map(|source| &values[*source]).collect();
        let value = given[at].take().unwrap_or_else(|| {
            let data = (ops::row(&step.op).eval)(&step.op, step.shape, &args);
            Value { shape: step.shape, data: data.into_iter().map(&round).collect() }
        });
        seen(at, &args, &value);
        values.push(value);
        for source in step.inputs.iter().filter(|source| last_read[**source] == at) {
            values[*source].data = vec![];
        }
    }
    values
}
