use super::{bits, noise};
use mamlx::run::optimizer::GradientOptimizer;
use mamlx::spec::schema::{Optimizer, Products};

const ADAM: Optimizer = Optimizer::Adam { rate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clip: None };

fn clipped(clip: f64) -> Optimizer {
    Optimizer::Adam { rate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clip: Some(clip) }
}

#[test]
fn adam_follows_its_formula() {
    let mut optimizer = GradientOptimizer::new(&ADAM, 20).unwrap();
    let mut parameters = noise(1, 20);
    let mut expected: Vec<f64> = parameters.iter().map(|&p| f64::from(p)).collect();
    let (mut m, mut v) = (vec![0.0; 20], vec![0.0; 20]);
    for t in 1..=300i32 {
        let gradient = noise(1000 + t as u64, 20);
        optimizer.step(&mut parameters, &gradient).unwrap();
        for i in 0..20 {
            let g = f64::from(gradient[i]);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let corrected_m: f64 = m[i] / (1.0 - 0.9f64.powi(t));
            let corrected_v: f64 = v[i] / (1.0 - 0.999f64.powi(t));
            expected[i] -= 0.01 * corrected_m / corrected_v.sqrt();
        }
    }
    for (p, e) in parameters.iter().zip(expected) {
        assert!((f64::from(*p) - e).abs() < 1e-5, "{p} is not {e}");
    }
}

#[test]
fn adams_first_step_is_the_rate_against_the_sign_whatever_the_scale() {
    let mut parameters = [1.0, 1.0, 1.0];
    GradientOptimizer::new(&ADAM, 3).unwrap().step(&mut parameters, &[1e-3, -1e3, 0.0]).unwrap();
    for (p, e) in parameters.iter().zip([0.99, 1.01, 1.0]) {
        assert!((p - e).abs() < 1e-5, "{p} is not {e}");
    }
}

#[test]
fn epsilon_is_added_after_the_bias_correction_of_the_rate() {
    // With g = ε the first step is α √(1 − β₂) g / (√(1 − β₂) g + ε), the released form; Kingma and Ba's
    // Algorithm 1 would give α / 2.
    let settings = Optimizer::Adam { rate: 1.0, beta1: 0.9, beta2: 0.999, epsilon: 1e-3, clip: None };
    let mut parameters = [0.0];
    GradientOptimizer::new(&settings, 1).unwrap().step(&mut parameters, &[1e-3]).unwrap();
    let root = 0.001f64.sqrt();
    assert!((f64::from(parameters[0]) + root / (root + 1.0)).abs() < 1e-6, "{}", parameters[0]);
}

#[test]
fn descent_subtracts_rate_times_gradient() {
    let mut optimizer = GradientOptimizer::new(&Optimizer::Sgd { rate: 0.5, clip: None }, 2).unwrap();
    let mut parameters = [1.0, -2.0];
    optimizer.step(&mut parameters, &[4.0, -1.0]).unwrap();
    optimizer.step(&mut parameters, &[2.0, 0.0]).unwrap();
    assert_eq!(parameters, [-2.0, -1.5]);
    assert_eq!(optimizer.steps(), 2);
}

#[test]
fn each_element_is_clipped_on_its_own() {
    let mut optimizer = GradientOptimizer::new(&Optimizer::Sgd { rate: 1.0, clip: Some(10.0) }, 4).unwrap();
    let mut parameters = [0.0; 4];
    optimizer.step(&mut parameters, &[3.0, -30.0, f32::INFINITY, 10.0]).unwrap();
    assert_eq!(parameters, [-3.0, 10.0, -10.0, -10.0]);

    let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
    let mut with_clip = GradientOptimizer::new(&clipped(0.5), 2).unwrap();
    let mut by_hand = GradientOptimizer::new(&ADAM, 2).unwrap();
    for (big, small) in [([7.0, -0.25], [0.5, -0.25]), ([-1.0, 0.125], [-0.5, 0.125])] {
        with_clip.step(&mut a, &big).unwrap();
        by_hand.step(&mut b, &small).unwrap();
    }
    assert_eq!(bits(&a), bits(&b));
}

#[test]
fn a_gradient_that_is_not_finite_is_an_error_that_changes_nothing() {
    for (settings, bad) in [(ADAM, f32::NAN), (ADAM, f32::INFINITY), (clipped(1.0), f32::NAN)] {
        let mut optimizer = GradientOptimizer::new(&settings, 2).unwrap();
        let before = optimizer.clone();
        let mut parameters = [1.0, 2.0];
        let error = optimizer.step(&mut parameters, &[0.5, bad]).unwrap_err();
        assert!(error.to_string().contains("parameter 1 in outer step 1"), "{error}");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(parameters, [1.0, 2.0]);
        assert_eq!(optimizer, before);
    }
}

#[test]
fn a_restored_state_goes_on_to_the_same_bits() {
    let mut straight = GradientOptimizer::new(&ADAM, 50).unwrap();
    let mut a = noise(1, 50);
    for t in 0..7 {
        straight.step(&mut a, &noise(10 + t, 50)).unwrap();
    }
    let mut resumed = GradientOptimizer::new(&ADAM, 50).unwrap();
    resumed.restore(&straight.to_bytes()).unwrap();
    assert_eq!(resumed, straight);
    let mut b = a.clone();
    for t in 7..20 {
        straight.step(&mut a, &noise(10 + t, 50)).unwrap();
        resumed.step(&mut b, &noise(10 + t, 50)).unwrap();
    }
    assert_eq!(bits(&a), bits(&b));
    assert_eq!(straight.to_bytes(), resumed.to_bytes());
}

#[test]
fn foreign_bytes_are_refused_and_change_nothing() {
    let mut optimizer = GradientOptimizer::new(&ADAM, 3).unwrap();
    optimizer.step(&mut [0.0; 3], &[1.0, 2.0, 3.0]).unwrap();
    let before = optimizer.clone();
    let good = optimizer.to_bytes();
    let other_size = GradientOptimizer::new(&ADAM, 4).unwrap().to_bytes();
    let mut other_count = good.clone();
    other_count[16] = 2;
    let mut other_magic = good.clone();
    other_magic[0] = b'x';
    for bytes in [&good[..good.len() - 1], &good[..10], &[], &other_size, &other_count, &other_magic] {
        let error = optimizer.restore(bytes).unwrap_err();
        assert!(error.to_string().contains("saved state of the outer optimiser"), "{error}");
        assert_eq!(optimizer, before);
    }
}

#[test]
fn the_trust_region_method_has_no_first_order_state() {
    let trpo = Optimizer::Trpo {
        kl: 0.01,
        cg_iterations: 10,
        cg_damping: 1e-5,
        backtrack_ratio: 0.8,
        max_backtracks: 15,
        products: Products::Exact,
    };
    assert!(GradientOptimizer::new(&trpo, 3).is_none());
}
