//! What the estimators other than the paper's add to its outer gradient (see [`Estimator`]).
//!
//! Notation: g_t = ∇ log π(a_t|o_t) at the parameters that sampled the step, G_t = g_1 + … + g_t within its episode, w the
//! weight 1/N of each of a batch's N steps, A_t the standardised advantage. All estimators share the inner step
//! θ′ = θ + α Σ w A_t g_t, and differ in what is differentiated:
//!
//! * `maml` (paper, Algorithm 3): dθ′/dθ = I + α Σ w A_t ∇² log π_t. The trajectories are constants.
//! * `dice`: the Hessian is that of DiCE's objective in its advantage form, Σ w A_t (□_t − □_{t−1}). The magic box
//!   □_t = exp(Σ log π − ⊥ Σ log π), over the steps up to t and with ⊥ a constant to the derivative, is 1 and has the
//!   derivatives of the trajectory's probability (Foerster et al. 2018; advantages: Farquhar et al. 2019):
//!   Σ w A_t (∇² log π_t + g_t G_tᵀ + G_{t−1} g_tᵀ). In expectation over trajectories, with unbiased advantages and up to
//!   the usual omission of γᵗ, that is the Hessian of the expected return, so dθ′/dθ is that of a step on the expected
//!   return. A trust region's candidates repeat the inner step with □ as the ratio of probabilities.
//! * `emaml` (Stadie et al. 2018): the paper's Jacobian, and the score of every trajectory that the adaptation
//!   saw, times what the adaptation led to: the derivative of E_{τ~θ}[ R(θ′(τ)) ] also through the distribution of τ.
//!   With R the mean discounted return after adaptation, the term is c · Σ_t g_t over the whole batch (a sum, for θ′
//!   depends on all of it), c = (R − R̄) M / (N σ). R̄ is the mean of R over the other tasks, which keeps it unbiased; M
//!   trajectories of N steps in all and the advantages' deviation σ bring it to the scale of the surrogate, whose gradient is
//!   that of R times M / (N σ). A trust region's candidates are charged −c Σ (log π_new − log π_old).

use super::programs::Programs;
use super::steps::Steps;
use super::task::{TaskWork, add_scaled};
use crate::error::Result;
use crate::run::reduce::sum_values;
use crate::run::rollout::Batch;
use crate::run::workers::Shared;
use crate::spec::Estimator;

/// Longest logarithm of a ratio of probabilities: a candidate beyond it is outside any trust region.
const LONGEST_LOG_RATIO: f64 = 30.0;

/// What a task's last batch was worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Mean discounted return.
    pub value: f64,
    /// M / (N σ): trajectories over steps and the advantages' deviation before they were standardised.
    pub scale: f64,
}

impl Outcome {
    pub fn of(batch: &Batch, deviation: f64, discount: f64) -> Outcome {
        let episodes = batch.episodes();
        let (count, steps) = (episodes.count().max(1) as f64, episodes.real_steps().max(1) as f64);
        let discounted = |range: std::ops::Range<usize>| {
            batch.rewards[range].iter().rev().fold(0.0, |next, &r| f64::from(r) + discount * next)
        };
        let value = episodes.ranges().map(discounted).sum::<f64>() / count;
        Outcome { value, scale: count / (steps * deviation.max(f64::MIN_POSITIVE)) }
    }
}

/// Sets every task's c of the E-MAML term from all their outcomes; a task alone has no others to compare with.
pub fn credit(batch: &mut [TaskWork]) {
    let values: Vec<f64> = batch.iter().map(|work| work.outcome.value).collect();
    let (sum, others) = (sum_values(&values), (batch.len() - 1).max(1) as f64);
    let alone = batch.len() == 1;
    for work in batch {
        let Outcome { value, scale } = work.outcome;
        let baseline = if alone { 0.0 } else { (sum - value) / others };
        work.credit = ((value - baseline) * scale) as f32;
    }
}

/// Coefficients c_t with Σ w A_t (g_t G_tᵀ + G_{t−1} g_tᵀ) v = Σ c_t g_t: c_t = w A_t S_t + Σ_{u>t} w A_u s_u for s = gᵀv
/// and S its sum up to t. `tangents`: s, one a row of the steps.
fn magic_curvature(steps: &Steps, tangents: &[f32]) -> Vec<f32> {
    let mut coefficients = vec![0.0; tangents.len()];
    for range in steps.episodes() {
        let weighted = |t: usize| f64::from(steps.weight[t]) * f64::from(steps.advantage[t]);
        let mut up_to: f64 = tangents[range.clone()].iter().map(|s| f64::from(*s)).sum();
        let mut after = 0.0;
        for t in range.rev() {
            coefficients[t] = (weighted(t) * up_to + after) as f32;
            after += weighted(t) * f64::from(tangents[t]);
            up_to -= f64::from(tangents[t]);
        }
    }
    coefficients
}

/// Coefficients e_t with ∇ Σ w A_t (□_t − □_{t−1}) = Σ e_t g_t at other parameters than those that sampled:
/// e_t = w A_t □_t + Σ_{u>t} w A_u (□_u − □_{u−1}). `now`, `then`: log-densities at the one and the other.
fn magic_gradient(steps: &Steps, now: &[f32], then: &[f32]) -> Vec<f32> {
    let mut coefficients = vec![0.0; now.len()];
    for range in steps.episodes() {
        let mut log_ratio = 0.0;
        let boxes: Vec<f64> = std::iter::once(1.0)
            .chain(range.clone().map(|t| {
                log_ratio += f64::from(now[t]) - f64::from(then[t]);
                log_ratio.clamp(-LONGEST_LOG_RATIO, LONGEST_LOG_RATIO).exp()
            }))
            .collect();
        let mut after = 0.0;
        for (row, t) in range.enumerate().rev() {
            let weighted = f64::from(steps.weight[t]) * f64::from(steps.advantage[t]);
            coefficients[t] = (weighted * boxes[row + 1] + after) as f32;
            after += weighted * (boxes[row + 1] - boxes[row]);
        }
    }
    coefficients
}

