//! Normalisation over a batch or over the features of a point, with a learned shift and, if asked for, a scale.

use super::block::role;
use super::layout::{Entry, Role, Start};
use super::network::Pass;
use crate::graph::Var;

/// Whose mean and variance a batch is normalised with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchMode {
    /// The batch's own, always: the queries of a task see each other (the released code; protocol A.2).
    Transductive,
    /// Queries are normalised as the task's support points are, at the same parameters.
    Support,
    /// Gradient steps use the batch's own; what is only judged uses running averages.
    Running,
    /// As `Running`, with averages, shift and scale of their own for each number of inner steps taken (Antoniou,
    /// Edwards and Storkey 2019, section 4, "BNRS" and "BNWB").
    PerStep {
        /// The most inner steps of training; later ones share the last row.
        steps: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    pub mode: BatchMode,
    pub scale: bool,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether inner steps adapt shift and scale.
    pub adapted: bool,
}

/// Over all features of a point (Ba, Kiros and Hinton 2016), with a shift and scale for each channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    pub scale: bool,
    pub epsilon: f64,
    pub adapted: bool,
}

/// Mean and variance of each channel, `[lead…, 1, channels]`.
#[derive(Clone, Copy)]
pub struct Moments<'t> {
    pub mean: Var<'t>,
    pub variance: Var<'t>,
}

impl BatchNorm {
    fn averages(&self) -> bool {
        matches!(self.mode, BatchMode::Running | BatchMode::PerStep { .. })
    }

    /// `shift`, `scale` if there is one, then `mean` and `variance` where there are running averages; `[channels]`,
    /// or `[steps + 1, channels]` where every step has its own.
    pub(super) fn entries(&self, channels: usize, number: usize) -> Vec<Entry> {
        let shape = match self.mode {
            BatchMode::PerStep { steps } => vec![steps + 1, channels],
            _ => vec![channels],
        };
        let mut entries = affine(&shape, number, self.scale, role(self.adapted));
        if self.averages() {
            entries.push(entry("mean", &shape, number, 0.0, Role::Average));
            entries.push(entry("variance", &shape, number, 1.0, Role::Average));
        }
        entries
    }

    /// `y = (x - mean) / √(variance + epsilon) · scale + shift` (Ioffe and Szegedy 2015, algorithm 1), and the
    /// moments of the batch itself.
    pub(super) fn forward<'t>(
        &self,
        params: &[Var<'t>],
        lead: usize,
        x: Var<'t>,
        pass: &Pass<'_, 't>,
        support: Option<Moments<'t>>,
    ) -> (Var<'t>, Moments<'t>) {
        let channels = x.shape[x.shape.len() - 1];
        let rows = x.shape[lead..x.shape.len() - 1].iter().product::<usize>();
        let flat = x.reshape(&[&x.shape[..lead], &[rows, channels]].concat());
        // One row of a parameter: the only one, or that of the step.
        let row = |which: usize| {
            let all = params[which];
            let whole = match self.mode {
                BatchMode::PerStep { steps } => {
                    let at = pass.updates.min(steps);
                    all.slice(lead, at, at + 1)
                }
                _ => all,
            };
            whole.reshape(&[&x.shape[..lead], &[1, channels]].concat())
        };
        let own = moments(flat, lead);
        let used = match self.mode {
            BatchMode::Support => support.unwrap_or(own),
            BatchMode::Running | BatchMode::PerStep { .. } if pass.judging => {
                let first = 1 + usize::from(self.scale);
                Moments { mean: row(first), variance: row(first + 1) }
            }
            _ => own,
        };
        let mut y = (flat - used.mean) * (used.variance + self.epsilon).sqrt().recip();
        if self.scale {
            y = y * row(1);
        }
        ((y + row(0)).reshape(&x.shape), own)
    }

    /// For each running average its distance from the batches' moments: what [`super::Layout::settle`] takes.
    /// `batches` holds the moments of the pass after 0, 1, … inner steps; without a row of their own only the last
    /// counts.
    pub(super) fn distances<'t>(
        &self,
        params: &[Var<'t>],
        lead: usize,
        batches: &[Moments<'t>],
    ) -> Vec<Var<'t>> {
        if !self.averages() || batches.is_empty() {
            return vec![];
        }
        let first = 1 + usize::from(self.scale);
        let distance = |average: Var<'t>, of: &dyn Fn(&Moments<'t>) -> Var<'t>| match self.mode {
            BatchMode::PerStep { steps } => {
                // Steps that this plan does not take keep their averages.
                let row = |at: usize| {
                    let kept = average.slice(lead, at, at + 1);
                    batches.get(at).map_or(kept, of)
                };
                let rows: Vec<Var> = (0..=steps).map(row).collect();
                (average - Var::concat(&rows, lead)).stop_gradient()
            }
            _ => {
                let last = of(&batches[batches.len() - 1]);
                (average - last.reshape(&average.shape)).stop_gradient()
            }
        };
        vec![distance(params[first], &|m| m.mean), distance(params[first + 1], &|m| m.variance)]
    }
}

impl LayerNorm {
    pub(super) fn entries(&self, channels: usize, number: usize) -> Vec<Entry> {
        affine(&[channels], number, self.scale, role(self.adapted))
    }

    pub(super) fn forward<'t>(&self, params: &[Var<'t>], lead: usize, x: Var<'t>) -> Var<'t> {
        let features = x.shape[lead + 1..].iter().product::<usize>();
        let flat = x.reshape(&[&x.shape[..lead + 1], &[features, 1]].concat());
        let Moments { mean, variance } = moments(flat, lead + 1);
        let y = ((flat - mean) * (variance + self.epsilon).sqrt().recip()).reshape(&x.shape);
        // `[lead…, channels]` with an axis of length 1 for each of the others of a point.
        let wide = |p: Var<'t>| {
            let mut shape = vec![1; x.shape.len()];
            shape[..lead].copy_from_slice(&x.shape[..lead]);
            shape[x.shape.len() - 1] = x.shape[x.shape.len() - 1];
            p.reshape(&shape)
        };
        let y = if self.scale { y * wide(params[1]) } else { y };
        y + wide(params[0])
    }
}

/// Mean and variance over one axis.
fn moments(x: Var, axis: usize) -> Moments {
    let share = 1.0 / x.shape[axis] as f64;
    let mean = x.sum_keep(&[axis]) * share;
    Moments { mean, variance: (x - mean).square().sum_keep(&[axis]) * share }
}

fn entry(what: &str, shape: &[usize], number: usize, start: f64, role: Role) -> Entry {
    let name = format!("norm{number}.{what}");
    Entry { name, shape: shape.to_vec(), start: Start::Constant(start), role }
}

fn affine(shape: &[usize], number: usize, scale: bool, role: Role) -> Vec<Entry> {
    let mut entries = vec![entry("shift", shape, number, 0.0, role)];
    if scale {
        entries.push(entry("scale", shape, number, 1.0, role));
    }
    entries
}
