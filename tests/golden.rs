//! The promise: mamlx computes the meta-gradients that JAX computes in f64, on the very same data. `golden/make.py`
//! made the files.

use mamlx::bench::workload::{Kind, Model, Policy as PolicySizes, Quantity, Supervised, Workload};
use mamlx::bench::{Arrays, learner};
use mamlx::graph::Plan;
use mamlx::graph::eval::evaluate;
use mamlx::nn::mlp::Mlp;
use mamlx::nn::{Activation, Policy};
use mamlx::record::weights::Weights;
use safetensors::SafeTensors;
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(format!("{name}.safetensors"))
}

/// JAX's result, flat in the order of our layouts.
fn golden(name: &str, tensor: &str) -> Vec<f64> {
    let bytes = std::fs::read(path(&format!("{name}.golden"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(tensor).unwrap();
    view.data().as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x)).collect()
}

/// ‖a − b‖ / ‖b‖
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(x, y)| x - y)) / norm(&mut b.iter().copied())
}

/// The data file, each tensor in f64.
struct Data(Weights);

impl Data {
    fn read(name: &str) -> Data {
        Data(Weights::read(&path(name)).unwrap())
    }

    fn all(&self, tensor: &str) -> Vec<f64> {
        self.0.get(tensor).unwrap().values.iter().map(|x| f64::from(*x)).collect()
    }

    fn of_task(&self, tensor: &str, task: usize, tasks: usize) -> Vec<f64> {
        let all = self.all(tensor);
        let size = all.len() / tasks;
        all[task * size..][..size].to_vec()
    }

    fn theta(&self, parts: &[(String, mamlx::graph::Shape, std::ops::Range<usize>)]) -> Vec<f64> {
        parts.iter().flat_map(|(name, _, _)| self.all(name)).collect()
    }
}

fn program(name: &'static str, kind: Kind) -> Vec<f64> {
    let data = Arrays::read(&path(name)).unwrap();
    let workload = Workload { name, about: "", kind };
    let tensors =
        workload.prepare((&mamlx::lower::Device::cpu(), 2), Some(&data), None).unwrap().answer().unwrap();
    tensors.iter().flat_map(|tensor| &tensor.values).map(|x| f64::from(*x)).collect()
}

fn mean(sum: &mut [f64], term: &[f64], tasks: usize) {
    sum.iter_mut().zip(term).for_each(|(sum, x)| *sum += x / tasks as f64);
}

fn sizes([tasks, support, query, steps]: [usize; 4], rate: f32, model: Model) -> Supervised {
    Supervised { tasks, support, query, steps, rate, model }
}

#[test]
fn supervised_meta_gradients_are_those_of_jax() {
    let sine = |hidden, activation| Model::Mlp { hidden, activation };
    let conv = |size, channels, filters, pool| Model::Conv { size, channels, filters, pool, ways: 3 };
    let cases = [
        ("sine1", sizes([3, 10, 10, 1], 0.01, sine(&[40, 40], Activation::Relu))),
        ("sine5", sizes([2, 10, 10, 5], 0.01, sine(&[40, 40], Activation::Relu))),
        ("sine_tanh", sizes([2, 9, 9, 3], 0.01, sine(&[7, 13], Activation::Tanh))),
        ("conv_stride", sizes([2, 3, 3, 2], 0.4, conv(10, 1, 5, false))),
        ("conv_pool", sizes([2, 3, 6, 2], 0.05, conv(17, 3, 4, true))),
    ];
    for (name, sizes) in cases {
        let (data, jax) = (Data::read(name), golden(name, "gradient"));
        let learner = learner(&sizes);
        let plan = learner.meta_gradient(&[], sizes.support, sizes.query, sizes.steps);
        let theta = data.theta(&learner.model.layout().parts());
        // JAX took the decimal number in f64, not the f32 nearest to it.
        let rate = [sizes.rate.to_string().parse::<f64>().unwrap()];
        let mut exact = vec![0.0; theta.len()];
        for task in 0..sizes.tasks {
            let points = ["support_x", "support_y", "query_x", "query_y"]
                .map(|tensor| data.of_task(tensor, task, sizes.tasks));
            let inputs: Vec<&[f64]> =
                [&theta[..], &rate].into_iter().chain(points.iter().map(|p| &p[..])).collect();
            mean(&mut exact, &evaluate(&plan, &inputs)[0], sizes.tasks);
        }
        let gap = distance(&exact, &jax);
        assert!(gap < 1e-8, "{name}: the oracle is {gap:e} from JAX in f64");
        let gap = distance(&program(name, Kind::Supervised(sizes)), &jax);
        assert!(gap < 1e-3, "{name}: the program is {gap:e} from JAX in f64");
    }
}

#[test]
fn policy_gradients_and_curvature_products_are_those_of_jax() {
    const RATE: f64 = 0.1;
    let (name, tasks, rows) = ("policy", 2, 40);
    let data = Data::read(name);
    let mlp = Mlp::new(5, &[11, 11], 3, Activation::Tanh);
    let policy = Policy { mlp, context: 0, init_std: 1.0, min_std: 1e-6 };
    let theta = data.theta(&policy.layout().parts());
    let run = |plan: &Plan, inputs: &[&[f64]]| evaluate(plan, inputs);
    let plus = |a: &[f64], factor: f64, b: &[f64]| -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| a + factor * b).collect()
    };
    let (mut gradient, mut fisher) = (vec![0.0; theta.len()], vec![0.0; theta.len()]);
    let weight = vec![1.0 / rows as f64; rows];
    for task in 0..tasks {
        let of = |tensor: &str| data.of_task(tensor, task, tasks);
        let before = ["observation", "action", "advantage"].map(|what| of(&format!("before_{what}")));
        let after = ["observation", "action", "advantage"].map(|what| of(&format!("after_{what}")));
        let inner = [&theta, &before[0], &before[1], &before[2], &weight].map(|x| &x[..]);
        let adapted = plus(&theta, -RATE, &run(&policy.policy_gradient(&[], rows), &inner)[0]);
        let through = |vector: &[f64]| {
            let inputs = [&inner[..], &[vector]].concat();
            plus(vector, -RATE, &run(&policy.policy_curvature(&[], rows), &inputs)[0])
        };
        let old = run(&policy.act(&[], rows), &[&adapted, &after[0]]);
        let inputs = [&adapted, &after[0], &after[1], &after[2], &weight, &old[0], &old[1]].map(|x| &x[..]);
        let outer = run(&policy.surrogate(&[], rows, true), &inputs);
        mean(&mut gradient, &through(&outer[2]), tasks);
        let tangent = through(&data.all("vector"));
        let inputs = [&adapted, &after[0], &weight, &tangent].map(|x| &x[..]);
        mean(&mut fisher, &through(&run(&policy.fisher(&[], rows), &inputs)[0]), tasks);
    }
    let sizes = || PolicySizes { tasks, steps: rows, observation: 5, action: 3, hidden: 11, rate: 0.1 };
    for (tensor, exact, quantity) in
        [("gradient", gradient, Quantity::Gradient), ("fisher", fisher, Quantity::Fisher)]
    {
        let jax = golden(name, tensor);
        let gap = distance(&exact, &jax);
        assert!(gap < 1e-8, "{tensor}: the oracle is {gap:e} from JAX in f64");
        let found = program(name, Kind::Policy { sizes: sizes(), quantity });
        let gap = distance(&found, &jax);
        assert!(gap < 1e-3, "{tensor}: the program is {gap:e} from JAX in f64");
    }
}
