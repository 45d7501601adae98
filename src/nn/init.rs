//! Initial parameters, drawn from a counter-based stream in the order of the layout.

use super::layout::{Layout, Start};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

/// How weight tensors are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Draw {
    /// Normal with this standard deviation, redrawn beyond two deviations (TensorFlow's truncated normal, which
    /// the released sinusoid code uses with 0.01).
    TruncatedNormal(f64),
    /// Uniform in ±√(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16).
    Xavier,
    /// Normal with this standard deviation (the released code's last layer on Omniglot, with 1; protocol A.2).
    Normal(f64),
}

/// The flat parameter vector at the start of training. `draw` is for the weights whose layer names none itself.
pub fn initial(layout: &Layout, draw: Draw, stream: &mut impl Rng) -> Vec<f32> {
    let mut theta = Vec::with_capacity(layout.size());
    for entry in &layout.entries {
        let count: usize = entry.shape.iter().product();
        match entry.start {
            Start::Constant(value) => theta.extend(std::iter::repeat_n(value as f32, count)),
            Start::Weight { fan_in, fan_out, draw: own } => {
                let draw = own.unwrap_or(draw);
                theta.extend((0..count).map(|_| weight(draw, fan_in, fan_out, stream) as f32));
            }
        }
    }
    theta
}

fn weight(draw: Draw, fan_in: usize, fan_out: usize, stream: &mut impl Rng) -> f64 {
    match draw {
        Draw::TruncatedNormal(std) => loop {
            let x: f64 = StandardNormal.sample(stream);
            if x.abs() <= 2.0 {
                return x * std;
            }
        },
        Draw::Xavier => {
            let limit = (6.0 / (fan_in + fan_out) as f64).sqrt();
            stream.random_range(-limit..=limit)
        }
        Draw::Normal(std) => {
            let x: f64 = StandardNormal.sample(stream);
            x * std
        }
    }
}
