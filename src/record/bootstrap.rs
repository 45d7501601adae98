//! Interquartile mean and its stratified bootstrap interval, as reviewers expect them (Agarwal et al. 2021, rliable).
//!
//! Scores are runs × tasks. The interquartile mean leaves out the lowest and the highest quarter of all scores; the
//! bootstrap draws, for each task anew, as many runs as there are, with replacement.

use crate::random::{Purpose, stream};
use rand::RngExt;

/// Resamplings of one interval. rliable takes 50,000 for a single number and 2,000 for curves; a report is curves.
pub const RESAMPLINGS: usize = 2_000;

/// An interquartile mean with its 95 % percentile interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iqm {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// Mean of the middle half: of n numbers the ⌊n/4⌋ lowest and as many highest are left out (scipy's `trim_mean` with
/// 0.25, which rliable uses). NaN for no number, and where a NaN is among them.
pub fn interquartile_mean(scores: &mut [f64]) -> f64 {
    if scores.is_empty() || scores.iter().any(|score| score.is_nan()) {
        return f64::NAN;
    }
    let cut = scores.len() / 4;
    let kept = scores.len() - 2 * cut;
    if cut > 0 {
        scores.select_nth_unstable_by(cut, f64::total_cmp);
        scores[cut..].select_nth_unstable_by(kept - 1, f64::total_cmp);
    }
    scores[cut..cut + kept].iter().sum::<f64>() / kept as f64
}

/// The interquartile mean of `scores` (a list of runs, each with a score for every task) and its interval.
///
/// With one run there is nothing to draw runs from, and the tasks are drawn instead. `None` unless every run has the
/// same, positive number of tasks. The same scores give the same interval: the draws come from a stream of their own.
pub fn iqm(scores: &[Vec<f64>], resamplings: usize) -> Option<Iqm> {
    let tasks = scores.first().map(Vec::len).filter(|tasks| *tasks > 0)?;
    if scores.iter().any(|run| run.len() != tasks) {
        return None;
    }
    let mut all: Vec<f64> = scores.concat();
    let mean = interquartile_mean(&mut all);
    let mut draws = stream(0, Purpose::Bootstrap, 0, 0, 0);
    let mut resampled = Vec::with_capacity(resamplings);
    for _ in 0..resamplings {
        all.clear();
        for task in 0..tasks {
            for _ in 0..scores.len() {
                let (run, task) = match scores.len() {
                    1 => (0, draws.random_range(0..tasks)),
                    runs => (draws.random_range(0..runs), task),
                };
                all.push(scores[run][task]);
            }
        }
        resampled.push(interquartile_mean(&mut all));
    }
    resampled.sort_by(f64::total_cmp);
    Some(Iqm { mean, low: percentile(&resampled, 2.5), high: percentile(&resampled, 97.5) })
}

/// Linear between the two nearest ranks, as numpy has it; the list is sorted.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let rank = percent / 100.0 * last as f64;
    let below = rank.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (rank - below as f64)
}
