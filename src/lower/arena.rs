//! Places for buffers whose lives are known, decided before anything runs.

/// The kernels between which a buffer must stay as it is.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub first: usize,
    pub last: usize,
}

impl Life {
    fn meets(self, other: Life) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// First fit may take so much more than is ever alive at once, in hundredths, before another order is tried.
const SLACK: usize = 105;

/// Where buffers of so many floats lie from `floor` on, and one past the last float of any. They come in the order of
/// their first kernels.
///
/// First fit in that order keeps close together what is used together. Where it leaves much of the memory in gaps, the
/// largest buffers choose first.
pub fn places(floor: usize, buffers: &[(usize, Life)]) -> (Vec<usize>, usize) {
    let in_order: Vec<usize> = (0..buffers.len()).collect();
    let first_fit = fit(floor, buffers, &in_order);
    if (first_fit.1 - floor) * 100 <= most_alive(buffers) * SLACK {
        return first_fit;
    }
    let mut by_size = in_order;
    by_size.sort_by_key(|at| std::cmp::Reverse(buffers[*at].0));
    let largest_first = fit(floor, buffers, &by_size);
    if largest_first.1 < first_fit.1 { largest_first } else { first_fit }
}

/// Each buffer in turn at the lowest place that is free while it lives.
fn fit(floor: usize, buffers: &[(usize, Life)], order: &[usize]) -> (Vec<usize>, usize) {
    let mut offsets = vec![floor; buffers.len()];
    let mut top = floor;
    // Offset, floats and life of what has its place, by offset.
    let mut placed: Vec<(usize, usize, Life)> = Vec::with_capacity(buffers.len());
    for number in order {
        let (floats, life) = buffers[*number];
        let mut at = floor;
        for (offset, length, _) in placed.iter().filter(|(_, _, other)| other.meets(life)) {
            if at + floats <= *offset {
                break;
            }
            at = at.max(offset + length);
        }
        let place = placed.partition_point(|(offset, ..)| *offset < at);
        placed.insert(place, (at, floats, life));
        offsets[*number] = at;
        top = top.max(at + floats);
    }
    (offsets, top)
}

/// The most floats that are alive at once.
fn most_alive(buffers: &[(usize, Life)]) -> usize {
    let begins = buffers.iter().map(|(floats, life)| (life.first, 1, *floats as isize));
    let ends = buffers.iter().map(|(floats, life)| (life.last + 1, 0, -(*floats as isize)));
    let mut changes: Vec<(usize, u8, isize)> = begins.chain(ends).collect();
    changes.sort_unstable();
    let alive = changes.iter().scan(0, |alive, (.., change)| {
        *alive += change;
        Some(*alive)
    });
    alive.max().unwrap_or(0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(buffers: &[(usize, Life)]) -> usize {
        let (offsets, top) = places(3, buffers);
        for (i, (floats, life)) in buffers.iter().enumerate() {
            assert!(offsets[i] >= 3 && offsets[i] + floats <= top);
            for (j, (others, other)) in buffers.iter().enumerate().take(i) {
                let apart = offsets[i] + floats <= offsets[j] || offsets[j] + others <= offsets[i];
                assert!(apart || !life.meets(*other), "{i} and {j} share memory");
            }
        }
        assert!(top - 3 >= most_alive(buffers));
        top - 3
    }

    #[test]
    fn what_is_alive_at_once_lies_apart() {
        let mut seed = 1u64;
        let mut draw = |n: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % n
        };
        for _ in 0..200 {
            let mut buffers: Vec<(usize, Life)> = (0..draw(40))
                .map(|_| {
                    let first = draw(50) as usize;
                    (draw(100) as usize, Life { first, last: first + draw(20) as usize })
                })
                .collect();
            buffers.sort_by_key(|(_, life)| life.first);
            checked(&buffers);
        }
    }

    #[test]
    fn a_large_buffer_does_not_lie_behind_the_gap_of_a_small_one() {
        let life = |first, last| Life { first, last };
        // By first fit the last one begins behind the second, which sits on 10 floats that died.
        let buffers = [(10, life(0, 1)), (1, life(0, 9)), (100, life(2, 9))];
        assert_eq!(checked(&buffers), 101);
        assert_eq!(checked(&buffers[..2]), 11);
        assert_eq!(checked(&[]), 0);
    }
}
