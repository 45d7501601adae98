use super::{bits, noise};
use mamlx::run::reduce::{sum_rows, sum_values};

/// The tree as its definition reads: split at the largest power of two below the count.
fn tree(values: &[f32]) -> f32 {
    match values.len() {
        0 => 0.0,
        1 => values[0],
        n => {
            let (left, right) = values.split_at(n.next_power_of_two() / 2);
            tree(left) + tree(right)
        }
    }
}

/// Rows whose entries differ by many orders of magnitude, so that the order of addition shows in the bits.
fn rows(count: usize, columns: usize) -> Vec<Vec<f32>> {
    (0..count)
        .map(|i| noise(i as u64, columns).iter().map(|x| x * 10f32.powi((i * 7 % 9) as i32 - 4)).collect())
        .collect()
}

fn sum(rows: &[Vec<f32>], columns: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; columns];
    sum_rows(rows, &mut out);
    out
}

#[test]
fn every_count_of_rows_follows_the_tree_to_the_bit() {
    for count in 0..=41 {
        for columns in [1, 255, 600] {
            let rows = rows(count, columns);
            let expected: Vec<f32> =
                (0..columns).map(|c| tree(&rows.iter().map(|row| row[c]).collect::<Vec<_>>())).collect();
            assert_eq!(bits(&sum(&rows, columns)), bits(&expected), "{count} rows, {columns} columns");
        }
    }
}

#[test]
fn the_data_of_these_tests_can_tell_orders_apart() {
    let rows = rows(40, 600);
    let straight: Vec<f32> = (0..600).map(|c| rows.iter().map(|row| row[c]).sum()).collect();
    assert_ne!(bits(&sum(&rows, 600)), bits(&straight));
}

#[test]
fn aligned_runs_of_rows_and_any_runs_of_columns_may_be_summed_elsewhere() {
    let rows = rows(39, 600);
    let whole = bits(&sum(&rows, 600));
    for run in [2, 4, 8, 16] {
        let parts: Vec<Vec<f32>> = std::thread::scope(|scope| {
            let workers: Vec<_> = rows.chunks(run).map(|part| scope.spawn(|| sum(part, 600))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        assert_eq!(bits(&sum(&parts, 600)), whole, "runs of {run} rows");
    }
    let mut by_columns = Vec::new();
    for start in (0..600).step_by(97) {
        let end = (start + 97).min(600);
        let part: Vec<&[f32]> = rows.iter().map(|row| &row[start..end]).collect();
        let mut out = vec![0.0; end - start];
        sum_rows(&part, &mut out);
        by_columns.extend(bits(&out));
    }
    assert_eq!(by_columns, whole);
}

#[test]
fn losses_follow_the_same_tree_in_double_precision() {
    assert_eq!(sum_values(&[]), 0.0);
    assert_eq!(sum_values(&[1e16, 1.0, -1e16]), 1e16 + 1.0 - 1e16);
    // ((a + b) + (c + d)) + e keeps the small numbers that a straight sum loses.
    assert_eq!(sum_values(&[1e16, -1e16, 0.5, 0.25, 1.0]), 1.75);
    assert_eq!(sum_values(&[0.5, 1e16, -1e16, 0.25]), (0.5 + 1e16) + (-1e16 + 0.25));
}
