//! In which order the adjoint of many inner steps is computed within little memory.
//!
//! The adjoint of a step needs what the step computed on its way (its residuals), and the last step's comes first.
//! Keeping the residuals of all steps takes the least time. Keeping only the parameters before some of them, and computing
//! the steps from there again, takes the least memory. In between, residuals are kept of a few steps in a row, and the
//! rows take the place of steps in the binomial schedule that needs the fewest repetitions (Griewank and Walther 2000,
//! "Algorithm 799: revolve", section 2).

use std::ops::Range;

/// A plan to go back through inner steps. It decides time and memory and not one bit of the result: every step is
/// computed by the same program from the same numbers, however often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reversal {
    pub steps: usize,
    /// Steps in a row whose residuals are kept at a time.
    pub row: usize,
    /// Places for parameters, beside the initial ones.
    pub checkpoints: usize,
}

/// Bytes of one thread's memory for each thing that a reversal keeps.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub checkpoint: u64,
    /// Residuals of one step.
    pub residuals: u64,
}

/// What a reversal drives. Level 0 stands for the initial parameters, level c for those at checkpoint c.
pub trait Walk {
    /// Takes steps from the parameters at `level`, and leaves those behind the last of them at the next level.
    fn advance(&mut self, level: usize, steps: Range<usize>);
    /// Takes steps from the parameters at `level`, keeping the residuals of each; behind the very last step comes the
    /// outer loss.
    fn record(&mut self, level: usize, steps: Range<usize>);
    /// Carries the adjoint back through the steps that were just recorded.
    fn pull(&mut self, steps: Range<usize>);
}

impl Reversal {
    /// Keeps everything and repeats nothing.
    pub fn whole(steps: usize) -> Reversal {
        Reversal { steps, row: steps, checkpoints: 0 }
    }

    /// The one that computes the fewest steps in so many bytes; none where not even [`least`](Self::least) fits.
    pub fn within(steps: usize, sizes: Sizes, bytes: u64) -> Option<Reversal> {
        let of_row = |row: usize| {
            let left = bytes.checked_sub(row as u64 * sizes.residuals)?;
            let rows = steps.div_ceil(row);
            let most = usize::try_from(left / sizes.checkpoint.max(1)).unwrap_or(usize::MAX);
            let reversal = Reversal { steps, row, checkpoints: most.min(rows - 1) };
            (rows == 1 || reversal.checkpoints > 0).then_some(reversal)
        };
        (1..=steps).filter_map(of_row).min_by_key(|reversal| (reversal.computed(), reversal.bytes(sizes)))
    }

    /// The one of the least memory.
    pub fn least(steps: usize) -> Reversal {
        Reversal { steps, row: 1, checkpoints: usize::from(steps > 1) }
    }

    pub fn bytes(&self, sizes: Sizes) -> u64 {
        self.row as u64 * sizes.residuals + self.checkpoints as u64 * sizes.checkpoint
    }

    /// How many steps are computed, each repetition counted.
    pub fn computed(&self) -> u64 {
        let (rows, places) = (self.steps.div_ceil(self.row) as u64, self.checkpoints as u64);
        let repeats = repeats(rows, places);
        // Rows that are advanced over, counted with their repetitions: r N − C(c + r, c + 1) (Griewank and Walther 2000,
        // equation 4).
        let over = if rows == 1 { 0 } else { repeats * rows - binomial(places + repeats, places + 1) };
        self.steps as u64 + self.row as u64 * over
    }

    /// Goes through all steps.
    pub fn walk<W: Walk>(&self, walk: &mut W) {
        self.back(walk, 0..self.steps, 0);
    }

    fn back<W: Walk>(&self, walk: &mut W, steps: Range<usize>, level: usize) {
        let rows = steps.len().div_ceil(self.row);
        if rows <= 1 {
            walk.record(level, steps.clone());
            return walk.pull(steps);
        }
        let middle = steps.start + self.row * split(rows as u64, (self.checkpoints - level) as u64) as usize;
        walk.advance(level, steps.start..middle);
        self.back(walk, middle..steps.end, level + 1);
        self.back(walk, steps.start..middle, level);
    }
}

