//! Averaged weights (paper, appendix C.1): regressors of single tasks, one after the other, and their mean.
//!
//! θ of the run is the mean so far. A regressor is a function of its number, the seed and that mean, so a checkpoint after
//! any of them is enough to go on.

use super::birth;
use super::learner::State;
use super::optimizer::GradientOptimizer;
use super::reduce::sum_values;
use crate::error::{Error, Result};
use crate::nn::{Layout, init};
use crate::random::{Purpose, stream};
use crate::spec::{Averaged, Method, Spec};

/// Steps over which the loss is averaged before it is compared with the threshold. Points are new in every step, so the
/// mean is of points that no step before has seen.
const WINDOW: usize = 100;

/// One regressor in training.
pub struct Regressor<'a> {
    averaged: &'a Averaged,
    layout: &'a Layout,
    /// θ of the regressor; its iterations are steps.
    pub state: State,
    optimizer: GradientOptimizer,
    /// Mean of the regressors before, and how many those are.
    mean: Vec<f32>,
    before: u64,
    /// Losses of the steps since the last comparison.
    losses: Vec<f64>,
    /// The last mean loss that was compared.
    loss: f64,
}

impl<'a> Regressor<'a> {
    /// The regressor that follows those in `mean`, at initial parameters of its own.
    pub fn next(
        spec: &Spec,
        averaged: &'a Averaged,
        layout: &'a Layout,
        mean: &State,
    ) -> Result<Regressor<'a>> {
        let mut draws = stream(spec.seed, Purpose::Init, mean.iteration, 0, 0);
        let theta = init::initial(layout, spec.model.init.into(), &mut draws);
        let optimizer = GradientOptimizer::new(&spec.outer.optimizer, theta.len());
        let optimizer = optimizer.ok_or_else(|| {
            Error::Input("outer.optimizer: trpo trains policies; use adam or sgd here".into())
        })?;
        Ok(Regressor {
            averaged,
            layout,
            state: State { theta, iteration: 0, ..mean.clone() },
            optimizer,
            mean: mean.theta.clone(),
            before: mean.iteration,
            losses: Vec::with_capacity(WINDOW),
            loss: f64::INFINITY,
        })
    }

    pub fn trained(&self) -> bool {
        self.loss < self.averaged.loss || self.state.iteration >= self.averaged.max_steps as u64
    }

    /// One step from the losses of the batches of the task, and the sum of their gradients, of which the mean counts.
    pub fn step(&mut self, losses: &[f64], mut gradient: Vec<f32>, average_weight: f32) -> Result<()> {
        let batches = losses.len() as f32;
        gradient.iter_mut().for_each(|g| *g /= batches);
        let theta = &mut self.state.theta;
        self.layout.settle(theta, &mut gradient, average_weight);
        let penalties = gradient.iter_mut().zip(theta.iter()).zip(&self.mean);
        match self.state.method {
            Method::AveragedL2 => {
                let slope = 2.0 * self.averaged.l2 as f32;
                penalties.for_each(|((g, theta), _)| *g += slope * theta);
            }
            Method::AveragedToMean if self.before > 0 => {
                let slope = 2.0 * self.averaged.to_mean as f32;
                penalties.for_each(|((g, theta), mean)| *g += slope * (theta - mean));
            }
            _ => {}
        }
        self.optimizer.step(theta, &gradient)?;
        birth::finite_parameters(&self.state, self.layout)?;
        self.state.iteration += 1;
        self.losses.push(sum_values(losses) / losses.len() as f64);
        if self.losses.len() == WINDOW || self.state.iteration == self.averaged.max_steps as u64 {
            self.loss = sum_values(&self.losses) / self.losses.len() as f64;
            self.losses.clear();
        }
        Ok(())
    }

    /// The mean with this regressor in it, and its loss.
    pub fn mean(self) -> (Vec<f32>, f32) {
        let count = (self.before + 1) as f64;
        let share = |(mean, own): (&f32, &f32)| {
            let (mean, own) = (f64::from(*mean), f64::from(*own));
            if self.before == 0 { own as f32 } else { (mean + (own - mean) / count) as f32 }
        };
        (self.mean.iter().zip(&self.state.theta).map(share).collect(), self.loss as f32)
    }
}
