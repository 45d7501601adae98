//! Which classes, turns and items a task has: a function of (seed, purpose, iteration, task).

use crate::random::{Purpose, Stream, stream};
use crate::run::learner::Split;
use rand::Rng;

/// One class of a task; its place in the task is its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Number of the class in its split.
    pub class: usize,
    /// Quarter turns of all its images in this task.
    pub quarters: u32,
}

/// A task of a data set, without its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// N different classes in random order, which is the shuffle of the labels.
    pub classes: Vec<Chosen>,
    /// Of each class, its items in random order as far as they are used: first the queries, then the support points,
    /// so that evaluations with more shots keep their queries and only add support points.
    pub items: Vec<Vec<u32>>,
}

/// Where a task stands among all tasks.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    pub seed: u64,
    /// What draws classes, and what draws items.
    pub purposes: [Purpose; 2],
    pub iteration: u64,
    pub task: u32,
}

impl Address {
    /// Training task number `task` of a meta-iteration.
    pub fn train(seed: u64, iteration: u64, task: u32) -> Address {
        Address { seed, purposes: [Purpose::TrainTask, Purpose::TrainPoints], iteration, task }
    }

    /// A test task; the same for every method, meta-iteration and support size.
    pub fn test(seed: u64, task: u32) -> Address {
        Address::of(Split::Test, seed, task)
    }

    /// A test or validation task.
    pub fn of(split: Split, seed: u64, task: u32) -> Address {
        Address { seed, purposes: [split.task(), split.points()], iteration: 0, task }
    }
}

impl Episode {
    /// Draws `ways` of the classes, whose numbers of items are `counts`, and `points` different items of each.
    ///
    /// # Panics
    /// When there are not so many; the learner checks that before it starts.
    pub fn draw(at: Address, counts: &[u32], ways: usize, points: usize, rotate: bool) -> Episode {
        let Address { seed, purposes, iteration, task } = at;
        let mut draws = stream(seed, purposes[0], iteration, task, 0);
        let chosen = distinct(&mut draws, counts.len(), ways);
        let classes: Vec<Chosen> = chosen
            .into_iter()
            .map(|class| Chosen { class, quarters: if rotate { below(&mut draws, 4) as u32 } else { 0 } })
            .collect();
        let items = |(slot, chosen): (usize, &Chosen)| {
            let mut draws = stream(seed, purposes[1], iteration, task, slot as u32);
            let items = distinct(&mut draws, counts[chosen.class] as usize, points);
            items.into_iter().map(|item| item as u32).collect()
        };
        let items = classes.iter().enumerate().map(items).collect();
        Episode { classes, items }
    }
}

/// One point of a classifier's batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    pub chosen: Chosen,
    pub item: u32,
}

/// Draws `points` points of all classes: the class, the turn and the item of each uniformly and by themselves.
pub fn batch(
    seed: u64,
    iteration: u64,
    number: u32,
    counts: &[u32],
    points: usize,
    rotate: bool,
) -> Vec<Drawn> {
    let mut draws = stream(seed, Purpose::TrainBatch, iteration, number, 0);
    let one = |_| {
        let class = below(&mut draws, counts.len());
        let quarters = if rotate { below(&mut draws, 4) as u32 } else { 0 };
        Drawn { chosen: Chosen { class, quarters }, item: below(&mut draws, counts[class] as usize) as u32 }
    };
    (0..points).map(one).collect()
}

/// A whole number below `n`: the high half of a 128-bit product, uniform up to n / 2⁶⁴. Spelt out, because a change of
/// the generator's crate must not change a task.
fn below(draws: &mut Stream, n: usize) -> usize {
    ((u128::from(draws.next_u64()) * n as u128) >> 64) as usize
}

