use super::{bits, noise};
use mamlx::run::returns::{AfterLast, Episodes, discounted_returns, generalised_advantages, standardise};

/// Two episodes of 3 and 1 steps in rows of 4; what stands in the padding must not matter, so it is NaN.
const LENGTHS: [usize; 2] = [3, 1];
const P: f32 = f32::NAN;
const REWARDS: [f32; 8] = [1.0, 2.0, 4.0, P, -8.0, P, P, P];
const VALUES: [f32; 8] = [10.0, 20.0, 40.0, P, 5.0, P, P, P];

fn episodes() -> Episodes<'static> {
    Episodes::new(&LENGTHS, 4)
}

#[test]
fn returns_are_discounted_sums_and_zero_in_the_padding() {
    let mut out = [P; 8];
    discounted_returns(&REWARDS, episodes(), 0.5, AfterLast::Zero, &mut out);
    assert_eq!(out, [3.0, 4.0, 4.0, 0.0, -8.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_value_after_the_last_step_is_discounted_like_a_reward_there() {
    let mut out = [P; 8];
    discounted_returns(&REWARDS, episodes(), 0.5, AfterLast::Values(&[16.0, 2.0]), &mut out);
    assert_eq!(out, [5.0, 8.0, 12.0, 0.0, -7.0, 0.0, 0.0, 0.0]);
    generalised_advantages(
        &REWARDS,
        &VALUES,
        episodes(),
        0.5,
        0.0,
        AfterLast::Values(&[16.0, 2.0]),
        &mut out,
    );
    assert_eq!(out[..3], [1.0, 2.0, -28.0]);
    assert_eq!(out[4], -12.0);
}

#[test]
fn lambda_one_gives_return_minus_value_and_lambda_zero_the_temporal_difference() {
    let mut out = [P; 8];
    generalised_advantages(&REWARDS, &VALUES, episodes(), 0.5, 1.0, AfterLast::Zero, &mut out);
    assert_eq!(out, [-7.0, -16.0, -36.0, 0.0, -13.0, 0.0, 0.0, 0.0]);
    generalised_advantages(&REWARDS, &VALUES, episodes(), 0.5, 0.0, AfterLast::Zero, &mut out);
    assert_eq!(out, [1.0, 2.0, -36.0, 0.0, -13.0, 0.0, 0.0, 0.0]);
}

#[test]
fn lambda_between_weighs_differences_geometrically() {
    let mut out = [P; 8];
    generalised_advantages(&REWARDS, &VALUES, episodes(), 0.5, 0.5, AfterLast::Zero, &mut out);
    assert_eq!(out[..3], [1.0 + 0.25 * 2.0 - 0.0625 * 36.0, 2.0 - 0.25 * 36.0, -36.0]);
}

#[test]
fn standardising_uses_the_population_deviation_of_real_steps_only() {
    let mut advantages = [1.0, 3.0, 5.0, P, 7.0, P, P, P];
    standardise(&mut advantages, episodes());
    let sd = 5.0f64.sqrt();
    let expected = [-3.0 / sd, -1.0 / sd, 1.0 / sd, 0.0, 3.0 / sd, 0.0, 0.0, 0.0];
    for (a, e) in advantages.iter().zip(expected) {
        assert!((f64::from(*a) - e).abs() < 1e-6, "{a} is not {e}");
    }
}

#[test]
fn equal_advantages_become_zero_and_not_nan() {
    let mut advantages = [2.0; 8];
    standardise(&mut advantages, episodes());
    assert_eq!(advantages, [0.0; 8]);
}

#[test]
fn the_length_of_the_padding_changes_no_bit() {
    let lengths = [5, 2, 7, 1];
    let all = |horizon: usize| {
        let (mut rewards, mut values) = (vec![P; 4 * horizon], vec![P; 4 * horizon]);
        for (e, &n) in lengths.iter().enumerate() {
            rewards[e * horizon..][..n].copy_from_slice(&noise(e as u64, n));
            values[e * horizon..][..n].copy_from_slice(&noise(100 + e as u64, n));
        }
        let episodes = Episodes::new(&lengths, horizon);
        let mut out = vec![P; 4 * horizon];
        generalised_advantages(&rewards, &values, episodes, 0.99, 0.9, AfterLast::Zero, &mut out);
        standardise(&mut out, episodes);
        episodes.ranges().flat_map(|range| bits(&out[range])).collect::<Vec<_>>()
    };
    assert_eq!(all(7), all(31));
}
