//! Trust-region policy optimisation (Schulman et al. 2015, appendix C) over one flat parameter vector.
//!
//! The curvature is only ever seen through products with a vector, here exact Hessian-vector products of the
//! KL divergence. Vectors cross the door as f32; directions, residuals and dot products are kept in f64, which
//! costs nothing beside one product and keeps conjugate gradient from stalling on rounding.

use crate::error::{Error, Result};
use crate::spec::schema::{Optimizer, Products};

/// Conjugate gradient stops early once |r|² is below this share of |b|². The released code uses the same
/// number as an absolute bound, which would depend on the scale of the loss.
const RESIDUAL_TOLERANCE: f64 = 1e-10;

/// The settings of one update; see [`Optimizer::Trpo`] for sources and defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrustRegion {
    pub kl: f64,
    pub cg_iterations: usize,
    pub cg_damping: f64,
    pub backtrack_ratio: f64,
    pub max_backtracks: usize,
    /// How the products are made that the update is given.
    pub products: Products,
}

/// What [`conjugate_gradient`] found.
#[derive(Clone, Debug)]
pub struct Solution {
    /// Approximate solution of (H + damping·I) x = b, `[parameters]`.
    pub x: Vec<f64>,
    /// xᵀ (H + damping·I) x, for which no further product was needed; what is not finite where a product was not.
    pub curvature: f64,
    /// |b − (H + damping·I) x| / |b|; 0 when b is zero.
    pub residual: f64,
    /// Products that were used.
    pub iterations: usize,
}

/// What one update did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Whether the parameters were moved.
    pub accepted: bool,
    /// KL divergence between the policy before and after; 0 when rejected.
    pub kl: f64,
    pub loss_before: f64,
    /// Equal to `loss_before` when rejected.
    pub loss_after: f64,
    /// Candidates that were turned down: 0 when the full step was accepted, `max_backtracks` when none was.
    pub backtracks: usize,
    /// Relative residual that conjugate gradient left.
    pub cg_residual: f64,
    pub cg_iterations: usize,
}

impl TrustRegion {
    /// The settings of the spec's optimiser, or none when it is a first-order one.
    pub fn from_spec(optimizer: &Optimizer) -> Option<Self> {
        match *optimizer {
            Optimizer::Trpo { kl, cg_iterations, cg_damping, backtrack_ratio, max_backtracks, products } => {
                Some(TrustRegion { kl, cg_iterations, cg_damping, backtrack_ratio, max_backtracks, products })
            }
            Optimizer::Adam { .. } | Optimizer::Sgd { .. } => None,
        }
    }

    /// One update of `parameters` `[parameters]` (protocol A.4, KL constraint, CG and line search).
    ///
    /// With g the `gradient` of the loss at `parameters` and H the Hessian of the mean KL divergence there, the
    /// direction d solves (H + damping·I) d = g, and β = √(2·kl / dᵀ(H + damping·I)d) is the length at which the
    /// quadratic model of the divergence reaches the limit. Candidates are θ − ratioᵏ β d for k = 0, 1, …; the
    /// first whose loss is below `loss_before` and whose divergence is within the limit is taken. When none of
    /// `max_backtracks` candidates is, or the gradient is zero, the parameters stay as they are.
    ///
    /// `product(v)` returns H v without the damping. `evaluate(θ)` returns (loss, KL divergence from the
    /// policy at `parameters`). `loss_before` is the loss that `evaluate` would return at `parameters`.
    ///
    /// Fails, with the parameters unchanged, on NaN anywhere, on an infinite gradient, product or
    /// `loss_before`, and on whatever the two closures fail with. An infinite loss or divergence of a candidate is
    /// only a reason to turn that candidate down: a long step may overflow an importance ratio. So is a product by
    /// differences that is not finite a reason to turn the whole step down, as in the released code: the policies that
    /// it differs between lie up to |v| / |θ| away.
    pub fn step(
        &self,
        parameters: &mut [f32],
        gradient: &[f32],
        loss_before: f64,
        product: impl FnMut(&[f32]) -> Result<Vec<f32>>,
        mut evaluate: impl FnMut(&[f32]) -> Result<(f64, f64)>,
    ) -> Result<Step> {
        assert_eq!(parameters.len(), gradient.len());
        if !loss_before.is_finite() {
            return Err(diverged("the outer loss", loss_before));
        }
        let direction = conjugate_gradient(product, gradient, self.cg_iterations, self.cg_damping)?;
        let mut step = Step {
            accepted: false,
            kl: 0.0,
            loss_before,
            loss_after: loss_before,
            backtracks: 0,
            cg_residual: direction.residual,
            cg_iterations: direction.iterations,
        };
        let wild = !direction.curvature.is_finite();
        if wild && self.products == Products::Exact {
            return Err(diverged("a product with the curvature of the KL divergence", direction.curvature));
        }
        // Zero for a zero gradient, and for a curvature that is nowhere positive: neither has a direction.
        if wild || direction.curvature <= 0.0 {
            step.backtracks = self.max_backtracks;
            return Ok(step);
        }
        let mut length = (2.0 * self.kl / direction.curvature).sqrt();
        let mut candidate = parameters.to_vec();
        for backtracks in 0..self.max_backtracks {
            for ((c, &p), d) in candidate.iter_mut().zip(&*parameters).zip(&direction.x) {
                *c = (f64::from(p) - length * d) as f32;
            }
            let (loss, kl) = evaluate(&candidate)?;
            if loss.is_nan() || kl.is_nan() {
                let what = if loss.is_nan() { "the outer loss" } else { "the KL divergence" };
                return Err(diverged(what, f64::NAN));
            }
            if loss < loss_before && kl <= self.kl {
                parameters.copy_from_slice(&candidate);
                return Ok(Step { accepted: true, kl, loss_after: loss, backtracks, ..step });
            }
            length *= self.backtrack_ratio;
        }
        step.backtracks = self.max_backtracks;
        Ok(step)
    }
}

