//! Repeated timing of a step, and the memory of this process.

use super::Work;
use crate::error::Result;
use std::time::{Duration, Instant};

/// A repetition is as many steps as take this long.
const REPETITION: Duration = Duration::from_millis(150);
/// Steps before the first repetition, which find caches cold and memory untouched.
const WARM_UP: usize = 2;

/// Milliseconds a step, over the repetitions.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub repetitions: usize,
    pub steps_per_repetition: usize,
}

/// Times `repetitions` runs of steps that follow one another.
pub fn time(work: &mut dyn Work, repetitions: usize) -> Result<Timing> {
    for _ in 0..WARM_UP {
        work.step()?;
    }
    let began = Instant::now();
    work.step()?;
    let one = began.elapsed().max(Duration::from_nanos(1));
    let steps = (REPETITION.as_secs_f64() / one.as_secs_f64()).max(1.0) as usize;
    let mut times = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let began = Instant::now();
        for _ in 0..steps {
            work.step()?;
        }
        times.push(began.elapsed().as_secs_f64() * 1e3 / steps as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok(Timing {
        median: median(&times),
        min: times[0],
        max: times[times.len() - 1],
        repetitions,
        steps_per_repetition: steps,
    })
}

/// The median of sorted numbers.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// The most memory that this process ever held, in bytes; `None` where the system does not say.
pub fn peak_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