/// `k` different numbers below `n`, in random order: the first k steps of Fisher and Yates's shuffle of 0..n, of which
/// only the entries that have moved are stored.
fn distinct(draws: &mut Stream, n: usize, k: usize) -> Vec<usize> {
    assert!(k <= n, "{k} of {n}");
    let mut moved: Vec<(usize, usize)> = Vec::with_capacity(k);
    let at = |moved: &[(usize, usize)], i| moved.iter().find(|entry| entry.0 == i).map_or(i, |entry| entry.1);
    (0..k)
        .map(|i| {
            let j = i + below(draws, n - i);
            let (first, picked) = (at(&moved, i), at(&moved, j));
            match moved.iter_mut().find(|entry| entry.0 == j) {
                Some(entry) => entry.1 = first,
                None => moved.push((j, first)),
            }
            picked
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(task: u32) -> Episode {
        Episode::draw(Address::train(7, 3, task), &[20; 50], 5, 6, true)
    }

    #[test]
    fn classes_and_items_of_a_task_are_different_and_in_range() {
        for task in 0..500 {
            let episode = draw(task);
            let mut classes: Vec<usize> = episode.classes.iter().map(|chosen| chosen.class).collect();
            classes.sort_unstable();
            classes.dedup();
            assert!(classes.len() == 5 && classes[4] < 50);
            for items in &episode.items {
                let mut items = items.clone();
                items.sort_unstable();
                items.dedup();
                assert!(items.len() == 6 && items[5] < 20);
            }
        }
    }

    #[test]
    fn a_task_is_a_function_of_its_address_alone() {
        assert_eq!(draw(4), draw(4));
        assert_ne!(draw(4), draw(5));
        let other = Episode::draw(Address::test(7, 4), &[20; 50], 5, 6, true);
        assert_ne!(draw(4), other);
        // More points of the same task begin with the same points.
        let more = Episode::draw(Address::train(7, 3, 4), &[20; 50], 5, 9, true);
        assert_eq!(more.classes, draw(4).classes);
        assert!(more.items.iter().zip(draw(4).items).all(|(more, few)| more[..6] == few[..]));
    }

    /// Every class at every label, every item and every turn equally often; four standard deviations are allowed.
    #[test]
    fn draws_are_uniform() {
        const TASKS: u32 = 20_000;
        let (mut first, mut items, mut turns) = ([0.0; 50], [0.0; 20], [0.0; 4]);
        for task in 0..TASKS {
            let episode = draw(task);
            first[episode.classes[0].class] += 1.0;
            items[episode.items[4][5] as usize] += 1.0;
            turns[episode.classes[2].quarters as usize] += 1.0;
        }
        for counts in [&first[..], &items, &turns] {
            let p = 1.0 / counts.len() as f64;
            let sd = (f64::from(TASKS) * p * (1.0 - p)).sqrt();
            for count in counts {
                assert!((count - f64::from(TASKS) * p).abs() < 4.0 * sd, "{counts:?}");
            }
        }
    }

    #[test]
    fn batches_of_all_classes_are_uniform_over_classes_turns_and_items() {
        let points: Vec<Drawn> = (0..200).flat_map(|n| batch(3, 9, n, &[20, 5], 100, true)).collect();
        let share = |which: &dyn Fn(&Drawn) -> bool| {
            points.iter().filter(|drawn| which(drawn)).count() as f64 / points.len() as f64
        };
        // Four standard deviations of 20,000 draws.
        for (found, expected) in [
            (share(&|drawn| drawn.chosen.class == 1), 0.5),
            (share(&|drawn| drawn.chosen.quarters == 3), 0.25),
            (share(&|drawn| drawn.chosen.class == 1 && drawn.item == 4), 0.1),
            (share(&|drawn| drawn.chosen.class == 0 && drawn.item == 19), 0.025),
        ] {
            assert!(
                (found - expected).abs() < 4.0 * (expected * (1.0 - expected) / 20_000.0).sqrt(),
                "{found}"
            );
        }
        assert!(points.iter().all(|drawn| drawn.item < [20, 5][drawn.chosen.class]));
        assert_ne!(batch(3, 9, 0, &[20, 5], 100, true), batch(3, 10, 0, &[20, 5], 100, true));
        assert!(batch(3, 9, 0, &[20, 5], 100, false).iter().all(|drawn| drawn.chosen.quarters == 0));
    }

    #[test]
    fn all_of_them_are_a_permutation() {
        let mut draws = stream(1, Purpose::TrainTask, 0, 0, 0);
        let mut all = distinct(&mut draws, 30, 30);
        assert_ne!(all, (0..30).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..30).collect::<Vec<_>>());
    }
}