impl TaskWork {
    /// Log-densities of a phase's actions under `theta`, and their derivatives along `vector`, one a row of the steps.
    fn scores(
        &self,
        programs: &Programs,
        thread: usize,
        phase: usize,
        theta: &[f32],
        vector: &[f32],
    ) -> Result<[Vec<f32>; 2]> {
        let (steps, program) = (&self.steps[phase], scoring(programs));
        let rows = programs.rows;
        let mut log_densities = vec![0.0; steps.pieces() * rows];
        let mut tangents = log_densities.clone();
        for number in 0..steps.pieces() {
            let piece = steps.piece(number);
            let inputs: [&[f32]; 4] = [theta, piece.observation, piece.action, vector];
            let range = number * rows..(number + 1) * rows;
            let outputs: &mut [&mut [f32]] = &mut [&mut log_densities[range.clone()], &mut tangents[range]];
            program.run(thread, &inputs, outputs)?;
        }
        Ok([log_densities, tangents])
    }

    /// `sum` += `factor` · Σ c_t g_t at `theta`, with one coefficient a row of the phase's steps; where `hold`, of what the
    /// policy adapts alone.
    fn add_scores(
        &self,
        programs: &Programs,
        thread: usize,
        phase: usize,
        theta: &[f32],
        (factor, coefficients, hold): (f32, &[f32], bool),
        sum: &mut [f32],
    ) -> Result<()> {
        let (steps, rows) = (&self.steps[phase], programs.rows);
        let (ones, mut gradient, mut loss) = (vec![1.0; rows], vec![0.0; sum.len()], [0.0]);
        for number in 0..steps.pieces() {
            let piece = steps.piece(number);
            let advantage = &coefficients[number * rows..(number + 1) * rows];
            let inputs: [&[f32]; 5] = [theta, piece.observation, piece.action, advantage, &ones];
            programs.policy_gradient.run(thread, &inputs, &mut [&mut gradient, &mut loss])?;
            if hold {
                programs.layout.hold(&mut gradient);
            }
            add_scaled(sum, -factor, &gradient);
        }
        Ok(())
    }

    /// What DiCE adds to `through_step`, for the same `vector` (where `transposed`, with what is adapted alone left in it):
    /// out += rate M Σ w A_t (g_t G_tᵀ + G_{t−1} g_tᵀ) v.
    pub(super) fn through_sampling(
        &mut self,
        programs: &Programs,
        thread: usize,
        phase: usize,
        (vector, transposed): (&[f32], bool),
        rate: f32,
    ) -> Result<()> {
        let theta = &self.thetas[phase];
        let [_, tangents] = self.scores(programs, thread, phase, theta, vector)?;
        let coefficients = magic_curvature(&self.steps[phase], &tangents);
        let mut out = std::mem::take(&mut self.out);
        let added =
            self.add_scores(programs, thread, phase, theta, (rate, &coefficients, !transposed), &mut out);
        self.out = out;
        added
    }

    /// E-MAML's term of a phase, into the gradient of the outer loss: out −= c Σ g_t.
    pub(super) fn add_credit(&mut self, programs: &Programs, thread: usize, phase: usize) -> Result<()> {
        let steps = &self.steps[phase];
        let mut coefficients = vec![0.0; steps.pieces() * programs.rows];
        steps.episodes().for_each(|range| coefficients[range].fill(self.credit));
        let mut out = std::mem::take(&mut self.out);
        let theta = &self.thetas[phase];
        let added = self.add_scores(programs, thread, phase, theta, (-1.0, &coefficients, false), &mut out);
        self.out = out;
        added
    }

    /// The parameters after inner step `phase` if those before it were `theta`, on trajectories that `thetas[phase]`
    /// sampled, and what E-MAML's candidates are charged for `theta` (otherwise 0).
    pub(super) fn adapt_candidate(
        &mut self,
        programs: &Programs,
        thread: usize,
        phase: usize,
        theta: &[f32],
        rate: f32,
    ) -> Result<(Vec<f32>, f64)> {
        if self.estimator == Estimator::Maml {
            return Ok((self.adapt(programs, thread, phase, theta, rate)?, 0.0));
        }
        let still = vec![0.0; theta.len()];
        let [then, _] = self.scores(programs, thread, phase, &self.thetas[phase], &still)?;
        let [now, _] = self.scores(programs, thread, phase, theta, &still)?;
        if self.estimator == Estimator::Emaml {
            let gain = |t: usize| f64::from(now[t]) - f64::from(then[t]);
            let gain: f64 = self.steps[phase].episodes().flatten().map(gain).sum();
            return Ok((self.adapt(programs, thread, phase, theta, rate)?, -f64::from(self.credit) * gain));
        }
        let coefficients = magic_gradient(&self.steps[phase], &now, &then);
        let mut adapted = theta.to_vec();
        self.add_scores(programs, thread, phase, theta, (rate, &coefficients, true), &mut adapted)?;
        Ok((adapted, 0.0))
    }
}

fn scoring(programs: &Programs) -> &Shared {
    programs.score.as_ref().expect("lowered for every estimator but the paper's")
}
