//! The promise: meta-gradients are exact, in second and first order, for every learner.

pub mod networks;
mod reinforcement_batch;

use crate::graph::numbers;
use mamlx::graph::eval::evaluate;
use mamlx::graph::{Plan, Port, Tape, Var, grad};
use mamlx::meta::supervised::Learner;
use mamlx::nn::{Activation, Mlp, Policy, Role};
use mamlx::spec::{Loss, Order, Reduction};

const ALPHA: f64 = 0.3;

fn learner(order: Order, loss: Loss, activation: Activation) -> Learner {
    let outputs = if loss == Loss::CrossEntropy { 3 } else { 1 };
    Learner {
        model: Mlp::new(2, &[4, 3], outputs, activation).into(),
        loss,
        reduction: Reduction::Mean,
        order,
    }
}

/// Data for every port of a plan, parameters away from zero.
fn inputs(plan: &Plan, loss: Loss) -> Vec<Vec<f64>> {
    let of = |(i, port): (usize, &Port)| match port.name.as_str() {
        "rate" => vec![ALPHA],
        name if name.ends_with("_y") && loss == Loss::CrossEntropy => {
            (0..port.size()).map(|i| if i % 3 == i / 3 % 3 { 1.0 } else { 0.0 }).collect()
        }
        _ => numbers(port.size(), i as f64 * 0.37),
    };
    plan.inputs.iter().enumerate().map(of).collect()
}

fn eval(plan: &Plan, inputs: &[Vec<f64>]) -> Vec<Vec<f64>> {
    evaluate(plan, &inputs.iter().map(|v| &v[..]).collect::<Vec<_>>())
}

fn relative(a: &[f64], b: &[f64]) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

/// Central differences of a scalar function.
fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let moved = |i: usize, delta: f64| {
        let mut x = x.to_vec();
        x[i] += delta;
        f(&x)
    };
    (0..x.len()).map(|i| (moved(i, 1e-6) - moved(i, -1e-6)) / 2e-6).collect()
}

fn with(inputs: &[Vec<f64>], port: usize, data: &[f64]) -> Vec<Vec<f64>> {
    let mut inputs = inputs.to_vec();
    inputs[port] = data.to_vec();
    inputs
}

#[test]
fn second_order_meta_gradients_equal_differences_of_the_whole_outer_loss() {
    for activation in [Activation::Tanh, Activation::Relu, Activation::Sigmoid] {
        for loss in [Loss::SquaredError, Loss::CrossEntropy] {
            for steps in [1, 3, 5] {
                let plan = learner(Order::Second, loss, activation).meta_gradient(&[], 5, 6, steps);
                let given = inputs(&plan, loss);
                let exact = eval(&plan, &given);
                let numeric = differences(&given[0], |theta| eval(&plan, &with(&given, 0, theta))[1][0]);
                let error = relative(&exact[0], &numeric);
                assert!(error < 1e-6, "{activation:?} {loss:?} {steps} steps: {error:e}");
                let first = learner(Order::First, loss, activation).meta_gradient(&[], 5, 6, steps);
                let gap = relative(&eval(&first, &given)[0], &exact[0]);
                assert!(
                    gap > 1e-3,
                    "{activation:?} {loss:?} {steps} steps: first order must differ, by {gap:e}"
                );
            }
        }
    }
}

#[test]
fn first_order_meta_gradients_hold_the_inner_gradient_constant() {
    let loss = Loss::SquaredError;
    let learner = learner(Order::First, loss, Activation::Tanh);
    for steps in [1, 3, 5] {
        let plan = learner.meta_gradient(&[], 5, 6, steps);
        let given = inputs(&plan, loss);
        let adapt = learner.adapt(&[], 5);
        let mut adapted = given[0].clone();
        for _ in 0..steps {
            adapted = eval(&adapt, &[adapted, vec![ALPHA], given[2].clone(), given[3].clone()])[0].clone();
        }
        let moved: Vec<f64> = adapted.iter().zip(&given[0]).map(|(a, b)| a - b).collect();
        let evaluate = learner.evaluate(&[], 6);
        let numeric = differences(&given[0], |theta| {
            let theta = theta.iter().zip(&moved).map(|(t, m)| t + m).collect();
            eval(&evaluate, &[theta, given[4].clone(), given[5].clone()])[0][0]
        });
        let error = relative(&eval(&plan, &given)[0], &numeric);
        assert!(error < 1e-6, "{steps} steps: {error:e}");
    }
}

