//! The graphs of a whole meta-batch against those of one task and one step, joined by hand in f64.

use super::{ALPHA, eval, policy, policy_with_context};
use crate::graph::numbers;
use mamlx::graph::{Plan, Port};
use mamlx::nn::Policy;

const TASKS: usize = 3;
const SUPPORT: usize = 5;
const QUERY: usize = 4;

/// Data for every port of a plan.
fn data(plan: &Plan) -> Vec<Vec<f64>> {
    let of = |(i, port): (usize, &Port)| match port.name.as_str() {
        "rate" => vec![ALPHA],
        name if name.starts_with("weight") => (0..port.size()).map(|i| 0.1 + 0.01 * i as f64).collect(),
        _ => numbers(port.size(), i as f64 * 0.37),
    };
    plan.inputs.iter().enumerate().map(of).collect()
}

/// A task's part of everything that has the task axis in front.
fn of_task(task: usize, ports: &[Vec<f64>]) -> Vec<Vec<f64>> {
    ports.iter().map(|port| port.chunks(port.len() / TASKS).nth(task).unwrap().to_vec()).collect()
}

fn less(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - ALPHA * b).collect()
}

/// One task's adaptation, as `run` composes it.
struct Alone<'a> {
    policy: &'a Policy,
    /// Observations, actions, advantages and weights of every phase.
    phases: Vec<Vec<Vec<f64>>>,
    thetas: Vec<Vec<f64>>,
}

impl Alone<'_> {
    fn new<'a>(policy: &'a Policy, theta: &[f64], data: &[Vec<f64>]) -> Alone<'a> {
        let phases: Vec<Vec<Vec<f64>>> = data.chunks(4).map(<[_]>::to_vec).collect();
        let mut thetas = vec![theta.to_vec()];
        for phase in &phases[..phases.len() - 1] {
            let theta = thetas[thetas.len() - 1].clone();
            let gradient = eval(&policy.policy_gradient(&[], SUPPORT), &with(&theta, phase))[0].clone();
            thetas.push(less(&theta, &held(policy, gradient)));
        }
        Alone { policy, phases, thetas }
    }

    fn last(&self) -> (&[f64], &[Vec<f64>]) {
        (&self.thetas[self.thetas.len() - 1], &self.phases[self.phases.len() - 1])
    }

    fn old(&self) -> Vec<Vec<f64>> {
        let (theta, last) = self.last();
        eval(&self.policy.act(&[], QUERY), &with(theta, &last[..1]))
    }

    fn hessian(&self, step: usize, vector: &[f64]) -> Vec<f64> {
        let inputs = [with(&self.thetas[step], &self.phases[step]), vec![vector.to_vec()]].concat();
        eval(&self.policy.policy_curvature(&[], SUPPORT), &inputs)[0].clone()
    }

    fn back(&self, through: bool, adjoint: Vec<f64>) -> Vec<f64> {
        let steps = if through { self.thetas.len() - 1 } else { 0 };
        (0..steps).rev().fold(adjoint, |adjoint, step| {
            less(&adjoint, &self.hessian(step, &held(self.policy, adjoint.clone())))
        })
    }

    /// Gradient and loss of the outer objective.
    fn gradient(&self, through: bool) -> (Vec<f64>, f64) {
        let (theta, last) = self.last();
        let surrogate = self.policy.surrogate(&[], QUERY, true);
        let found = eval(&surrogate, &[with(theta, last), self.old()].concat());
        (self.back(through, found[2].clone()), found[0][0])
    }

    fn product(&self, through: bool, vector: &[f64]) -> Vec<f64> {
        let (theta, last) = self.last();
        let steps = if through { self.thetas.len() - 1 } else { 0 };
        let tangent = (0..steps).fold(vector.to_vec(), |tangent, step| {
            less(&tangent, &held(self.policy, self.hessian(step, &tangent)))
        });
        let inputs = [theta.to_vec(), last[0].clone(), last[3].clone(), tangent];
        self.back(through, eval(&self.policy.fisher(&[], QUERY), &inputs)[0].clone())
    }

    /// Loss and divergence against other policies.
    fn surrogate(&self, old: &[Vec<f64>]) -> Vec<f64> {
        let (theta, last) = self.last();
        eval(&self.policy.surrogate(&[], QUERY, false), &[&with(theta, last), old].concat()).concat()
    }
}

fn with(theta: &[f64], data: &[Vec<f64>]) -> Vec<Vec<f64>> {
    [&[theta.to_vec()], data].concat()
}

fn held(policy: &Policy, mut vector: Vec<f64>) -> Vec<f64> {
    policy.layout().hold(&mut vector);
    vector
}

fn near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(largest > 0.0 && apart <= 1e-9 * largest, "{what}: {apart:e} of {largest:e}");
}

fn sum(each: &[Vec<f64>]) -> Vec<f64> {
    (0..each[0].len()).map(|i| each.iter().map(|x| x[i]).sum()).collect()
}

#[test]
fn a_batch_of_policies_has_the_sums_of_its_tasks() {
    for policy in [policy(), policy_with_context()] {
        for (steps, through) in [(0, true), (1, false), (1, true), (2, false), (2, true)] {
            let what = format!("context {}, {steps} steps, through {through}", policy.context);
            let gradient = policy.batch_gradient(TASKS, SUPPORT, QUERY, steps, through);
            let given = data(&gradient);
            let all = eval(&gradient, &given);
            let each: Vec<Alone> =
                (0..TASKS).map(|task| Alone::new(&policy, &given[0], &of_task(task, &given[2..]))).collect();
            let (gradients, losses): (Vec<Vec<f64>>, Vec<f64>) =
                each.iter().map(|alone| alone.gradient(through)).unzip();
            near(&all[0], &sum(&gradients), &format!("gradient, {what}"));
            near(&all[1], &losses, &format!("loss, {what}"));
            let old: Vec<Vec<Vec<f64>>> = each.iter().map(Alone::old).collect();
            for part in 0..2 {
                let old: Vec<f64> = old.iter().flat_map(|old| old[part].clone()).collect();
                near(&all[2 + part], &old, &format!("distribution, {what}"));
            }

            let fisher = policy.batch_fisher(TASKS, SUPPORT, QUERY, steps, through);
            let vector = numbers(policy.layout().size(), 1.9);
            let mut inputs = given.clone();
            inputs.drain(given.len() - 3..given.len() - 1);
            inputs.push(vector.clone());
            let products: Vec<Vec<f64>> = each.iter().map(|alone| alone.product(through, &vector)).collect();
            near(&eval(&fisher, &inputs)[0], &sum(&products), &format!("product, {what}"));

            let surrogate = policy.batch_surrogate(TASKS, SUPPORT, QUERY, steps);
            let mut inputs = [&given[..], &all[2..]].concat();
            inputs[0].iter_mut().zip(&vector).for_each(|(theta, v)| *theta += 0.1 * v);
            let judged = (0..TASKS).map(|task| {
                let candidate = Alone::new(&policy, &inputs[0], &of_task(task, &given[2..]));
                candidate.surrogate(&old[task])
            });
            let judged: Vec<Vec<f64>> = judged.collect();
            for (part, found) in eval(&surrogate, &inputs).iter().enumerate() {
                let expected: Vec<f64> = judged.iter().map(|judged| judged[part]).collect();
                near(found, &expected, &format!("candidate, {what}"));
            }
        }
    }
}
