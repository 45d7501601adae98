//! The promise: derivatives are right, to third order, for every op and for whole meta-gradients.
//! Reference: central differences in f64 with the tolerances of PyTorch's gradcheck (eps 1e-6, atol 1e-5, rtol 1e-3).

use mamlx::graph::eval::{Value, evaluate, replay};
use mamlx::graph::{Op, Plan, Port, Tape, Var, grad, jvp, ops, vjp};

const EPS: f64 = 1e-6;

/// Deterministic irregular numbers in ±1.
pub fn numbers(count: usize, salt: f64) -> Vec<f64> {
    (0..count).map(|i| ((i as f64 + 1.0) * 2.399_963 + salt).sin()).collect()
}

type Build<'b> = &'b dyn for<'t> Fn(&[Var<'t>]) -> Vec<Var<'t>>;

fn plan(inputs: &[Value], build: Build) -> Plan {
    let tape = Tape::new();
    let (ports_in, ports_out) = {
        let vars: Vec<Var> = inputs.iter().map(|v| tape.input(&v.shape)).collect();
        let outs = build(&vars);
        let ports = |vars: &[Var]| vars.iter().map(|v| Port::single("x", *v)).collect::<Vec<_>>();
        (ports(&vars), ports(&outs))
    };
    Plan::new("test", tape, ports_in, ports_out)
}

fn run(plan: &Plan, inputs: &[Value]) -> Vec<f64> {
    let slices: Vec<&[f64]> = inputs.iter().map(|v| &v.data[..]).collect();
    evaluate(plan, &slices).concat()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-5 + 1e-3 * b.abs()
}

/// Compares the whole Jacobian of `build` with central differences, then does the same for its pullback,
/// `order` times.
fn check(what: &str, inputs: Vec<Value>, smooth: Vec<bool>, order: usize, build: Build) {
    let forward = plan(&inputs, build);
    let outs = run(&forward, &inputs);
    let shapes: Vec<Vec<usize>> = forward.outputs.iter().map(|p| p.parts[0].shape.to_vec()).collect();
    let count = inputs.len();
    let pulled: Build = &|vars| {
        let (xs, seeds) = vars.split_at(count);
        let wrt: Vec<Var> = xs.iter().zip(&smooth).filter(|(_, s)| **s).map(|(x, _)| *x).collect();
        vjp(&build(xs), seeds, &wrt)
    };
    let mut with_seeds = inputs.clone();
    with_seeds.extend(shapes.iter().map(|s| Value::new(s, vec![0.0; s.iter().product()])));
    let backward = plan(&with_seeds, pulled);
    for row in 0..outs.len() {
        let mut at = row;
        for seed in &mut with_seeds[count..] {
            let len = seed.data.len();
            seed.data.iter_mut().enumerate().for_each(|(i, x)| *x = if i == at { 1.0 } else { 0.0 });
            at = at.wrapping_sub(len);
        }
        let analytic = run(&backward, &with_seeds);
        let mut column = 0;
        for i in (0..count).filter(|i| smooth[*i]) {
            for j in 0..inputs[i].data.len() {
                let at = |delta: f64| {
                    let mut moved = inputs.clone();
                    moved[i].data[j] += delta;
                    run(&forward, &moved)[row]
                };
                let numeric = (at(EPS) - at(-EPS)) / (2.0 * EPS);
                let found = analytic[column];
                assert!(
                    close(found, numeric),
                    "{what}: d out[{row}] / d in{i}[{j}] is {found}, differences {numeric}"
                );
                column += 1;
            }
        }
    }
    if order > 1 {
        let mut next = inputs;
        next.extend(shapes.iter().map(|s| Value::new(s, numbers(s.iter().product(), order as f64))));
        let mut next_smooth = smooth.clone();
        next_smooth.extend(vec![true; shapes.len()]);
        check(&format!("{what}'"), next, next_smooth, order - 1, pulled);
    }
}

#[test]
fn every_row_of_the_table_has_right_derivatives_to_third_order() {
    for row in ops::TABLE {
        let samples = (row.samples)();
        assert!(row.name == "input" || !samples.is_empty(), "{} has no samples", row.name);
        for sample in samples {
            assert!(std::ptr::eq(ops::row(&sample.op), *row), "{} samples its own op", row.name);
            let op = sample.op;
            if sample.smooth.iter().any(|s| *s) {
                check(row.name, sample.inputs, sample.smooth, 3, &|vars| vec![vars[0].tape.apply(op, vars)]);
            }
        }
    }
}

#[test]
fn ops_with_derivative_zero_pass_nothing_back() {
    let inputs = [Value::new(&[2], vec![0.3, -0.2])];
    let stopped = plan(&inputs, &|v| grad(v[0].stop_gradient().square().sum_all(), &[v[0]]));
    assert_eq!(run(&stopped, &inputs), [0.0, 0.0]);
    let compared = plan(&inputs, &|v| grad(v[0].less_than(v[0] * 2.0).sum_all(), &[v[0]]));
    assert_eq!(run(&compared, &inputs), [0.0, 0.0]);
}

