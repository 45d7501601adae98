//! When a batch of trajectories is complete (`task.sampling`, `eval.sampling`).

use crate::spec::Sampling;

/// Decides after each round, in which every one of `places` places has played one more episode.
///
/// `lengths` are the time steps of all episodes so far, round by round, `[rounds · places]`; `target` is the number of
/// time steps that was asked for. None: another round is needed. Otherwise whether each episode belongs to the batch.
pub fn complete(sampling: Sampling, lengths: &[usize], places: usize, target: usize) -> Option<Vec<bool>> {
    let whole = Some(vec![true; lengths.len()]);
    match sampling {
        Sampling::Episodes => whole,
        Sampling::Steps => whole.filter(|_| lengths.iter().sum::<usize>() >= target),
        Sampling::Completed => completed(lengths, places, target),
    }
}

/// The episodes of a place follow each other without a pause, so an episode ends at the sum of the lengths so far.
fn completed(lengths: &[usize], places: usize, target: usize) -> Option<Vec<bool>> {
    let mut clocks = vec![0; places];
    let mut ends = Vec::with_capacity(lengths.len());
    for round in lengths.chunks(places) {
        for (clock, length) in clocks.iter_mut().zip(round) {
            *clock += length;
            ends.push(*clock);
        }
    }
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by_key(|&episode| ends[episode]);
    let mut steps = 0;
    let last = order.into_iter().find(|&episode| {
        steps += lengths[episode];
        steps >= target
    });
    let moment = ends[last?];
    // A place whose clock stands earlier may have ended more episodes by then, and the moment come sooner.
    clocks.iter().all(|&clock| clock >= moment).then(|| ends.iter().map(|&end| end <= moment).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_early_ends_all_ways_agree() {
        for sampling in [Sampling::Episodes, Sampling::Steps, Sampling::Completed] {
            assert_eq!(complete(sampling, &[10; 4], 4, 40), Some(vec![true; 4]));
        }
    }

    #[test]
    fn steps_asks_for_whole_rounds() {
        assert_eq!(complete(Sampling::Steps, &[10, 10, 3], 3, 30), None);
        assert_eq!(complete(Sampling::Steps, &[10, 10, 3, 10, 10, 2], 3, 30), Some(vec![true; 6]));
        assert_eq!(complete(Sampling::Episodes, &[10, 10, 3], 3, 30), Some(vec![true; 3]));
    }

    /// Three places, horizon 10, 30 steps asked for. The third place ends episodes of 3 steps at 3, 6, 9, 12; the
    /// others end at 10 and, a second time, at 20. At 9 the ended ones hold 9 steps, at 10 they hold 29, at 12 32.
    #[test]
    fn completed_stops_in_the_middle_and_drops_what_is_running() {
        let round = [10, 10, 3];
        for rounds in 1..4 {
            assert_eq!(complete(Sampling::Completed, &round.repeat(rounds), 3, 30), None, "{rounds} rounds");
        }
        let kept = complete(Sampling::Completed, &round.repeat(4), 3, 30).unwrap();
        let expected = [[true, true, true], [false, false, true], [false, false, true], [false, false, true]];
        assert_eq!(kept, expected.concat());
    }

    /// What a plain loop over the moments keeps, for many irregular lengths.
    #[test]
    fn completed_is_what_a_clock_would_keep() {
        let (places, horizon, target) = (5, 20, 100);
        for seed in 0..200usize {
            let length = |episode: usize| (episode * 7919 + seed * 104_729) % 97 % horizon + 1;
            let mut lengths = vec![];
            let kept = loop {
                lengths.extend((lengths.len()..lengths.len() + places).map(length));
                if let Some(kept) = complete(Sampling::Completed, &lengths, places, target) {
                    break kept;
                }
            };
            let (mut began, mut number, mut steps) = (vec![0; places], vec![0; places], 0);
            let mut expected = vec![false; lengths.len()];
            for moment in 1.. {
                for place in 0..places {
                    let episode = number[place] * places + place;
                    if began[place] + length(episode) == moment {
                        expected[episode] = true;
                        steps += length(episode);
                        began[place] = moment;
                        number[place] += 1;
                    }
                }
                if steps >= target {
                    break;
                }
            }
            assert_eq!(kept, expected, "seed {seed}");
        }
    }
}
