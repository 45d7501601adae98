//! Counter-based random streams: every draw is a function of (seed, purpose, iteration, task, episode, index).
//!
//! The tuple itself is the 256-bit key of a ChaCha8 generator and the index is the position in its stream,
//! so there is no generator state that a resume could lose and no order of threads that could change a draw.

use rand::{Rng, SeedableRng};
pub use rand_chacha::ChaCha8Rng as Stream;

/// What a draw is for. The numbers are part of every result: never reuse or renumber them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial parameters: (regressor, of the averaged methods). Index: parameter.
    Init = 1,
    /// Training task: (iteration, task).
    TrainTask = 2,
    /// Points of a training task: (iteration, task, episode = 0 support, 1 query); of a data set: (iteration, task, class);
    /// of a regressor, which is trained on task (regressor, 0): (regressor, step, batch).
    TrainPoints = 3,
    /// Test task: (0, task).
    EvalTask = 4,
    /// Points of a test task: (support size, task, episode = 0 support, 1 query); of a data set: (0, task, class).
    EvalPoints = 5,
    /// Environment resets of training: (iteration, task, episode).
    TrainReset = 6,
    /// Action noise of training: (iteration, task, episode).
    TrainAction = 7,
    /// Environment resets of evaluation: (support size, task, episode).
    EvalReset = 8,
    /// Action noise of evaluation: (support size, task, episode).
    EvalAction = 9,
    /// Synthetic points and directions of the gradient certificate: (what, number).
    Certificate = 10,
    /// Resampling of the bootstrap.
    Bootstrap = 11,
    /// Points of a classifier of all training classes: (iteration, batch).
    TrainBatch = 12,
    /// The new last layer of a fine-tuned classifier: (0, task).
    Head = 13,
    /// Validation task: (0, task).
    ValTask = 14,
    /// Points of a validation task, as those of a test task.
    ValPoints = 15,
    /// Environment resets of validation, as those of evaluation.
    ValReset = 16,
    /// Action noise of validation, as that of evaluation.
    ValAction = 17,
}

/// The stream of one purpose at one place.
pub fn stream(seed: u64, purpose: Purpose, iteration: u64, task: u32, episode: u32) -> Stream {
    let mut key = [0u8; 32];
    key[0..8].copy_from_slice(&seed.to_le_bytes());
    key[8..12].copy_from_slice(&(purpose as u32).to_le_bytes());
    key[12..20].copy_from_slice(&iteration.to_le_bytes());
    key[20..24].copy_from_slice(&task.to_le_bytes());
    key[24..28].copy_from_slice(&episode.to_le_bytes());
    Stream::from_seed(key)
}

/// The first 64 bits of a stream: the explicit seed that a plugin call receives.
pub fn seed_at(seed: u64, purpose: Purpose, iteration: u64, task: u32, episode: u32) -> u64 {
    stream(seed, purpose, iteration, task, episode).next_u64()
}
