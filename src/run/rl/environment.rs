//! The plugin's environments as the rollout takes them.

use crate::error::Result;
use crate::plugin::EnvInstance;
use crate::run::film::Film;
use crate::run::rollout::VectorEnv;

/// A plugin instance with its action bounds at hand.
pub struct Environments {
    pub instance: EnvInstance,
    /// Set while somebody watches.
    pub film: Option<Film>,
    low: Vec<f32>,
    high: Vec<f32>,
}

impl Environments {
    pub fn new(instance: EnvInstance) -> Environments {
        let bound = |of: fn(&crate::plugin::Field) -> f32| instance.spaces().action.iter().map(of).collect();
        Environments { low: bound(|field| field.low), high: bound(|field| field.high), film: None, instance }
    }

    pub fn task_names(&self) -> Vec<String> {
        self.instance.spaces().task.iter().map(|field| field.name.clone()).collect()
    }
}

impl VectorEnv for Environments {
    fn observation_dim(&self) -> usize {
        self.instance.spaces().observation.len()
    }
    fn action_dim(&self) -> usize {
        self.low.len()
    }
    fn task_dim(&self) -> usize {
        self.instance.spaces().task.len()
    }
    fn action_low(&self) -> &[f32] {
        &self.low
    }
    fn action_high(&self) -> &[f32] {
        &self.high
    }
    fn capacity(&self) -> usize {
        self.instance.n_slots() as usize
    }

    fn reset(&mut self, slots: &[u32], seeds: &[u64], tasks: &[f32], observations: &mut [f32]) -> Result<()> {
        self.instance.reset(slots, seeds, tasks, observations)?;
        match &mut self.film {
            Some(film) => film.begin(&mut self.instance, slots),
            None => Ok(()),
        }
    }

    fn step(
        &mut self,
        slots: &[u32],
        actions: &[f32],
        observations: &mut [f32],
        rewards: &mut [f32],
        terminated: &mut [u8],
    ) -> Result<()> {
        self.instance.step(slots, actions, observations, rewards, terminated)?;
        match &mut self.film {
            Some(film) => film.step(&mut self.instance, slots, rewards),
            None => Ok(()),
        }
    }
}
