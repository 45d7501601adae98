//! Randomness: always a function of the seed that the host hands to the call.

use rand::{Rng as _, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// The generator of a plugin call.
pub type Rng = rand_chacha::ChaCha8Rng;

/// The generator of one seed: ChaCha8 whose 256-bit key is the seed, little-endian, then zeros.
///
/// The key is spelled out here, so that a new release of the generator's crate cannot change what a seed means.
pub fn rng(seed: u64) -> Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    Rng::from_seed(key)
}

/// A number in [low, high): 24 random bits, so every value of the unit interval's grid of 2⁻²⁴ is exact.
pub fn uniform(rng: &mut Rng, low: f32, high: f32) -> f32 {
    let unit = (rng.next_u32() >> 8) as f64 / (1u32 << 24) as f64;
    // Computed in f64 and kept below `high`, which rounding to f32 could otherwise reach.
    let value = (low as f64 + unit * (high as f64 - low as f64)) as f32;
    if value < high { value } else { high.next_down().max(low) }
}

/// A number from the normal distribution with mean 0 and standard deviation 1.
pub fn normal(rng: &mut Rng) -> f32 {
    StandardNormal.sample(rng)
}
