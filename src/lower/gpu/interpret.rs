//! What kernels mean, point by point on the processor: slow and plain, for tests on machines without any driver.

use super::Module;
use super::kernel::{Access, Expr, Kernel, Meet};
use crate::graph::Op;

/// Runs both stages of a module on one flat slice per input port.
pub fn run(module: &Module, inputs: &[&[f32]]) -> Vec<Vec<f32>> {
    let memory = &module.memory;
    // NaN shows what a module forgets to write.
    let mut memories = [vec![f32::NAN; memory.scratch_floats], vec![f32::NAN; memory.kept_floats]];
    for (start, data) in memory.inputs.iter().zip(inputs) {
        memories[0][*start..start + data.len()].copy_from_slice(data);
    }
    for kernel in module.stages.iter().flatten() {
        one(module, kernel, &mut memories);
    }
    let sizes = module.outputs.iter().map(|port| port.size());
    memory.outputs.iter().zip(sizes).map(|(start, size)| memories[0][*start..start + size].to_vec()).collect()
}

fn one(module: &Module, kernel: &Kernel, memories: &mut [Vec<f32>; 2]) {
    let (kept, reduced) = kernel.lengths.split_at(kernel.kept);
    let mut results = vec![];
    for result in 0..kernel.results() {
        let at = coordinates(result, kept);
        let mut total = f64::NAN;
        if let Some(reduce) = kernel.reduce {
            total = if reduce.meet == Meet::Sum { 0.0 } else { f64::NEG_INFINITY };
            for point in 0..kernel.reduced() {
                let all = [&at[..], &coordinates(point, reduced)].concat();
                let value = values(module, kernel, &kernel.inner, &all, f32::NAN, memories)[reduce.value];
                let value = f64::from(value);
                match reduce.meet {
                    Meet::Sum => total += value,
                    Meet::Max if value > total || value.is_nan() => total = value,
                    Meet::Max => {}
                }
            }
        }
        let outer = values(module, kernel, &kernel.outer, &at, total as f32, memories);
        results.extend(kernel.stores.iter().map(|store| {
            let (memory, offset) = place(module, kernel, &store.access, &at).expect("results are inside");
            (memory, offset, outer[store.value])
        }));
    }
    results.into_iter().for_each(|(memory, offset, value)| memories[memory][offset] = value);
}

fn coordinates(mut flat: usize, lengths: &[usize]) -> Vec<usize> {
    let mut at = lengths.to_vec();
    for (axis, length) in lengths.iter().enumerate().rev() {
        at[axis] = flat % length;
        flat /= length;
    }
    at
}

fn place(module: &Module, kernel: &Kernel, access: &Access, at: &[usize]) -> Option<(usize, usize)> {
    let place = module.memory.places[&kernel.tensors[access.tensor].buffer];
    let mut offset = place.offset + access.offset;
    offset += access.strides.iter().zip(at).map(|(stride, at)| stride * at).sum::<usize>();
    for slide in &access.slides {
        let scaled =
            slide.add + slide.terms.iter().map(|(axis, factor)| at[*axis] as i64 * factor).sum::<i64>();
        let position = usize::try_from(scaled).ok()?;
        let inside = position.is_multiple_of(slide.divide) && position / slide.divide < slide.length;
        offset += inside.then_some(position / slide.divide * slide.stride)?;
    }
    Some((place.memory, offset))
}

fn values(
    module: &Module,
    kernel: &Kernel,
    exprs: &[Expr],
    at: &[usize],
    total: f32,
    memories: &[Vec<f32>; 2],
) -> Vec<f32> {
    let mut values: Vec<f32> = Vec::with_capacity(exprs.len());
    for expr in exprs {
        let value = match expr {
            Expr::Load(access, row) => {
                let offset = match row {
                    None => Some(0),
                    Some(row) => {
                        let x = values[row.index];
                        (x >= 0.0 && x < row.rows as f32).then_some(x as usize * row.stride)
                    }
                };
                let found = place(module, kernel, access, at).zip(offset);
                found.map_or(0.0, |((memory, start), offset)| memories[memory][start + offset])
            }
            Expr::Number(bits) => f64::from_bits(*bits) as f32,
            Expr::Coordinate(axis) => at[*axis] as f32,
            Expr::Total => total,
            Expr::Op(op, args) => scalar(op, &args.iter().map(|i| values[*i]).collect::<Vec<_>>()),
        };
        values.push(value);
    }
    values
}

fn scalar(op: &Op, args: &[f32]) -> f32 {
    match (op, args) {
        (Op::Neg, [a]) => -a,
        (Op::Recip, [a]) => 1.0 / a,
        (Op::Sqrt, [a]) => a.sqrt(),
        (Op::Exp, [a]) => a.exp(),
        (Op::Log, [a]) => a.ln(),
        (Op::Sin, [a]) => a.sin(),
        (Op::Tanh, [a]) => a.tanh(),
        (Op::Relu, [a]) => {
            if *a < 0.0 {
                0.0
            } else {
                *a
            }
        }
        (Op::Add, [a, b]) => a + b,
        (Op::Sub, [a, b]) => a - b,
        (Op::Mul, [a, b]) => a * b,
        (Op::Div, [a, b]) => a / b,
        (Op::Max, [a, b]) => {
            if a > b || a.is_nan() {
                *a
            } else {
                *b
            }
        }
        (Op::LessThan, [a, b]) => {
            if a < b {
                1.0
            } else {
                0.0
            }
        }
        (Op::Select, [a, b, c]) => {
            if *a != 0.0 {
                *b
            } else {
                *c
            }
        }
        _ => unreachable!("kernels have elementwise rows of the table only"),
    }
}
