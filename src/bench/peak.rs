//! What the machine's matrix product reaches: the yardstick of every workload's rate.

use crate::error::Result;
use crate::lower::cpu::yardstick::product;
use crate::run::workers::Workers;
use std::time::Instant;

/// Rows and columns of the product.
const SIZE: usize = 1024;

/// GFLOP/s of a 1024³ single-precision product on every one of `threads` threads at once, the best of `tries`: the
/// `gemm` crate's kernels, which are not ours.
///
/// Errors: when the threads cannot be started.
pub fn sgemm(threads: usize, tries: usize) -> Result<f64> {
    struct Product {
        a: Vec<f32>,
        b: Vec<f32>,
        c: Vec<f32>,
    }
    let squares = || Product {
        a: (0..SIZE * SIZE).map(|i| (i % 7) as f32 - 3.0).collect(),
        b: (0..SIZE * SIZE).map(|i| (i % 5) as f32 - 2.0).collect(),
        c: vec![0.0; SIZE * SIZE],
    };
    let workers = Workers::new(vec![(); threads])?;
    let mut items: Vec<Product> = (0..threads).map(|_| squares()).collect();
    let mut best = 0.0f64;
    for _ in 0..tries {
        let began = Instant::now();
        workers.each(&mut items, |_, _, _, Product { a, b, c }| {
            product(SIZE, a, b, c);
            Ok(())
        })?;
        let flops = 2.0 * (SIZE as f64).powi(3) * threads as f64;
        best = best.max(flops / began.elapsed().as_secs_f64() / 1e9);
    }
    Ok(best)
}
