//! First-order outer optimisers: Adam and plain gradient descent, with a state that survives a checkpoint exactly.

use crate::error::{Error, Result};
use crate::spec::schema::Optimizer;

/// Marks the bytes of an optimiser state, and the version of their layout.
const MAGIC: &[u8; 8] = b"mamlxop1";

/// Adam or gradient descent over one flat parameter vector.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientOptimizer {
    settings: Optimizer,
    /// Steps taken so far.
    steps: u64,
    /// Adam: running mean of the gradient, `[parameters]`; empty for gradient descent.
    first: Vec<f32>,
    /// Adam: running mean of the squared gradient, `[parameters]`; empty for gradient descent.
    second: Vec<f32>,
}

impl GradientOptimizer {
    /// A fresh state for `parameters` numbers, or none when `settings` asks for the trust-region method,
    /// which keeps no state (see [`crate::run::trust_region`]).
    pub fn new(settings: &Optimizer, parameters: usize) -> Option<Self> {
        let moments = match settings {
            Optimizer::Adam { .. } => parameters,
            Optimizer::Sgd { .. } => 0,
            Optimizer::Trpo { .. } => return None,
        };
        Some(GradientOptimizer {
            settings: *settings,
            steps: 0,
            first: vec![0.0; moments],
            second: vec![0.0; moments],
        })
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves `parameters` against `gradient` (both `[parameters]`), after clipping each element if so set.
    ///
    /// Adam, in the order of operations that Kingma and Ba 2015 give at the end of their section 2 and that
    /// TensorFlow (and so the released code) uses:
    /// m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;
    /// θ ← θ − α √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε).
    /// It differs from their Algorithm 1 only in that ε is not divided by √(1 − β₂ᵗ).
    /// Gradient descent: θ ← θ − α g.
    ///
    /// Fails, with parameters and state unchanged, when the gradient has a NaN, or an infinity that no clip
    /// bounds.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32]) -> Result<()> {
        assert_eq!(parameters.len(), gradient.len());
        let clip = match self.settings {
            Optimizer::Adam { clip, .. } | Optimizer::Sgd { clip, .. } => clip.map(|c| c as f32),
            Optimizer::Trpo { .. } => None,
        };
        let clipped = |g: f32| clip.map_or(g, |c| g.clamp(-c, c));
        if let Some(at) = gradient.iter().position(|&g| !clipped(g).is_finite()) {
            return Err(Error::Run(format!(
                "the outer gradient is {} at parameter {at} in outer step {}: training has diverged; \
                 lower outer.optimizer.rate or inner.rate, or set outer.optimizer.clip",
                gradient[at],
                self.steps + 1
            )));
        }
        self.steps += 1;
        match self.settings {
            Optimizer::Adam { rate, beta1, beta2, epsilon, .. } => {
                assert_eq!(parameters.len(), self.first.len());
                let t = self.steps as f64;
                let rate = (rate * (1.0 - beta2.powf(t)).sqrt() / (1.0 - beta1.powf(t))) as f32;
                let (keep1, take1) = (beta1 as f32, (1.0 - beta1) as f32);
                let (keep2, take2) = (beta2 as f32, (1.0 - beta2) as f32);
                let epsilon = epsilon as f32;
                let moments = self.first.iter_mut().zip(&mut self.second);
                for ((p, &g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
                    let g = clipped(g);
                    *m = keep1 * *m + take1 * g;
                    *v = keep2 * *v + take2 * (g * g);
                    *p -= rate * *m / (v.sqrt() + epsilon);
                }
            }
            Optimizer::Sgd { rate, .. } => {
                let rate = rate as f32;
                for (p, &g) in parameters.iter_mut().zip(gradient) {
                    *p -= rate * clipped(g);
                }
            }
            Optimizer::Trpo { .. } => {}
        }
        Ok(())
    }

    /// The state as little-endian bytes: magic, steps (u64), length of the moments (u64), both moments (f32).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 + 8 * self.first.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.steps.to_le_bytes());
        bytes.extend_from_slice(&(self.first.len() as u64).to_le_bytes());
        for moment in self.first.iter().chain(&self.second) {
            bytes.extend_from_slice(&moment.to_le_bytes());
        }
        bytes
    }

    /// Takes up the state that [`Self::to_bytes`] wrote under the same settings and number of parameters.
    ///
    /// Fails, with the state unchanged, when the bytes are anything else.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let expected = 24 + 8 * self.first.len();
        let mismatch = |what: String| {
            Err(Error::Input(format!(
                "the saved state of the outer optimiser {what}: the checkpoint is damaged or belongs to another \
                 specification; start in a fresh folder with --out"
            )))
        };
        if !bytes.starts_with(MAGIC) {
            return mismatch("does not begin as one".to_string());
        }
        if bytes.len() != expected {
            return mismatch(format!("has {} bytes, expected {expected}", bytes.len()));
        }
        let words = bytes[8..24].as_chunks::<8>().0;
        let length = u64::from_le_bytes(words[1]);
        if length != self.first.len() as u64 {
            return mismatch(format!("is for {length} parameters, expected {}", self.first.len()));
        }
        self.steps = u64::from_le_bytes(words[0]);
        let saved = bytes[24..].as_chunks::<4>().0;
        for (moment, word) in self.first.iter_mut().chain(&mut self.second).zip(saved) {
            *moment = f32::from_le_bytes(*word);
        }
        Ok(())
    }
}
