//! The pure numerics of the run room against hand-computed and independently computed answers.

mod baseline;
mod composed;
mod estimator;
mod optimizer;
mod reduce;
mod returns;
mod rollout;
mod together;
mod trust_region;
mod workers;

/// Numbers that look random and are the same everywhere: f32 in [-1, 1).
pub fn noise(seed: u64, n: usize) -> Vec<f32> {
    use rand::Rng;
    let mut stream = mamlx::random::stream(seed, mamlx::random::Purpose::Init, 0, 0, 0);
    (0..n).map(|_| (stream.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}
