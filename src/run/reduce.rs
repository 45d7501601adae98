//! Sums over tasks along one fixed tree.
//!
//! Floating-point addition is not associative, so a sum that follows the threads changes with them. Here the
//! shape of the tree depends on the number of rows alone: rows are paired with their neighbour, pairs with the
//! neighbouring pair, and so on; what has no neighbour moves up unchanged. It follows that an aligned run of
//! 2^k rows may be summed anywhere (another thread, another process) and passed on as one row.

use std::ops::Add;

/// Columns that go through the tree together: large enough to vectorise, small enough to stay in the L1 cache.
const COLUMNS: usize = 256;

/// Sums `rows` `[rows][columns]` into `out` `[columns]`; zeros when there is no row.
///
/// Every column is on its own, so a caller may also split the columns between threads.
/// Panics when a row's length differs from that of `out`: no caller's input can cause that.
pub fn sum_rows<T, R>(rows: &[R], out: &mut [T])
where
    T: Copy + Default + Add<Output = T>,
    R: AsRef<[T]>,
{
    for row in rows {
        assert_eq!(row.as_ref().len(), out.len(), "rows to be summed have unequal lengths");
    }
    let depth = (usize::BITS - rows.len().leading_zeros()) as usize;
    let mut pending = vec![[T::default(); COLUMNS]; depth];
    for (block, out) in out.chunks_mut(COLUMNS).enumerate() {
        let columns = out.len();
        // Bit k of the count of rows seen says whether `pending[k]` holds a finished sum of 2^k rows,
        // and adding a row carries exactly as adding one to that count does.
        for (seen, row) in rows.iter().enumerate() {
            out.copy_from_slice(&row.as_ref()[block * COLUMNS..][..columns]);
            let carries = seen.trailing_ones() as usize;
            for earlier in &pending[..carries] {
                add_before(earlier, out);
            }
            pending[carries][..columns].copy_from_slice(out);
        }
        let lowest = rows.len().trailing_zeros() as usize;
        match pending.get(lowest) {
            Some(last) => out.copy_from_slice(&last[..columns]),
            None => out.fill(T::default()),
        }
        for (level, earlier) in pending.iter().enumerate().skip(lowest + 1) {
            if rows.len() >> level & 1 == 1 {
                add_before(earlier, out);
            }
        }
    }
}

/// Sums numbers, such as the losses of the tasks, along the same tree.
pub fn sum_values(values: &[f64]) -> f64 {
    let rows: Vec<&[f64]> = values.chunks(1).collect();
    let mut total = [0.0];
    sum_rows(&rows, &mut total);
    total[0]
}

fn add_before<T: Copy + Add<Output = T>>(earlier: &[T], later: &mut [T]) {
    for (sum, &first) in later.iter_mut().zip(earlier) {
        *sum = first + *sum;
    }
}
