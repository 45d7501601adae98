//! A matrix product that is not ours, to hold ours against.

/// `c = a b` for row-major squares of `n` rows, by the `gemm` crate on this thread alone.
///
/// # Panics
/// When a slice has not n² numbers.
pub fn product(n: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    for size in [a.len(), b.len(), c.len()] {
        assert_eq!(size, n * n, "a square of {n} rows");
    }
    let row = n as isize;
    // SAFETY: all three are row-major with `n` rows of `n` numbers, as just checked, and `c` is written, not read.
    unsafe {
        gemm::gemm(
            n,
            n,
            n,
            c.as_mut_ptr(),
            1,
            row,
            false,
            a.as_ptr(),
            1,
            row,
            b.as_ptr(),
            1,
            row,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