#[test]
fn forward_products_equal_the_transpose_of_reverse_products() {
    // ⟨v, Jᵀu⟩ = ⟨Jv, u⟩ on a small composition.
    let inputs = [
        Value::new(&[3, 2], numbers(6, 0.1)),
        Value::new(&[3, 2], numbers(6, 0.7)),
        Value::new(&[3, 1], numbers(3, 0.9)),
    ];
    let both = plan(&inputs, &|v| {
        let y = (v[0].tanh() * v[0]).sum_keep(&[1]).exp();
        let forward = (jvp(y, &[v[0]], &[v[1]]) * v[2]).sum_all();
        let reverse = (vjp(&[y], &[v[2]], &[v[0]])[0] * v[1]).sum_all();
        vec![forward, reverse]
    });
    let out = run(&both, &inputs);
    assert!((out[0] - out[1]).abs() < 1e-12 && out[0].abs() > 1e-3, "{out:?}");
}

fn gradient_of(x: &[f64], f: Build) -> Vec<f64> {
    let inputs = [Value::new(&[x.len()], x.to_vec())];
    run(&plan(&inputs, &|v| grad(f(v)[0], &[v[0]])), &inputs)
}

#[test]
fn trap_ties_share_the_gradient_of_a_maximum() {
    assert_eq!(gradient_of(&[2.0, 1.0, 2.0], &|v| vec![v[0].max_keep(&[0]).sum_all()]), [0.5, 0.0, 0.5]);
    assert_eq!(gradient_of(&[2.0], &|v| vec![v[0].max(v[0].tape.full(2.0, v[0].shape)).sum_all()]), [0.5]);
}

#[test]
fn trap_kinks_at_zero_have_derivative_zero() {
    assert_eq!(gradient_of(&[0.0, -0.0], &|v| vec![v[0].relu().sum_all()]), [0.0, 0.0]);
}

#[test]
fn trap_a_norm_at_zero_is_masked_on_its_input() {
    // √0 has an infinite slope; masking the input keeps both value and gradient finite.
    let safe_norm: Build = &|v| {
        let square = v[0].square();
        let zero = v[0].tape.full(0.0, v[0].shape);
        let positive = zero.less_than(square);
        vec![positive.select(positive.select(square, zero + 1.0).sqrt(), zero).sum_all()]
    };
    assert_eq!(gradient_of(&[0.0, 3.0], safe_norm), [0.0, 1.0]);
    assert!(gradient_of(&[0.0], &|v| vec![v[0].square().sqrt().sum_all()])[0].is_nan(), "the trap exists");
}

#[test]
fn trap_selecting_never_multiplies_zero_by_infinity() {
    let out = gradient_of(&[0.0, 1.0], &|v| {
        let zero = v[0].tape.full(0.0, v[0].shape);
        vec![zero.less_than(v[0]).select(v[0].log(), zero).sum_all()]
    });
    // The unselected logarithm at 0 has slope 0 · ∞; its input must be masked too, as here it is not.
    assert!(out[0].is_nan() && out[1] == 1.0, "{out:?}");
    let out = gradient_of(&[0.0, 1.0], &|v| {
        let zero = v[0].tape.full(0.0, v[0].shape);
        let mask = zero.less_than(v[0]);
        vec![mask.select(mask.select(v[0], zero + 1.0).log(), zero).sum_all()]
    });
    assert_eq!(out, [0.0, 1.0]);
}

#[test]
fn trap_log_sum_exp_survives_huge_logits() {
    let out = gradient_of(&[1000.0, 0.0, -1000.0], &|v| vec![v[0].log_sum_exp_keep(0).sum_all()]);
    assert_eq!(out, [1.0, 0.0, 0.0]);
}

#[test]
fn trap_broadcasting_both_ways() {
    let inputs = vec![Value::new(&[3, 1], numbers(3, 0.2)), Value::new(&[2], numbers(2, 0.5))];
    check("broadcast", inputs, vec![true, true], 2, &|v| vec![v[0] * v[1], v[1] - v[0]]);
}

#[test]
fn trap_a_parameter_used_twice_and_one_not_used() {
    assert_eq!(gradient_of(&[3.0], &|v| vec![(v[0] * v[0] * v[0]).sum_all()]), [27.0]);
    let inputs = [Value::new(&[1], vec![3.0]), Value::new(&[2], vec![1.0, 2.0])];
    let both = plan(&inputs, &|v| grad(v[0].square().sum_all(), &[v[0], v[1]]));
    assert_eq!(run(&both, &inputs), [6.0, 0.0, 0.0], "an unused parameter has gradient zero, not none");
}