#[test]
fn the_linear_quadratic_case_has_its_closed_form() {
    // ŷ = X w without bias terms in play: with L = |X w − y|² / n, ∇L = 2 Xᵀ(X w − y) / n and the meta-gradient is
    // (I − α 2 XᵀX / n) ∇L_query(w′). Two parameters and a bias of the linear layer make three columns.
    let learner = Learner {
        model: Mlp::new(2, &[], 1, Activation::Relu).into(),
        ..learner(Order::Second, Loss::SquaredError, Activation::Relu)
    };
    let plan = learner.meta_gradient(&[], 4, 5, 1);
    let given = inputs(&plan, Loss::SquaredError);
    let rows = |x: &[f64]| x.chunks(2).map(|r| [r[0], r[1], 1.0]).collect::<Vec<_>>();
    let gradient = |w: &[f64], x: &[[f64; 3]], y: &[f64]| {
        let mut g = [0.0; 3];
        for (r, y) in x.iter().zip(y) {
            let e = (0..3).map(|i| r[i] * w[i]).sum::<f64>() - y;
            (0..3).for_each(|i| g[i] += 2.0 * r[i] * e / x.len() as f64);
        }
        g
    };
    let (xs, xq) = (rows(&given[2]), rows(&given[4]));
    let inner = gradient(&given[0], &xs, &given[3]);
    let adapted: Vec<f64> = (0..3).map(|i| given[0][i] - ALPHA * inner[i]).collect();
    let outer = gradient(&adapted, &xq, &given[5]);
    let expected: Vec<f64> = (0..3)
        .map(|i| {
            let hessian = |j: usize| xs.iter().map(|r| 2.0 * r[i] * r[j] / xs.len() as f64).sum::<f64>();
            outer[i] - ALPHA * (0..3).map(|j| hessian(j) * outer[j]).sum::<f64>()
        })
        .collect();
    let error = relative(&eval(&plan, &given)[0], &expected);
    assert!(error < 1e-10, "{error:e}");
}

#[test]
fn a_task_axis_gives_every_task_its_own_gradient() {
    let loss = Loss::CrossEntropy;
    let learner = learner(Order::Second, loss, Activation::Tanh);
    let single = learner.meta_gradient(&[], 5, 6, 2);
    let batched = learner.meta_gradient(&[3], 5, 6, 2);
    let given = inputs(&batched, loss);
    let together = eval(&batched, &given);
    let part = |data: &[f64], port: &Port, task: usize| -> Vec<f64> {
        // A batched port lies part by part, each with the task axis outermost.
        let mut at = 0;
        let mut out = vec![];
        for p in &port.parts {
            let size = p.shape.size() / 3;
            out.extend_from_slice(&data[at + task * size..at + (task + 1) * size]);
            at += p.shape.size();
        }
        out
    };
    for task in 0..3 {
        let mine: Vec<Vec<f64>> = batched
            .inputs
            .iter()
            .zip(&given)
            .map(|(port, data)| if port.name == "rate" { data.clone() } else { part(data, port, task) })
            .collect();
        let alone = eval(&single, &mine);
        assert!(relative(&part(&together[0], &batched.outputs[0], task), &alone[0]) < 1e-12);
    }
}

fn policy() -> Policy {
    Policy { mlp: Mlp::new(3, &[4], 2, Activation::Tanh), context: 0, init_std: 0.7, min_std: 1e-6 }
}

