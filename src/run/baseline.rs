//! The linear feature baseline (Duan et al. 2016): ridge regression from hand-made features to returns.
//!
//! It is refitted on every task's own batch and evaluated on that same batch (protocol A.4, baseline), 80 times
//! per meta-iteration of the cheetah, so the Gram matrix is accumulated in small square blocks that stay in
//! registers. All sums are in f64 and in the order of the steps: threads and padding change no bit.

use crate::error::{Error, Result};
use crate::run::returns::{AfterLast, Episodes, discounted_returns, generalised_advantages, standardise};

/// Observations are clipped to ± this before they become features (protocol A.4).
const CLIP: f32 = 10.0;
/// First ridge penalty (protocol A.4).
const RIDGE: f64 = 1e-5;
/// The penalty grows by this factor while the solution is not finite (protocol A.4).
const RIDGE_GROWTH: f64 = 10.0;
/// Fits tried before giving up (protocol A.4).
const TRIES: usize = 5;
/// The time features are powers of t / this, t counted from 0 (protocol A.4).
const TIME_SCALE: f64 = 100.0;
/// Side of the square blocks of the Gram matrix: 4 × 4 sums fit the 16 vector registers of any x86-64.
const SIDE: usize = 4;
/// Steps per pass over the blocks, so that their features (24 KB for the cheetah) stay in the L1 cache.
const CHUNK: usize = 64;

/// A linear function of [o, o², t/100, (t/100)², (t/100)³, 1] and the room to fit it.
///
/// One value serves any number of batches with the same observation width, one after the other.
pub struct LinearBaseline {
    width: usize,
    /// Features of `CHUNK` steps with the target as one more column, in groups of `SIDE`: `[CHUNK, groups]`.
    chunk: Vec<[f64; SIDE]>,
    /// Blocks of the Gram matrix of those columns, `[groups, groups]`; only those with row ≤ column are used.
    gram: Vec<[[f64; SIDE]; SIDE]>,
    factor: Vec<f64>,
    weights: Vec<f64>,
}

impl LinearBaseline {
    /// A baseline for observations of `width` numbers; all weights are zero until the first fit.
    pub fn new(width: usize) -> Self {
        let features = 2 * width + 4;
        let groups = (features + 1).div_ceil(SIDE);
        LinearBaseline {
            width,
            chunk: vec![[0.0; SIDE]; CHUNK * groups],
            gram: vec![[[0.0; SIDE]; SIDE]; groups * groups],
            factor: vec![0.0; features * features],
            weights: vec![0.0; features],
        }
    }

    /// The weights in the order of the features, `[2 * width + 4]`.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Least squares with a ridge penalty: minimises |X w − y|² + ridge |w|² over the real steps.
    ///
    /// `observations` is `[episodes, horizon, width]`, `targets` `[episodes, horizon]`. Returns the penalty
    /// that was used. Fails when no penalty up to 0.1 gives finite weights, which only happens when the
    /// observations or the targets are not finite.
    pub fn fit(&mut self, observations: &[f32], targets: &[f32], episodes: Episodes<'_>) -> Result<f64> {
        assert_eq!(observations.len(), episodes.padded_len() * self.width);
        assert_eq!(targets.len(), episodes.padded_len());
        self.accumulate(observations, targets, episodes);
        let mut ridge = RIDGE;
        for _ in 0..TRIES {
            if self.solve(ridge) {
                return Ok(ridge);
            }
            ridge *= RIDGE_GROWTH;
        }
        Err(Error::Run(format!(
            "the linear baseline has no finite fit over {} steps, even with a ridge penalty of {:.0e}: \
             some observation or return is NaN or infinite; check the environment's outputs",
            episodes.real_steps(),
            ridge / RIDGE_GROWTH
        )))
    }

    /// The fitted values of every real step; zero in the padding.
    ///
    /// `observations` is `[episodes, horizon, width]`, `out` `[episodes, horizon]`.
    pub fn predict(&self, observations: &[f32], episodes: Episodes<'_>, out: &mut [f32]) {
        assert_eq!(observations.len(), episodes.padded_len() * self.width);
        assert_eq!(out.len(), episodes.padded_len());
        out.fill(0.0);
        let (linear, rest) = self.weights.split_at(self.width);
        let (square, time) = rest.split_at(self.width);
        for range in episodes.ranges() {
            for (t, step) in range.enumerate() {
                let observation = &observations[step * self.width..][..self.width];
                let mut value: f64 = time_features(t).iter().zip(time).map(|(x, w)| x * w).sum();
                for ((o, w1), w2) in observation.iter().zip(linear).zip(square) {
                    let o = f64::from(o.clamp(-CLIP, CLIP));
                    value += o * (w1 + o * w2);
                }
                out[step] = value as f32;
            }
        }
    }

