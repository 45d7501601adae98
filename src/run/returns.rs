//! Discounted returns and generalised advantages of one task's batch of episodes.
//!
//! Every buffer is flat, `[episodes, horizon]`, and padded after the last real step. Padding is never read and
//! always written as zero, so its length and its contents change no result.

/// Which entries of a padded `[episodes, horizon]` buffer are real: the first `lengths[e]` of row `e`.
#[derive(Clone, Copy, Debug)]
pub struct Episodes<'a> {
    lengths: &'a [usize],
    horizon: usize,
}

impl<'a> Episodes<'a> {
    /// Episodes of `lengths` steps `[episodes]`, in rows of `horizon` entries.
    ///
    /// Panics when a length exceeds the horizon: no caller's input can cause that.
    pub fn new(lengths: &'a [usize], horizon: usize) -> Self {
        assert!(
            lengths.iter().all(|&n| n <= horizon),
            "an episode is longer than its row of {horizon} steps"
        );
        Episodes { lengths, horizon }
    }

    /// Number of episodes.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// Entries of a buffer with one number per step, padding included.
    pub fn padded_len(&self) -> usize {
        self.lengths.len() * self.horizon
    }

    /// Real steps of all episodes together.
    pub fn real_steps(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The flat range of each episode's real steps, in order.
    pub fn ranges(self) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
        let horizon = self.horizon;
        self.lengths.iter().enumerate().map(move |(e, &n)| e * horizon..e * horizon + n)
    }
}

/// The value of the state that an episode's last step leads to.
#[derive(Clone, Copy, Debug)]
pub enum AfterLast<'a> {
    /// Zero after termination and at the horizon alike, as the released code does (protocol A.4, advantage).
    Zero,
    /// One value per episode, `[episodes]`: zero where the episode terminated, the value of the final
    /// observation where only the horizon cut it off.
    Values(&'a [f32]),
}

impl AfterLast<'_> {
    fn of(self, episode: usize) -> f64 {
        match self {
            AfterLast::Zero => 0.0,
            AfterLast::Values(values) => f64::from(values[episode]),
        }
    }
}

/// Discounted returns G_t = r_t + γ G_{t+1}, with G after the last step from `after_last`.
///
/// `rewards` and `out` are `[episodes, horizon]`; `discount` is γ (released: 0.99).
pub fn discounted_returns(
    rewards: &[f32],
    episodes: Episodes<'_>,
    discount: f64,
    after_last: AfterLast<'_>,
    out: &mut [f32],
) {
    check_lengths(episodes, &[rewards.len(), out.len()]);
    out.fill(0.0);
    for (e, range) in episodes.ranges().enumerate() {
        let mut next = after_last.of(e);
        for step in range.rev() {
            next = f64::from(rewards[step]) + discount * next;
            out[step] = next as f32;
        }
    }
}

/// Generalised advantages (Schulman et al. 2016, equation 16): A_t = δ_t + γλ A_{t+1} with the temporal
/// difference δ_t = r_t + γ V_{t+1} − V_t, and V after the last step from `after_last`.
///
/// `rewards`, `values` and `out` are `[episodes, horizon]`. λ = 1 gives G_t − V_t (the released setting),
/// λ = 0 gives δ_t.
pub fn generalised_advantages(
    rewards: &[f32],
    values: &[f32],
    episodes: Episodes<'_>,
    discount: f64,
    lambda: f64,
    after_last: AfterLast<'_>,
    out: &mut [f32],
) {
    check_lengths(episodes, &[rewards.len(), values.len(), out.len()]);
    out.fill(0.0);
    for (e, range) in episodes.ranges().enumerate() {
        let mut next_value = after_last.of(e);
        let mut next_advantage = 0.0;
        for step in range.rev() {
            let value = f64::from(values[step]);
            let difference = f64::from(rewards[step]) + discount * next_value - value;
            next_advantage = difference + discount * lambda * next_advantage;
            next_value = value;
            out[step] = next_advantage as f32;
        }
    }
}

/// Keeps the division finite for a batch whose advantages are all equal (protocol A.4: 1e-8).
const STANDARDISE_EPSILON: f64 = 1e-8;

/// Shifts and scales the advantages of one task's batch to mean 0 and standard deviation 1, over real steps
/// only: (A − mean) / (sd + 1e-8) with the population standard deviation (protocol A.4, advantage).
///
/// `advantages` is `[episodes, horizon]`; padding becomes zero. A batch without a real step stays zero. Returns what was
/// divided by.
pub fn standardise(advantages: &mut [f32], episodes: Episodes<'_>) -> f64 {
    check_lengths(episodes, &[advantages.len()]);
    let count = episodes.real_steps().max(1) as f64;
    let real_sum = |term: &dyn Fn(f64) -> f64| -> f64 {
        episodes.ranges().flat_map(|range| &advantages[range]).map(|&a| term(f64::from(a))).sum()
    };
    let mean = real_sum(&|a| a) / count;
    let deviation = (real_sum(&|a| (a - mean) * (a - mean)) / count).sqrt();
    for (e, range) in episodes.ranges().enumerate() {
        let row_end = (e + 1) * episodes.horizon;
        advantages[range.end..row_end].fill(0.0);
        for advantage in &mut advantages[range] {
            *advantage = ((f64::from(*advantage) - mean) / (deviation + STANDARDISE_EPSILON)) as f32;
        }
    }
    deviation + STANDARDISE_EPSILON
}

fn check_lengths(episodes: Episodes<'_>, lens: &[usize]) {
    let expected = episodes.padded_len();
    assert!(lens.iter().all(|&len| len == expected), "buffers of {lens:?} numbers, expected {expected} each");
}
