use super::{bits, noise};
use mamlx::error::{Error, Result};
use mamlx::run::trust_region::{TrustRegion, conjugate_gradient};
use mamlx::spec::schema::Products;

const SETTINGS: TrustRegion = TrustRegion {
    kl: 0.01,
    cg_iterations: 10,
    cg_damping: 0.0,
    backtrack_ratio: 0.8,
    max_backtracks: 15,
    products: Products::Exact,
};

/// A symmetric positive definite matrix, A Aᵀ / n + I/2.
fn positive(n: usize) -> Vec<Vec<f64>> {
    let a: Vec<Vec<f32>> = (0..n).map(|i| noise(i as u64, n)).collect();
    let entry = |i: usize, j: usize| {
        let sum: f64 = (0..n).map(|k| f64::from(a[i][k]) * f64::from(a[j][k])).sum();
        sum / n as f64 + if i == j { 0.5 } else { 0.0 }
    };
    (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect()
}

fn times(matrix: &[Vec<f64>], v: &[f32]) -> Vec<f32> {
    matrix.iter().map(|row| row.iter().zip(v).map(|(m, v)| m * f64::from(*v)).sum::<f64>() as f32).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[test]
fn conjugate_gradient_solves_a_system_within_its_dimension() {
    let n = 8;
    let matrix = positive(n);
    let x = noise(77, n);
    let damping = 0.25;
    let mut b = times(&matrix, &x);
    b.iter_mut().zip(&x).for_each(|(b, x)| *b += damping as f32 * x);
    let solution = conjugate_gradient(|v| Ok(times(&matrix, v)), &b, n, damping).unwrap();
    for (found, x) in solution.x.iter().zip(&x) {
        assert!((found - f64::from(*x)).abs() < 1e-4, "{found} is not {x}");
    }
    assert!(solution.residual < 1e-4);
    assert!((solution.curvature - dot(&x, &b)).abs() < 1e-4);
}

#[test]
fn conjugate_gradient_stops_at_its_limit_or_when_it_is_done() {
    let n = 8;
    let matrix = positive(n);
    let b = noise(78, n);
    let mut calls = 0;
    let counted = |v: &[f32]| {
        calls += 1;
        Ok(times(&matrix, v))
    };
    let early = conjugate_gradient(counted, &b, 2, 0.0).unwrap();
    assert_eq!((early.iterations, calls), (2, 2));
    // The curvature that comes without a product of its own is the true one, converged or not.
    let x: Vec<f32> = early.x.iter().map(|&x| x as f32).collect();
    let direct = dot(&x, &times(&matrix, &x));
    assert!((early.curvature - direct).abs() < 1e-5 * direct, "{} is not {direct}", early.curvature);
    // The residual that it reports is the true one.
    let r: Vec<f32> = times(&matrix, &x).iter().zip(&b).map(|(a, b)| b - a).collect();
    let relative = (dot(&r, &r) / dot(&b, &b)).sqrt();
    assert!(relative > 1e-2 && (early.residual - relative).abs() < 1e-4 * relative);

    let done = conjugate_gradient(|v| Ok(v.iter().map(|v| 4.0 * v).collect()), &b, 10, 0.0).unwrap();
    assert_eq!(done.iterations, 1);
    assert!((done.x[0] - f64::from(b[0]) / 4.0).abs() < 1e-7);
    let zero = conjugate_gradient(|v| Ok(v.to_vec()), &[0.0; 3], 10, 0.0).unwrap();
    assert_eq!((zero.iterations, zero.residual, zero.x), (0, 0.0, vec![0.0; 3]));
}

/// A loss gᵀΔ and a divergence ½ΔᵀHΔ, Δ measured from `origin`: the method's own model, so its answer is known.
struct Quadratic {
    matrix: Vec<Vec<f64>>,
    gradient: Vec<f32>,
    origin: Vec<f32>,
}

impl Quadratic {
    fn new(n: usize) -> Self {
        Quadratic { matrix: positive(n), gradient: noise(80, n), origin: noise(81, n) }
    }

    fn evaluate(&self, parameters: &[f32]) -> (f64, f64) {
        let moved: Vec<f32> = parameters.iter().zip(&self.origin).map(|(p, o)| p - o).collect();
        (dot(&self.gradient, &moved), 0.5 * dot(&moved, &times(&self.matrix, &moved)))
    }

    fn product(&self) -> impl FnMut(&[f32]) -> Result<Vec<f32>> {
        |v| Ok(times(&self.matrix, v))
    }
}

#[test]
fn the_full_step_reaches_the_limit_along_the_natural_gradient() {
    let problem = Quadratic::new(6);
    let mut parameters = problem.origin.clone();
    // The divergence is scaled down a little so that rounding cannot turn the full step down.
    let evaluate = |p: &[f32]| {
        let (loss, kl) = problem.evaluate(p);
        Ok((loss, 0.9999 * kl))
    };
    let step = SETTINGS.step(&mut parameters, &problem.gradient, 0.0, problem.product(), evaluate).unwrap();
    assert!(step.accepted);
    assert_eq!(step.backtracks, 0);
    assert!((step.kl - 0.01).abs() < 1e-5, "{}", step.kl);
    // The minimum of gᵀΔ on ½ΔᵀHΔ = δ is −√(2δ gᵀH⁻¹g), at Δ = −√(2δ / gᵀH⁻¹g) H⁻¹g.
    let natural = conjugate_gradient(problem.product(), &problem.gradient, 50, 0.0).unwrap();
    let natural_f32: Vec<f32> = natural.x.iter().map(|&x| x as f32).collect();
    let power = dot(&problem.gradient, &natural_f32);
    assert!((step.loss_after + (0.02 * power).sqrt()).abs() < 1e-5, "{}", step.loss_after);
    for ((p, o), d) in parameters.iter().zip(&problem.origin).zip(&natural.x) {
        let expected = f64::from(*o) - (0.02 / power).sqrt() * d;
        assert!((f64::from(*p) - expected).abs() < 1e-5, "{p} is not {expected}");
    }
}

#[test]
fn the_step_shrinks_until_the_divergence_is_within_the_limit() {
    let problem = Quadratic::new(6);
    // A true divergence 1.5 times the model's: 1.5 · 0.8²ᵏ ≤ 1 first for k = 1.
    // Five times: 5 · 0.8²ᵏ ≤ 1 first for k = 4.
    for (factor, backtracks) in [(1.5, 1), (5.0, 4)] {
        let mut parameters = problem.origin.clone();
        let evaluate = |p: &[f32]| {
            let (loss, kl) = problem.evaluate(p);
            Ok((loss, factor * kl))
        };
        let step =
            SETTINGS.step(&mut parameters, &problem.gradient, 0.0, problem.product(), evaluate).unwrap();
        assert!(step.accepted);
        assert_eq!(step.backtracks, backtracks);
        assert!(step.kl <= 0.01 && step.kl > 0.01 * 0.64);
        assert!(step.loss_after < step.loss_before);
    }
}

#[test]
fn damping_lengthens_no_step_and_counts_in_its_length() {
    let problem = Quadratic::new(6);
    let damped = TrustRegion { cg_damping: 1.0, ..SETTINGS };
    let mut parameters = problem.origin.clone();
    let step = damped
        .step(&mut parameters, &problem.gradient, 0.0, problem.product(), |p| Ok(problem.evaluate(p)))
        .unwrap();
    assert!(step.accepted);
    // ½Δᵀ(H + I)Δ is the limit, so ½ΔᵀHΔ is what remains after ½|Δ|².
    let moved: Vec<f32> = parameters.iter().zip(&problem.origin).map(|(p, o)| p - o).collect();
    assert!((step.kl + 0.5 * dot(&moved, &moved) - 0.01).abs() < 1e-5);
}

/// Runs a step that must be rejected; returns the number of candidates tried.
fn rejected(mut evaluate: impl FnMut(&[f32]) -> (f64, f64)) -> usize {
    let problem = Quadratic::new(6);
    let mut parameters = problem.origin.clone();
    let mut tried = 0;
    let counted = |p: &[f32]| {
        tried += 1;
        Ok(evaluate(p))
    };
    let step = SETTINGS.step(&mut parameters, &problem.gradient, 0.0, problem.product(), counted).unwrap();
    assert!(!step.accepted);
    assert_eq!((step.kl, step.loss_after, step.backtracks), (0.0, step.loss_before, 15));
    assert_eq!(bits(&parameters), bits(&problem.origin));
    tried
}

#[test]
fn a_step_is_rejected_when_no_candidate_lowers_the_loss() {
    let problem = Quadratic::new(6);
    // A loss that rises along the direction, and one that stays exactly where it was.
    assert_eq!(rejected(|p| (-problem.evaluate(p).0, problem.evaluate(p).1)), 15);
    assert_eq!(rejected(|p| (0.0, problem.evaluate(p).1)), 15);
}

#[test]
fn a_step_is_rejected_when_no_candidate_keeps_the_limit() {
    let problem = Quadratic::new(6);
    // The last candidate has 0.8²⁸ = 0.0019 of the model's divergence.
    assert_eq!(rejected(|p| (problem.evaluate(p).0, 1000.0 * problem.evaluate(p).1)), 15);
    assert_eq!(rejected(|p| (problem.evaluate(p).0, f64::INFINITY)), 15);
    assert_eq!(rejected(|p| (f64::INFINITY, problem.evaluate(p).1)), 15);
}

#[test]
fn a_zero_gradient_or_a_negative_curvature_moves_nothing() {
    let unreachable = |_: &[f32]| Err(Error::Run("no candidate may be tried".to_string()));
    let mut parameters = [1.0, 2.0];
    let step = SETTINGS.step(&mut parameters, &[0.0, 0.0], 3.0, |v| Ok(v.to_vec()), unreachable).unwrap();
    assert!(!step.accepted);
    let negative = |v: &[f32]| Ok(v.iter().map(|v| -v).collect());
    let step = SETTINGS.step(&mut parameters, &[1.0, 0.0], 3.0, negative, unreachable).unwrap();
    assert!(!step.accepted);
    assert_eq!((step.loss_before, step.loss_after), (3.0, 3.0));
    assert_eq!(parameters, [1.0, 2.0]);
}

#[test]
fn nan_anywhere_is_an_error_that_moves_nothing() {
    let run = |gradient: f32, loss_before: f64, product: f32, evaluated: (f64, f64)| {
        let mut parameters = [1.0, 2.0];
        let result = SETTINGS.step(
            &mut parameters,
            &[1.0, gradient],
            loss_before,
            |v| Ok(vec![v[0], product]),
            |_| Ok(evaluated),
        );
        assert!(result.is_err() || parameters != [1.0, 2.0]);
        result.map_err(|error| error.to_string())
    };
    assert!(run(1.0, 0.0, 1.0, (-1.0, 0.001)).unwrap().accepted);
    let nan = f64::NAN;
    for (result, names) in [
        (run(f32::NAN, 0.0, 1.0, (-1.0, 0.001)), "outer gradient is NaN"),
        (run(f32::INFINITY, 0.0, 1.0, (-1.0, 0.001)), "outer gradient is inf"),
        (run(1.0, nan, 1.0, (-1.0, 0.001)), "outer loss is NaN"),
        (run(1.0, 0.0, f32::NAN, (-1.0, 0.001)), "curvature of the KL divergence is NaN"),
        (run(1.0, 0.0, 1.0, (nan, 0.001)), "outer loss is NaN"),
        (run(1.0, 0.0, 1.0, (-1.0, nan)), "KL divergence is NaN"),
    ] {
        let error = result.unwrap_err();
        assert!(error.contains(names), "{error} does not say {names}");
    }
}

/// The first product, or a later one.
#[test]
fn a_product_by_differences_that_is_not_finite_turns_the_step_down() {
    let differences = TrustRegion { products: Products::FiniteDifference, ..SETTINGS };
    for finite in [0, 1] {
        let (mut parameters, mut calls) = ([1.0, 2.0], 0);
        let product = |v: &[f32]| {
            calls += 1;
            Ok(if calls > finite { vec![f32::NAN, v[1]] } else { vec![v[0], 3.0 * v[1]] })
        };
        let unreachable = |_: &[f32]| unreachable!("there is no direction to try");
        let step = differences.step(&mut parameters, &[1.0, 1.0], 3.0, product, unreachable).unwrap();
        assert_eq!((step.accepted, step.backtracks, step.kl), (false, 15, 0.0));
        assert_eq!((step.loss_after, parameters, calls), (3.0, [1.0, 2.0], finite + 1));
    }
}

#[test]
fn an_error_of_a_closure_is_passed_on() {
    let broken = |_: &[f32]| Err(Error::Run("the device is gone".to_string()));
    let error = SETTINGS.step(&mut [1.0], &[1.0], 0.0, broken, |_| Ok((0.0, 0.0))).unwrap_err();
    assert_eq!(error.to_string(), "the device is gone");
}