/// The same with a context vector, which is all that it adapts.
fn policy_with_context() -> Policy {
    Policy { mlp: Mlp::new(3 + 2, &[4], 2, Activation::Tanh), context: 2, ..policy() }
}

#[test]
fn trust_region_products_equal_the_dense_hessian_of_the_post_adaptation_divergence() {
    [policy(), policy_with_context()].iter().for_each(products_equal_the_dense_hessian);
}

/// J = I − α M ∇²L keeps what is adapted by M, behind the Hessian forwards and before it backwards.
fn products_equal_the_dense_hessian(policy: &Policy) {
    let n = 6;
    let held = |mut v: Vec<f64>| {
        policy.layout().hold(&mut v);
        v
    };
    let size = policy.layout().size();
    // The whole chain in one graph: θ → θ′ → KL(π_old ‖ π_θ′), differentiated three times.
    let tape = Tape::new();
    let (ports_in, ports_out) = {
        let theta = policy.layout().inputs(&tape, &[]);
        let fixed = policy.layout().inputs(&tape, &[]);
        let vector = policy.layout().inputs(&tape, &[]);
        let data: Vec<Var> = [[n, 3], [n, 2], [n, 3]].iter().map(|s| tape.input(s)).collect();
        let (advantage, weight) = (tape.input(&[n]), tape.input(&[n]));
        let chain = adapt(policy, &theta, data[0], data[1], advantage, weight);
        let frozen = adapt(policy, &fixed, data[0], data[1], advantage, weight);
        let kl = policy.forward(&chain, data[2]).kl_from(policy.forward(&frozen, data[2]));
        let kl = (kl * weight).sum_all();
        let first = grad(kl, &theta);
        let along = first.iter().zip(&vector).map(|(g, v)| (*g * *v).sum_all()).reduce(|a, b| a + b).unwrap();
        let second = grad(along, &theta);
        let layout = policy.layout();
        let mut ins =
            vec![layout.port("theta", &theta), layout.port("fixed", &fixed), layout.port("vector", &vector)];
        ins.extend(data.iter().chain([&advantage, &weight]).map(|v| Port::single("data", *v)));
        (ins, vec![layout.port("product", &second)])
    };
    let dense = Plan::new("dense", tape, ports_in, ports_out);
    let theta = numbers(size, 0.3);
    let data = [
        numbers(n * 3, 0.1),
        numbers(n * 2, 0.2),
        numbers(n * 3, 0.9),
        numbers(n, 0.5),
        vec![1.0 / n as f64; n],
    ];
    let exact = |v: &[f64]| {
        let mut given = vec![theta.clone(), theta.clone(), v.to_vec()];
        given.extend(data.iter().cloned());
        eval(&dense, &given)[0].clone()
    };
    let (gradient, curvature, fisher) =
        (policy.policy_gradient(&[], n), policy.policy_curvature(&[], n), policy.fisher(&[], n));
    let [obs, act, later, adv, weight] = &data;
    let support = [obs.clone(), act.clone(), adv.clone(), weight.clone()];
    let g = held(eval(&gradient, &[std::slice::from_ref(&theta), &support[..]].concat())[0].clone());
    let adapted: Vec<f64> = theta.iter().zip(&g).map(|(t, g)| t - ALPHA * g).collect();
    let hessian = |v: Vec<f64>| {
        eval(&curvature, &[std::slice::from_ref(&theta), &support[..], &[v]].concat())[0].clone()
    };
    let less = |v: &[f64], h: Vec<f64>| v.iter().zip(h).map(|(v, h)| v - ALPHA * h).collect::<Vec<f64>>();
    let product = |v: &[f64]| {
        let u = less(v, held(hessian(v.to_vec())));
        let f = eval(&fisher, &[adapted.clone(), later.clone(), weight.clone(), u])[0].clone();
        less(&f, hessian(held(f.clone())))
    };
    let (u, v) = (numbers(size, 0.6), numbers(size, 1.9));
    for v in [&u, &v] {
        let error = relative(&product(v), &exact(v));
        assert!(error < 1e-10, "{error:e}");
    }
    // Central differences of the divergence's gradient, pulled back at the moved parameters: the released products,
    // here with a step that is small enough to be exact.
    let forward = policy.act(&[], n);
    let old = eval(&forward, &[adapted.clone(), later.clone()]);
    let divergence = policy.divergence_gradient(&[], n);
    let pulled_back = |start: Vec<f64>| {
        let g = held(eval(&gradient, &[std::slice::from_ref(&start), &support[..]].concat())[0].clone());
        let moved: Vec<f64> = start.iter().zip(&g).map(|(t, g)| t - ALPHA * g).collect();
        let given = [moved, later.clone(), weight.clone(), old[0].clone(), old[1].clone()];
        let d = eval(&divergence, &given)[0].clone();
        let h = eval(&curvature, &[&[start], &support[..], &[held(d.clone())]].concat())[0].clone();
        d.iter().zip(h).map(|(d, h)| d - ALPHA * h).collect::<Vec<f64>>()
    };
    let step = 1e-5;
    let at = |sign: f64| pulled_back(theta.iter().zip(&u).map(|(t, u)| t + sign * step * u).collect());
    let slope: Vec<f64> = at(1.0).iter().zip(at(-1.0)).map(|(a, b)| (a - b) / (2.0 * step)).collect();
    let error = relative(&slope, &exact(&u));
    assert!(error < 1e-7, "{error:e}");
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (uv, vu) = (dot(&u, &product(&v)), dot(&v, &product(&u)));
    assert!((uv - vu).abs() < 1e-10 * uv.abs(), "symmetric: {uv} {vu}");
}