#[test]
fn trap_reductions_over_length_one_and_zero() {
    check("sum over 1", vec![Value::new(&[1, 2], numbers(2, 0.3))], vec![true], 2, &|v| {
        vec![v[0].sum_keep(&[0]).exp()]
    });
    let inputs = [Value::new(&[0, 2], vec![])];
    let out = run(&plan(&inputs, &|v| vec![v[0].exp().sum(&[0])]), &inputs);
    assert_eq!(out, [0.0, 0.0]);
    let out = run(&plan(&inputs, &|v| grad(v[0].exp().sum_all(), &[v[0]])), &inputs);
    assert!(out.is_empty());
}

#[test]
fn luminal_executes_our_nodes() {
    let inputs = [Value::new(&[2, 3], numbers(6, 0.4)), Value::new(&[3, 2], numbers(6, 1.4))];
    let mut plan = plan(&inputs, &|v| vec![v[0].matmul(v[1]).tanh().sum_keep(&[0])]);
    let expected = run(&plan, &inputs);
    let out = plan.outputs[0].parts[0].node;
    for (port, value) in plan.inputs.iter().zip(&inputs) {
        let data: Vec<f32> = value.data.iter().map(|x| *x as f32).collect();
        plan.graph.set_tensor(port.parts[0].node, 0, luminal::prelude::Tensor::new(data));
    }
    plan.graph.no_delete.insert(out);
    plan.graph.execute();
    let tensor = plan.graph.get_tensor_ref(out, 0).expect("the output was kept");
    let data = tensor.data.as_any().downcast_ref::<Vec<f32>>().expect("an f32 tensor");
    assert!(
        data.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6),
        "{data:?} {expected:?}"
    );
}

#[test]
fn a_dump_does_not_depend_on_node_numbers() {
    let inputs = [Value::new(&[2], numbers(2, 0.0))];
    let text = plan(&inputs, &|v| vec![v[0].exp() + 1.0]).dump();
    let expected = "plan test\ninput x\n    x = %0 : [2]\noutput x\n    x = %5 : [2]\n\
        %0 = input #0 : [2]\n%1 = exp %0 : [2]\n%2 = constant 1.0 : []\n%3 = reshape %2 : [1]\n\
        %4 = expand %3 : [2]\n%5 = add %1 %4 : [2]\n";
    assert_eq!(text, expected);
    assert_eq!(Op::constant(1.0).as_constant(), Some(1.0));
}

/// A program of one vector.
fn of_vector(n: usize, build: impl for<'t> Fn(Var<'t>) -> Var<'t>) -> Plan {
    let tape = Tape::new();
    let ports = {
        let x = tape.input(&[n]);
        let y = tape.scope("body", || build(x));
        (vec![Port::single("x", x)], vec![Port::single("y", y)])
    };
    Plan::new("test", tape, ports.0, ports.1)
}

#[test]
fn a_number_that_is_not_finite_is_followed_to_where_it_was_born() {
    let born = |plan: &Plan, x: &[f32]| replay(plan, &[x]).unwrap_err().to_string();
    let log = of_vector(3, |x| x.log().exp() + 1.0);
    assert_eq!(replay(&log, &[&[1.0, 2.0, 0.5]]).unwrap(), [[2.0, 3.0, 1.5]]);
    assert_eq!(born(&log, &[1.0, 2.0, -0.5]), "`log` of -5e-1 is NaN in a tensor of shape [3], body");
    // ln 0 is -inf, but e to its power is 0: nothing reaches the output.
    assert_eq!(replay(&log, &[&[1.0, 2.0, 0.0]]).unwrap(), [[2.0, 3.0, 1.0]]);
    let log = of_vector(3, |x| x.log().sum_all());
    assert_eq!(born(&log, &[1.0, 0.0, 2.0]), "`log` of 0e0 is -inf in a tensor of shape [3], body");
    // In single precision, and so not in double.
    let square = of_vector(2, |x| x.square());
    assert_eq!(born(&square, &[1.0, 1e30]), "`mul` of 1e30 and 1e30 is inf in a tensor of shape [2], body");
    assert!(evaluate(&square, &[&[1.0, 1e30]])[0][1] > 0.99e60);
    assert_eq!(born(&square, &[1.0, f32::NAN]), "`x` is NaN in a tensor of shape [2]");
    // Masked, as the derivatives of norms are.
    let masked = of_vector(2, |x| x.less_than(x.square()).select(x.log(), x * 0.0));
    assert_eq!(replay(&masked, &[&[0.0, 2.0]]).unwrap()[0][0], 0.0);
    let slope = of_vector(2, |x| grad(x.sqrt().sum_all(), &[x])[0]);
    let text = "`div` of 5e-1 and 0e0 is inf in a tensor of shape [2], derivative of body";
    assert_eq!(born(&slope, &[1.0, 0.0]), text);
    let curve = of_vector(2, |x| grad(grad(x.sqrt().sum_all(), &[x])[0].sum_all(), &[x])[0]);
    let labels: Vec<String> = curve.dag().steps.iter().map(|step| step.label.to_string()).collect();
    for label in ["body", "derivative of body", "second derivative of body"] {
        assert!(labels.iter().any(|l| l == label), "no {label} in {labels:?}");
    }
}
