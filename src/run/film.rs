//! Watching episodes: what the plugin would draw after every step.

use crate::error::Result;
use crate::plugin::{EnvInstance, Role, Shape};

/// One recorded batch of episodes.
#[derive(Clone, Debug, Default)]
pub struct Film {
    /// Slot whose every frame is kept; of the others only the trail is.
    episode: u32,
    /// Episodes that trails are kept of.
    trails_of: u32,
    /// Resets so far: the first one begins the film, another one would begin other episodes and ends it.
    resets: usize,
    /// The start, and the state after every step.
    pub frames: Vec<Vec<Shape>>,
    /// Middle of the first body after every step, by episode.
    pub trails: Vec<Vec<[f32; 2]>>,
    /// Undiscounted return of the watched episode.
    pub episode_return: f64,
}

impl Film {
    /// Watches one of the first episodes of a batch, and traces the first `trails_of`.
    pub fn of(episode: u32, trails_of: u32) -> Film {
        Film { episode, trails_of, trails: vec![vec![]; trails_of as usize], ..Film::default() }
    }

    /// Notes what slots look like after a reset.
    pub fn begin(&mut self, instance: &mut EnvInstance, slots: &[u32]) -> Result<()> {
        self.resets += 1;
        self.look(instance, slots)
    }

    /// Notes what slots look like after a step, and what it earned them.
    pub fn step(&mut self, instance: &mut EnvInstance, slots: &[u32], rewards: &[f32]) -> Result<()> {
        if self.resets == 1 {
            let watched = slots.iter().zip(rewards).filter(|(slot, _)| **slot == self.episode);
            self.episode_return += watched.map(|(_, reward)| f64::from(*reward)).sum::<f64>();
        }
        self.look(instance, slots)
    }

    fn look(&mut self, instance: &mut EnvInstance, slots: &[u32]) -> Result<()> {
        if self.resets > 1 {
            return Ok(());
        }
        for &slot in slots.iter().filter(|&&slot| slot < self.trails_of || slot == self.episode) {
            let shapes = instance.shapes(slot)?;
            let body = shapes.iter().find(|shape| shape.role == Role::Body);
            if let (Some(body), Some(trail)) = (body, self.trails.get_mut(slot as usize)) {
                trail.push([0, 1].map(|k| (body.from[k] + body.to[k]) / 2.0));
            }
            if slot == self.episode {
                self.frames.push(shapes);
            }
        }
        Ok(())
    }
}
