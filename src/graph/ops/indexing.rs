//! Rows picked by number, and their adjoint.
//!
//! Indices are floats because every tensor is; they are truncated. An index outside the table reads zeros and
//! adds nowhere, which makes both ops total and each the other's exact adjoint.

use super::{Row, Sample, expect};
use crate::graph::eval::Value;
use crate::graph::{Op, Shape};

pub static GATHER: Row = Row {
    name: "gather",
    formula: "row b[i] of the table a, for every i",
    adjoint: "g scattered into the table, 0",
    shape: |_, shapes| {
        let [table, index] = expect::<2>(shapes)?;
        if table.is_empty() || index.len() != 1 {
            return Err("takes a table [n, …] and indices [m]".into());
        }
        Ok(table.with(0, index[0]))
    },
    eval: |_, shape, args| {
        let (table, run) = (args[0], row_size(args[0].shape));
        let mut out = vec![0.0; shape.size()];
        for (i, at) in rows(args[1], table.shape[0]) {
            out[i * run..(i + 1) * run].copy_from_slice(&table.data[at * run..(at + 1) * run]);
        }
        out
    },
    derivative: |p| vec![Some(p.adjoint.scatter(p.inputs[1], p.inputs[0].shape[0])), None],
    samples: || {
        vec![indexed(Op::Gather, &[3, 2], &[2.0, 0.0, 2.0, 7.0]), indexed(Op::Gather, &[4], &[1.0, -1.0])]
    },
};

pub static SCATTER: Row = Row {
    name: "scatter",
    formula: "a zero table with row a[i] added at b[i], for every i",
    adjoint: "g gathered at b, 0",
    shape: |op, shapes| {
        let [values, index] = expect::<2>(shapes)?;
        match op {
            Op::Scatter(rows) if index.len() == 1 && !values.is_empty() && values[0] == index[0] => {
                Ok(values.with(0, *rows))
            }
            _ => Err("takes rows [m, …] and indices [m]".into()),
        }
    },
    eval: |_, shape, args| {
        let (values, run) = (args[0], row_size(args[0].shape));
        let mut out = vec![0.0; shape.size()];
        for (i, at) in rows(args[1], shape[0]) {
            for j in 0..run {
                out[at * run + j] += values.data[i * run + j];
            }
        }
        out
    },
    derivative: |p| vec![Some(p.adjoint.gather(p.inputs[1])), None],
    samples: || {
        vec![
            indexed(Op::Scatter(3), &[4, 2], &[2.0, 0.0, 2.0, 7.0]),
            indexed(Op::Scatter(2), &[2], &[1.0, 1.0]),
        ]
    },
};

fn row_size(shape: Shape) -> usize {
    shape[1..].iter().product()
}

/// Pairs of position and row, for the indices that lie in the table.
fn rows(index: &Value, rows: usize) -> impl Iterator<Item = (usize, usize)> {
    index
        .data
        .iter()
        .enumerate()
        .filter(move |(_, at)| **at >= 0.0 && **at < rows as f64)
        .map(|(i, at)| (i, *at as usize))
}

fn indexed(op: Op, shape: &[usize], index: &[f64]) -> Sample {
    let mut sample = Sample::of(op, &[shape, &[index.len()]]);
    sample.inputs[1].data.copy_from_slice(index);
    sample.smooth[1] = false;
    sample
}
