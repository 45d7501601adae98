use super::{bits, noise};
use mamlx::run::baseline::{LinearBaseline, task_advantages};
use mamlx::run::returns::Episodes;

/// Observations in ±12, so that some are clipped, for episodes of different lengths in rows of `horizon`; the
/// padding is NaN.
fn observations(lengths: &[usize], horizon: usize, width: usize) -> Vec<f32> {
    let mut all = vec![f32::NAN; lengths.len() * horizon * width];
    for (e, &n) in lengths.iter().enumerate() {
        for (o, x) in all[e * horizon * width..].iter_mut().zip(noise(e as u64, n * width)) {
            *o = 12.0 * x;
        }
    }
    all
}

/// The features as the protocol words them.
fn features(observation: &[f32], t: usize) -> Vec<f64> {
    let o: Vec<f64> = observation.iter().map(|&o| f64::from(o).clamp(-10.0, 10.0)).collect();
    let t = t as f64 / 100.0;
    o.iter().copied().chain(o.iter().map(|o| o * o)).chain([t, t.powi(2), t.powi(3), 1.0]).collect()
}

const LENGTHS: [usize; 4] = [70, 3, 41, 90];

#[test]
fn a_target_that_is_linear_in_the_features_is_recovered() {
    let (width, horizon) = (3, 90);
    let seen = observations(&LENGTHS, horizon, width);
    let truth: Vec<f64> = (0..10).map(|i| 0.5 * f64::from(i) - 2.0).collect();
    let episodes = Episodes::new(&LENGTHS, horizon);
    let mut targets = vec![f32::NAN; episodes.padded_len()];
    for range in episodes.ranges() {
        for (t, step) in range.enumerate() {
            let x = features(&seen[step * width..][..width], t);
            targets[step] = x.iter().zip(&truth).map(|(x, w)| x * w).sum::<f64>() as f32;
        }
    }
    let mut baseline = LinearBaseline::new(width);
    let ridge = baseline.fit(&seen, &targets, episodes).unwrap();
    assert_eq!(ridge, 1e-5);
    for (w, truth) in baseline.weights().iter().zip(&truth) {
        assert!((w - truth).abs() < 1e-3, "{w} is not {truth}");
    }
    let mut values = vec![f32::NAN; targets.len()];
    baseline.predict(&seen, episodes, &mut values);
    for (e, range) in episodes.ranges().enumerate() {
        let end = range.end;
        for (v, y) in values[range.clone()].iter().zip(&targets[range]) {
            assert!((v - y).abs() < 1e-3 * (1.0 + y.abs()), "{v} is not {y}");
        }
        assert!(values[end..(e + 1) * horizon].iter().all(|&v| v == 0.0));
    }
}

#[test]
fn weights_solve_the_normal_equations_for_every_block_remainder() {
    for width in 1..=6 {
        let horizon = 90;
        let seen = observations(&LENGTHS, horizon, width);
        let episodes = Episodes::new(&LENGTHS, horizon);
        let targets = noise(7, episodes.padded_len());
        let mut baseline = LinearBaseline::new(width);
        baseline.fit(&seen, &targets, episodes).unwrap();
        // The gradient of the penalised squared error, Xᵀ(y − Xw) − ridge w, is zero at the minimum.
        let w = baseline.weights();
        let mut gradient: Vec<f64> = w.iter().map(|w| -1e-5 * w).collect();
        let mut scale = 0.0f64;
        for range in episodes.ranges() {
            for (t, step) in range.enumerate() {
                let x = features(&seen[step * width..][..width], t);
                let error = f64::from(targets[step]) - x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
                for (g, x) in gradient.iter_mut().zip(&x) {
                    *g += x * error;
                    scale = scale.max((x * error).abs());
                }
            }
        }
        assert!(scale > 1.0);
        for g in gradient {
            assert!(g.abs() < 1e-8 * scale, "width {width}: gradient {g} beside terms of {scale}");
        }
    }
}

#[test]
fn padding_changes_no_bit_and_a_used_baseline_is_as_good_as_new() {
    let width = 4;
    let episodes = |horizon| Episodes::new(&LENGTHS, horizon);
    let mut used = LinearBaseline::new(width);
    let mut advantages = |horizon: usize| {
        let seen = observations(&LENGTHS, horizon, width);
        let mut rewards = vec![f32::NAN; LENGTHS.len() * horizon];
        for (e, range) in episodes(horizon).ranges().enumerate() {
            let n = range.len();
            rewards[range].copy_from_slice(&noise(50 + e as u64, n));
        }
        let mut out = vec![f32::NAN; rewards.len()];
        task_advantages(&mut used, &seen, &rewards, episodes(horizon), 0.99, 1.0, &mut out).unwrap();
        episodes(horizon).ranges().flat_map(|range| bits(&out[range])).collect::<Vec<_>>()
    };
    let first = advantages(90);
    assert_eq!(first, advantages(133));
    let mean = first.iter().map(|&b| f64::from(f32::from_bits(b))).sum::<f64>() / first.len() as f64;
    assert!(mean.abs() < 1e-6);
}

#[test]
fn constant_and_repeated_columns_still_have_a_fit() {
    let (lengths, horizon) = ([60, 60], 60);
    let episodes = Episodes::new(&lengths, horizon);
    // Columns: always zero, a constant, and twice the same number, as the half-cheetah's y and an oracle's task are.
    let seen: Vec<f32> = noise(3, 120).iter().flat_map(|&x| [0.0, 2.0, x, x]).collect();
    let targets: Vec<f32> = noise(3, 120).iter().map(|x| 3.0 * x + 1.0).collect();
    let mut baseline = LinearBaseline::new(4);
    baseline.fit(&seen, &targets, episodes).unwrap();
    let mut values = vec![0.0; 120];
    baseline.predict(&seen, episodes, &mut values);
    for (v, y) in values.iter().zip(&targets) {
        assert!((v - y).abs() < 1e-4, "{v} is not {y}");
    }
}

#[test]
fn a_target_that_is_not_finite_is_an_error() {
    let episodes = Episodes::new(&[3], 3);
    for bad in [f32::NAN, f32::INFINITY] {
        let error = LinearBaseline::new(1).fit(&[0.1, 0.2, 0.3], &[1.0, bad, 1.0], episodes).unwrap_err();
        assert!(error.to_string().contains("NaN or infinite"), "{error}");
    }
    let error = LinearBaseline::new(1).fit(&[0.1, f32::NAN, 0.3], &[1.0; 3], episodes).unwrap_err();
    assert_eq!(error.exit_code(), 1);
}