/// Solves (H + `damping`·I) x = b by conjugate gradient from x = 0 (Hestenes and Stiefel 1952), with H seen only
/// through `product`.
///
/// Stops after `iterations` products, when the residual is below 1e-5 of |b|, or before a direction along which
/// the damped matrix is not positive (rounding can do that to a flat direction), and at a product that is not finite.
/// Fails when b is not finite.
pub fn conjugate_gradient(
    mut product: impl FnMut(&[f32]) -> Result<Vec<f32>>,
    b: &[f32],
    iterations: usize,
    damping: f64,
) -> Result<Solution> {
    let b: Vec<f64> = b.iter().map(|&v| f64::from(v)).collect();
    let norm_b = dot(&b, &b);
    if !norm_b.is_finite() {
        return Err(diverged("the norm of the outer gradient", norm_b.sqrt()));
    }
    let mut x = vec![0.0; b.len()];
    let mut residual = b.clone();
    let mut search = b.clone();
    let mut search_f32 = vec![0.0; b.len()];
    let mut norm = norm_b;
    let mut used = 0;
    while used < iterations && norm > RESIDUAL_TOLERANCE * norm_b {
        // The product of the rounded vector is that of the vector itself to within the product's own rounding.
        for (rounded, s) in search_f32.iter_mut().zip(&search) {
            *rounded = *s as f32;
        }
        let image = product(&search_f32)?;
        assert_eq!(image.len(), b.len(), "a Hessian-vector product has the length of its vector");
        let image: Vec<f64> = image.iter().zip(&search).map(|(&h, s)| f64::from(h) + damping * s).collect();
        used += 1;
        let curvature = dot(&search, &image);
        if !curvature.is_finite() {
            return Ok(Solution { x, curvature, residual: (norm / norm_b).sqrt(), iterations: used });
        }
        if curvature <= 0.0 {
            break;
        }
        let length = norm / curvature;
        for i in 0..b.len() {
            x[i] += length * search[i];
            residual[i] -= length * image[i];
        }
        let next = dot(&residual, &residual);
        for (s, r) in search.iter_mut().zip(&residual) {
            *s = r + next / norm * *s;
        }
        norm = next;
    }
    // (H + damping·I) x = b − r holds along the whole recurrence, which saves one more product.
    let curvature = dot(&x, &b) - dot(&x, &residual);
    let residual = if norm_b > 0.0 { (norm / norm_b).sqrt() } else { 0.0 };
    Ok(Solution { x, curvature, residual, iterations: used })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn diverged(what: &str, value: f64) -> Error {
    Error::Run(format!(
        "{what} is {value} in a trust-region update: training has diverged; lower inner.rate or \
         outer.optimizer.kl, or raise outer.optimizer.cg_damping"
    ))
}
