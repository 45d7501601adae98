//! Where a number of a policy's update that is not finite was born: see [`crate::run::birth`].

use super::programs::Programs;
use super::task::TaskWork;
use crate::run::birth::{replay, update};

/// What is looked at again.
#[derive(Clone, Copy)]
pub struct Suspect<'a> {
    /// The initial parameters.
    pub start: &'a [f32],
    pub rate: f32,
    /// Whether the outer gradient goes through the inner steps.
    pub through: bool,
    pub what: What<'a>,
}

/// What of an update is not finite.
#[derive(Clone, Copy, PartialEq)]
pub enum What<'a> {
    /// The adapted parameters; there are no trajectories behind them.
    Adapted,
    /// The outer loss, the divergence or their gradient.
    Outer,
    /// The product of the curvature with this vector.
    Product(&'a [f32]),
}

impl What<'_> {
    pub fn name(self) -> &'static str {
        match self {
            What::Adapted => "an adapted parameter",
            What::Outer => "the outer loss or its gradient",
            What::Product(_) => "a product with the curvature of the KL divergence",
        }
    }
}

impl TaskWork {
    /// Adapts and differentiates on the task's own trajectories. `Ok` where all is finite.
    pub fn birth(&self, programs: &Programs, suspect: Suspect) -> Result<(), String> {
        let (policy, rows) = (&programs.policy, programs.rows);
        let phases = self.thetas.len() - 1;
        let mut thetas = vec![suspect.start.to_vec()];
        let inner = policy.policy_gradient(&[], rows);
        for phase in 0..phases {
            let theta = &thetas[phase];
            let stage = format!("inner step {}", phase + 1);
            let mut gradient = self.pieces(phase, theta.len(), |number| {
                let piece = self.steps[phase].piece(number);
                replay(&stage, &inner, &piece.inputs(theta)).map(|mut outputs| outputs.swap_remove(0))
            })?;
            programs.layout.hold(&mut gradient);
            thetas.push(update(&stage, &programs.layout, theta, suspect.rate, &gradient)?);
        }
        let (theta, size) = (&thetas[phases], suspect.start.len());
        let vector = match suspect.what {
            What::Adapted => return Ok(()),
            What::Outer => {
                let outer = policy.surrogate(&[], rows, true);
                let mut adjoint = self.pieces(phases, size, |number| {
                    let piece = self.steps[phases].piece(number).inputs(theta);
                    let inputs = [&piece[..], &self.old.piece(number)].concat();
                    replay("the outer loss", &outer, &inputs).map(|mut outputs| outputs.swap_remove(2))
                })?;
                return match suspect.through {
                    true => self.back(programs, &thetas, suspect.rate, &mut adjoint),
                    false => Ok(()),
                };
            }
            What::Product(vector) => vector,
        };
        let mut tangent = vector.to_vec();
        if suspect.through {
            for phase in 0..phases {
                self.step(programs, (&thetas, phase), suspect.rate, false, &mut tangent)?;
            }
        }
        let fisher = policy.fisher(&[], rows);
        let mut product = self.pieces(phases, size, |number| {
            let piece = self.steps[phases].piece(number);
            let inputs: [&[f32]; 4] = [theta, piece.observation, piece.weight, &tangent];
            replay("the Fisher product", &fisher, &inputs).map(|mut outputs| outputs.swap_remove(0))
        })?;
        if suspect.through {
            self.back(programs, &thetas, suspect.rate, &mut product)?;
        }
        Ok(())
    }

    /// The sum of a result of every piece of a phase.
    fn pieces(
        &self,
        phase: usize,
        size: usize,
        of: impl Fn(usize) -> Result<Vec<f32>, String>,
    ) -> Result<Vec<f32>, String> {
        let mut sum = vec![0.0; size];
        for number in 0..self.steps[phase].pieces() {
            sum.iter_mut().zip(of(number)?).for_each(|(sum, x)| *sum += x);
        }
        Ok(sum)
    }

    /// `vector` through all inner steps, the last first.
    fn back(
        &self,
        programs: &Programs,
        thetas: &[Vec<f32>],
        rate: f32,
        vector: &mut Vec<f32>,
    ) -> Result<(), String> {
        (0..thetas.len() - 1)
            .rev()
            .try_for_each(|phase| self.step(programs, (thetas, phase), rate, true, vector))
    }

    /// `vector` less rate ∇²L times it, which is the product with an inner step's Jacobian, or with its transpose. What the
    /// policy does not adapt is held as in the update itself.
    fn step(
        &self,
        programs: &Programs,
        (thetas, phase): (&[Vec<f32>], usize),
        rate: f32,
        transposed: bool,
        vector: &mut Vec<f32>,
    ) -> Result<(), String> {
        let of = if transposed { "adjoint" } else { "tangent" };
        let stage = format!("the {of} of inner step {}", phase + 1);
        let mut held = vector.clone();
        if transposed {
            programs.layout.hold(&mut held);
        }
        let plan = programs.policy.policy_curvature(&[], programs.rows);
        let mut product = self.pieces(phase, held.len(), |number| {
            let piece = self.steps[phase].piece(number).inputs(&thetas[phase]);
            let inputs = [&piece[..], &[&held[..]]].concat();
            replay(&stage, &plan, &inputs).map(|mut outputs| outputs.swap_remove(0))
        })?;
        if !transposed {
            programs.layout.hold(&mut product);
        }
        *vector = update(&stage, &programs.layout, vector, rate, &product)?;
        Ok(())
    }
}
