//! Time steps of one task in pieces of fixed size, as the programs take them.

use crate::run::rollout::Batch;

/// All time steps of one batch, one after the other, padded with weight 0 to whole pieces.
#[derive(Clone, Default)]
pub struct Steps {
    rows: usize,
    pieces: usize,
    /// Real steps of each episode.
    lengths: Vec<usize>,
    /// `[pieces · rows, observation]`
    observation: Vec<f32>,
    /// `[pieces · rows, action]`
    action: Vec<f32>,
    /// `[pieces · rows]`
    pub(super) advantage: Vec<f32>,
    /// `[pieces · rows]`: 1/N on the N real time steps.
    pub(super) weight: Vec<f32>,
}

/// One piece.
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    pub observation: &'a [f32],
    pub action: &'a [f32],
    pub advantage: &'a [f32],
    pub weight: &'a [f32],
}

impl Steps {
    /// Takes over the real steps of a batch and their advantages (`[episodes, horizon]`).
    pub fn fill(&mut self, batch: &Batch, advantages: &[f32], rows: usize) {
        self.rows = rows;
        self.lengths.clone_from(&batch.lengths);
        self.pieces = batch.episodes().real_steps().div_ceil(rows);
        let padded = self.pieces * rows;
        let copy = |to: &mut Vec<f32>, from: &[f32], width: usize| {
            to.clear();
            batch
                .episodes()
                .ranges()
                .for_each(|r| to.extend_from_slice(&from[r.start * width..r.end * width]));
            to.resize(padded * width, 0.0);
        };
        copy(&mut self.observation, &batch.observations, batch.observation_width);
        copy(&mut self.action, &batch.actions, batch.action_dim);
        copy(&mut self.advantage, advantages, 1);
        copy(&mut self.weight, &batch.mean_weights(), 1);
    }

    pub fn pieces(&self) -> usize {
        self.pieces
    }

    /// Observations, actions, advantages and weights of the real time steps alone, as if they were one piece.
    pub fn whole(&self) -> [&[f32]; 4] {
        let (real, padded) = (self.lengths.iter().sum::<usize>(), self.pieces * self.rows);
        let part = |data: &'_ Vec<f32>| real * (data.len() / padded.max(1));
        [&self.observation, &self.action, &self.advantage, &self.weight].map(|data| &data[..part(data)])
    }

    /// The rows of each episode.
    pub fn episodes(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.lengths.iter().scan(0, |end, &length| {
            *end += length;
            Some(*end - length..*end)
        })
    }

    pub fn piece(&self, number: usize) -> Piece<'_> {
        fn part(data: &[f32], number: usize, pieces: usize) -> &[f32] {
            let size = data.len() / pieces;
            &data[number * size..(number + 1) * size]
        }
        Piece {
            observation: part(&self.observation, number, self.pieces),
            action: part(&self.action, number, self.pieces),
            advantage: part(&self.advantage, number, self.pieces),
            weight: part(&self.weight, number, self.pieces),
        }
    }
}

impl<'a> Piece<'a> {
    /// Inputs of a data program that takes `theta` first.
    pub fn inputs(&self, theta: &'a [f32]) -> [&'a [f32]; 5] {
        [theta, self.observation, self.action, self.advantage, self.weight]
    }
}