/// After how many of `rows` rows the next of `places` checkpoints is set: the first that keeps repetitions at their
/// least on both sides of it.
fn split(rows: u64, places: u64) -> u64 {
    let repeats = repeats(rows, places);
    let before = repeats.checked_sub(2).map_or(0, |less| binomial(places + less, places));
    let behind = binomial(places - 1 + repeats, places - 1);
    before.max(rows.saturating_sub(behind)).clamp(1, rows - 1)
}

/// How often a row is advanced over at most: the least r with C(c + r, c) ≥ rows.
fn repeats(rows: u64, places: u64) -> u64 {
    (0..rows).find(|repeats| binomial(places + repeats, places) >= rows).unwrap_or(rows)
}

/// C(n, k), or the largest number where that is beyond it.
fn binomial(n: u64, k: u64) -> u64 {
    if k > n {
        return 0;
    }
    let mut value: u128 = 1;
    for i in 0..k.min(n - k) {
        value = value * u128::from(n - i) / u128::from(i + 1);
        if value > u128::from(u64::MAX) {
            return u64::MAX;
        }
    }
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts, and checks that every step is recorded once, from the right place, the last first.
    struct Count {
        at: Vec<Option<usize>>,
        next: usize,
        computed: u64,
    }

    impl Walk for Count {
        fn advance(&mut self, level: usize, steps: Range<usize>) {
            assert_eq!(self.at[level], Some(steps.start));
            self.at[level + 1] = Some(steps.end);
            self.computed += steps.len() as u64;
        }
        fn record(&mut self, level: usize, steps: Range<usize>) {
            assert_eq!((self.at[level], self.next), (Some(steps.start), steps.end));
            self.computed += steps.len() as u64;
        }
        fn pull(&mut self, steps: Range<usize>) {
            self.next = steps.start;
        }
    }

    fn count(reversal: Reversal) -> u64 {
        let mut at = vec![None; reversal.checkpoints + 1];
        at[0] = Some(0);
        let mut count = Count { at, next: reversal.steps, computed: 0 };
        reversal.walk(&mut count);
        assert_eq!(count.next, 0);
        assert_eq!(count.computed, reversal.computed(), "{reversal:?}");
        count.computed
    }

    #[test]
    fn every_plan_goes_through_all_steps_in_order_and_knows_its_work() {
        for steps in [1usize, 2, 3, 7, 10, 33, 100] {
            for row in 1..=steps {
                let rows = steps.div_ceil(row);
                for checkpoints in usize::from(rows > 1)..rows {
                    count(Reversal { steps, row, checkpoints });
                }
            }
        }
    }

    /// The fewest steps by trying every place of the next checkpoint.
    fn fewest(rows: usize, places: usize) -> u64 {
        let mut table = vec![vec![u64::MAX; places + 1]; rows + 1];
        table[1] = vec![0; places + 1];
        for n in 2..=rows {
            for s in 1..=places {
                let sum = |m: usize| table[n - m][s - 1].saturating_add(table[m][s]).saturating_add(m as u64);
                table[n][s] = (1..n).map(sum).min().unwrap();
            }
        }
        table[rows][places] + rows as u64
    }

    #[test]
    fn no_plan_of_as_much_memory_repeats_less() {
        for (rows, places) in [(2, 1), (10, 1), (10, 3), (40, 2), (100, 3), (100, 13), (100, 99)] {
            assert_eq!(count(Reversal { steps: rows, row: 1, checkpoints: places }), fewest(rows, places));
        }
    }

    #[test]
    fn a_plan_fits_or_there_is_none() {
        let sizes = Sizes { checkpoint: 7, residuals: 30 };
        let (steps, mut last) = (1000, u64::MAX);
        for bytes in (0..2000).step_by(9).chain([29_999, 30_000, 1 << 40]) {
            match Reversal::within(steps, sizes, bytes) {
                None => assert!(bytes < Reversal::least(steps).bytes(sizes)),
                Some(found) => {
                    assert!(found.bytes(sizes) <= bytes);
                    assert!(found.computed() <= last, "more memory never takes more time");
                    last = found.computed();
                }
            }
        }
        assert_eq!(Reversal::within(steps, sizes, 30_000), Some(Reversal::whole(steps)));
        assert_eq!(last, 1000);
    }
}