fn adapt<'t>(
    policy: &Policy,
    theta: &[Var<'t>],
    obs: Var<'t>,
    act: Var<'t>,
    adv: Var<'t>,
    weight: Var<'t>,
) -> Vec<Var<'t>> {
    let loss = -(policy.forward(theta, obs).log_density(act) * adv * weight).sum_all();
    let rate = obs.tape.constant(ALPHA);
    let adapted: Vec<bool> = policy.layout().entries.iter().map(|e| e.role == Role::Adapted).collect();
    mamlx::meta::inner::step_some(theta, &adapted, loss, rate, true)
}

#[test]
fn the_outer_gradient_through_the_inner_step_equals_differences() {
    // Jᵀ ∇S(θ′) from the three small graphs against differences of S(θ′(θ)).
    let (policy, n) = (policy(), 6);
    let size = policy.layout().size();
    let theta = numbers(size, 0.3);
    let support = [numbers(n * 3, 0.1), numbers(n * 2, 0.2), numbers(n, 0.5), vec![1.0 / n as f64; n]];
    let query = [numbers(n * 3, 1.1), numbers(n * 2, 1.2), numbers(n, 1.5), vec![1.0 / n as f64; n]];
    let old = [numbers(n * 2, 0.8), vec![-0.3, 0.1]];
    let (gradient, curvature) = (policy.policy_gradient(&[], n), policy.policy_curvature(&[], n));
    let surrogate = policy.surrogate(&[], n, true);
    let adapted = |theta: &[f64]| -> Vec<f64> {
        let g = eval(&gradient, &[&[theta.to_vec()], &support[..]].concat())[0].clone();
        theta.iter().zip(g).map(|(t, g)| t - ALPHA * g).collect()
    };
    let outer = |theta: &[f64]| eval(&surrogate, &[&[adapted(theta)], &query[..], &old[..]].concat());
    let w = outer(&theta)[2].clone();
    let h =
        eval(&curvature, &[std::slice::from_ref(&theta), &support[..], std::slice::from_ref(&w)].concat())[0]
            .clone();
    let exact: Vec<f64> = w.iter().zip(h).map(|(w, h)| w - ALPHA * h).collect();
    let numeric = differences(&theta, |theta| outer(theta)[0][0]);
    let error = relative(&exact, &numeric);
    assert!(error < 1e-6, "{error:e}");
}