    /// Fills `gram` with the products of all pairs of columns (features, then target), summed over real steps.
    fn accumulate(&mut self, observations: &[f32], targets: &[f32], episodes: Episodes<'_>) {
        let groups = self.chunk.len() / CHUNK;
        self.gram.fill([[0.0; SIDE]; SIDE]);
        let mut rows = 0;
        for range in episodes.ranges() {
            for (t, step) in range.enumerate() {
                let row = self.chunk[rows * groups..][..groups].as_flattened_mut();
                let observation = &observations[step * self.width..][..self.width];
                fill_features(observation, t, f64::from(targets[step]), row);
                rows += 1;
                if rows == CHUNK {
                    add_products(&self.chunk, groups, &mut self.gram);
                    rows = 0;
                }
            }
        }
        add_products(&self.chunk[..rows * groups], groups, &mut self.gram);
    }

    /// Entry of the Gram matrix for columns `i` ≤ `j`.
    fn product(&self, i: usize, j: usize) -> f64 {
        let groups = self.chunk.len() / CHUNK;
        self.gram[(i / SIDE) * groups + j / SIDE][i % SIDE][j % SIDE]
    }

    /// Cholesky factorisation of Gram + ridge·I and both triangular solves; false when the result is not finite.
    fn solve(&mut self, ridge: f64) -> bool {
        let n = self.weights.len();
        for i in 0..n {
            for j in 0..=i {
                let (head, tail) = self.factor.split_at(i * n);
                let row_j = if j == i { &tail[..j] } else { &head[j * n..][..j] };
                let known: f64 = tail[..j].iter().zip(row_j).map(|(a, b)| a * b).sum();
                let rest = self.product(j, i) + if i == j { ridge } else { 0.0 } - known;
                if i == j && !(rest > 0.0 && rest.is_finite()) {
                    return false;
                }
                self.factor[i * n + j] = if i == j { rest.sqrt() } else { rest / self.factor[j * n + j] };
            }
        }
        for i in 0..n {
            let known: f64 = (0..i).map(|k| self.factor[i * n + k] * self.weights[k]).sum();
            self.weights[i] = (self.product(i, n) - known) / self.factor[i * n + i];
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|k| self.factor[k * n + i] * self.weights[k]).sum();
            self.weights[i] = (self.weights[i] - known) / self.factor[i * n + i];
        }
        self.weights.iter().all(|w| w.is_finite())
    }
}

/// The standardised advantages of one task's batch: fit the baseline on the batch's discounted returns,
/// evaluate it there, take generalised advantages, standardise (protocol A.4, baseline and advantage).
///
/// `observations` is `[episodes, horizon, width]`; `rewards` and `out` are `[episodes, horizon]`; zero in the
/// padding. The value after the last step is zero. Returns the advantages' deviation before. Fails as [`LinearBaseline::fit`] does.
pub fn task_advantages(
    baseline: &mut LinearBaseline,
    observations: &[f32],
    rewards: &[f32],
    episodes: Episodes<'_>,
    discount: f64,
    lambda: f64,
    out: &mut [f32],
) -> Result<f64> {
    discounted_returns(rewards, episodes, discount, AfterLast::Zero, out);
    baseline.fit(observations, out, episodes)?;
    let mut values = vec![0.0; episodes.padded_len()];
    baseline.predict(observations, episodes, &mut values);
    generalised_advantages(rewards, &values, episodes, discount, lambda, AfterLast::Zero, out);
    Ok(standardise(out, episodes))
}

/// [t/100, (t/100)², (t/100)³, 1] for step `t` of an episode, counted from 0.
fn time_features(t: usize) -> [f64; 4] {
    let t = t as f64 / TIME_SCALE;
    [t, t * t, t * t * t, 1.0]
}

/// One row: [o, o², time features, target], then zeros up to the group's end.
fn fill_features(observation: &[f32], t: usize, target: f64, row: &mut [f64]) {
    let width = observation.len();
    let (linear, rest) = row.split_at_mut(width);
    let (square, rest) = rest.split_at_mut(width);
    for ((o, x1), x2) in observation.iter().zip(linear).zip(square) {
        let o = f64::from(o.clamp(-CLIP, CLIP));
        *x1 = o;
        *x2 = o * o;
    }
    rest[..4].copy_from_slice(&time_features(t));
    rest[4] = target;
    rest[5..].fill(0.0);
}

/// Adds Xᵀ X of `rows` `[steps, groups]` to the blocks on and above the diagonal of `gram` `[groups, groups]`.
fn add_products(rows: &[[f64; SIDE]], groups: usize, gram: &mut [[[f64; SIDE]; SIDE]]) {
    for i in 0..groups {
        for j in i..groups {
            let mut block = gram[i * groups + j];
            for row in rows.chunks_exact(groups) {
                let (left, right) = (row[i], row[j]);
                for (sums, a) in block.iter_mut().zip(left) {
                    for (sum, b) in sums.iter_mut().zip(right) {
                        *sum += a * b;
                    }
                }
            }
            gram[i * groups + j] = block;
        }
    }
}
