//! The gated recurrent unit (Cho et al. 2014, equations 5 to 8, with biases): the last state after a sequence.

use super::block::{affine, role};
use super::init::Draw;
use super::layout::{Entry, Start};
use crate::graph::{Shape, Var};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gru {
    pub hidden: usize,
    pub draw: Option<Draw>,
    pub adapted: bool,
}

impl Gru {
    /// A vector is read as a sequence of single numbers.
    fn sequence(point: &[usize]) -> [usize; 2] {
        match point {
            [time, width] => [*time, *width],
            _ => [point.iter().product(), 1],
        }
    }

    /// `gate.weight [width + hidden, 2 hidden]` (update, then reset), `candidate.weight [width + hidden, hidden]`, and
    /// their biases.
    pub(super) fn entries(&self, point: &[usize], number: usize) -> Vec<Entry> {
        let [_, width] = Gru::sequence(point);
        let part = |name: &str, outputs: usize| {
            let fan_in = width + self.hidden;
            let start = Start::Weight { fan_in, fan_out: self.hidden, draw: self.draw };
            affine(&format!("layer{number}.{name}."), vec![fan_in, outputs], start, role(self.adapted))
        };
        [part("gate", 2 * self.hidden), part("candidate", self.hidden)].concat()
    }

    /// With update gate z and reset gate r = σ([x, h] W + b), and candidate c = tanh([x, r h] V + d):
    /// h′ = h + z (c - h), from h = 0.
    pub(super) fn forward<'t>(&self, params: &[Var<'t>], lead: usize, x: Var<'t>) -> Var<'t> {
        let (axis, hidden) = (lead + 1, self.hidden);
        let [time, width] = Gru::sequence(&x.shape[axis..]);
        let x = x.reshape(&[&x.shape[..axis], &[time, width]].concat());
        let row = |bias: Var<'t>| {
            let (lead, width) = bias.shape.split_at(bias.shape.len() - 1);
            bias.reshape(&[lead, &[1], width].concat())
        };
        let start = Shape::new(&[&x.shape[..axis], &[hidden]].concat());
        let mut h = x.tape.full(0.0, start);
        for t in 0..time {
            let now = x.slice(axis, t, t + 1).reshape(&[&x.shape[..axis], &[width]].concat());
            let gates = Var::concat(&[now, h], axis).matmul(params[0]) + row(params[1]);
            let gates = gates.sigmoid();
            let (update, reset) = (gates.slice(axis, 0, hidden), gates.slice(axis, hidden, 2 * hidden));
            let candidate = Var::concat(&[now, reset * h], axis).matmul(params[2]) + row(params[3]);
            h = h + update * (candidate.tanh() - h);
        }
        h
    }
}