#[test]
fn padding_changes_no_gradient() {
    let policy = policy();
    let theta = numbers(policy.layout().size(), 0.3);
    let (short, long) = (policy.policy_gradient(&[], 4), policy.policy_gradient(&[], 7));
    let data = [numbers(12, 0.1), numbers(8, 0.2), numbers(4, 0.5), vec![0.25; 4]];
    let padded: Vec<Vec<f64>> = data.iter().map(|d| [&d[..], &vec![0.0; d.len() / 4 * 3]].concat()).collect();
    let a = eval(&short, &[std::slice::from_ref(&theta), &data[..]].concat());
    let b = eval(&long, &[&[theta], &padded[..]].concat());
    assert!(relative(&a[0], &b[0]) < 1e-14 && (a[1][0] - b[1][0]).abs() < 1e-14);
}

#[test]
fn the_meta_gradient_passes_through_a_recurrent_cell() {
    // A gated recurrent unit (Cho et al. 2014) is a composition of table ops: slices of a sequence, products,
    // sigmoid and tanh, gates cut from one concatenated product.
    let (hidden, time, n) = (2, 3, 4);
    let shapes: [&[usize]; 3] = [&[1 + hidden, 2 * hidden], &[1 + hidden, hidden], &[hidden, 1]];
    let sizes: usize = shapes.iter().map(|s| s.iter().product::<usize>()).sum();
    let tape = Tape::new();
    let (ports_in, ports_out) = {
        let theta: Vec<Var> = shapes.iter().map(|s| tape.input(s)).collect();
        let data: Vec<Var> = [[n, time], [n, 1], [n, time], [n, 1]].iter().map(|s| tape.input(s)).collect();
        let inner = (gru(&theta, data[0], hidden) - data[1]).square().mean_all();
        let adapted = mamlx::meta::inner::step(&theta, inner, tape.constant(ALPHA), true);
        let outer = (gru(&adapted, data[2], hidden) - data[3]).square().mean_all();
        let parts: Vec<(String, Var)> = theta.iter().map(|v| ("p".to_string(), *v)).collect();
        let gradient: Vec<(String, Var)> =
            grad(outer, &theta).into_iter().map(|v| ("g".to_string(), v)).collect();
        let mut ins = vec![Port::new("theta", &parts)];
        ins.extend(data.iter().map(|v| Port::single("data", *v)));
        (ins, vec![Port::new("gradient", &gradient), Port::single("loss", outer)])
    };
    let plan = Plan::new("gru", tape, ports_in, ports_out);
    let given: Vec<Vec<f64>> =
        [sizes, n * time, n, n * time, n].iter().enumerate().map(|(i, c)| numbers(*c, i as f64)).collect();
    let exact = eval(&plan, &given);
    let numeric = differences(&given[0], |theta| eval(&plan, &with(&given, 0, theta))[1][0]);
    let error = relative(&exact[0], &numeric);
    assert!(error < 1e-6, "{error:e}");
}

/// Final output of a gated recurrent unit over `x [n, time]`.
fn gru<'t>(p: &[Var<'t>], x: Var<'t>, hidden: usize) -> Var<'t> {
    let (n, time) = (x.shape[0], x.shape[1]);
    let mut h = x.tape.full(0.0, mamlx::graph::Shape::new(&[n, hidden]));
    for t in 0..time {
        let x_t = x.slice(1, t, t + 1);
        let gates = Var::concat(&[x_t, h], 1).matmul(p[0]).sigmoid();
        let (update, reset) = (gates.slice(1, 0, hidden), gates.slice(1, hidden, 2 * hidden));
        let candidate = Var::concat(&[x_t, reset * h], 1).matmul(p[1]).tanh();
        h = h + update * (candidate - h);
    }
    h.matmul(p[2])
}
