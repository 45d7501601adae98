//! The gradient certificate: before a run trusts its programs, their meta-gradient is held against central differences
//! of the whole outer loss.
//!
//! The outer loss is walked through step by step in f64, by the plans of one inner step and of the loss alone, which
//! share no derivative with the meta-gradient. Against it stand the meta-gradient of the f64 oracle and that of the
//! lowered f32 program, along a few random directions, on synthetic points at a random place of the parameter space: the
//! certificate is about the programs, not about the data. The order of the derivative is proven by its distance from
//! the other order, which has to be far beyond the error.

use super::composed::{Composed, Of};
use super::experiment::Experiment;
use super::few_shot::{self, classifier};
use super::supervised;
use crate::error::Result;
use crate::graph::eval::evaluate;
use crate::graph::{Plan, Port};
use crate::lower::{Device, lower};
use crate::meta::build;
use crate::meta::supervised::Learner as Plans;
use crate::nn::layout::Start;
use crate::nn::{Layout, Policy, Role};
use crate::random::{Purpose, Stream, stream};
use crate::spec::{Loss, Method, Order, PluginKind, Reduction, Spec, Word};
use rand_distr::{Distribution, StandardNormal};

/// Directions in parameter space along which a gradient is held against differences.
pub const DIRECTIONS: usize = 4;
/// Half the distance of a central difference. In f64 its own error is about 1e-8 of the result.
const DELTA: f64 = 1e-6;
/// Half the distance of the second difference that the Fisher product is held against; error about 1e-6.
const DELTA_SECOND: f64 = 1e-4;
/// Points, or time steps, of the synthetic batches at most.
const MOST_POINTS: usize = 10;
/// Multiply-adds of one evaluation of the meta-gradient at most, as far as fewer points can help: the f64 oracle is
/// slow, and a run should not wait for it.
const MOST_WORK: usize = 2_000_000;
/// Points of a data set at most; fewer would leave a batch normalisation of few pixels little to vary.
const MOST_IMAGES: usize = 4;
/// Multiply-adds of the network on one of these points at most, and how small an image may become to get there, in pixels.
const MOST_POINT_WORK: usize = 1_000_000;
const LEAST_SIDE: usize = 8;
/// Inner steps at most: each is the same once more. The second is for images.
const MOST_STEPS: [usize; 2] = [5, 2];
/// What an error may be. The f64 bound is that of the central differences, the f32 bound that of a long sum.
const TOLERANCE_F64: f64 = 1e-5;
const TOLERANCE_F32: f64 = 1e-3;

/// What was found for one method.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// The method, or `fisher` for the curvature of trust regions.
    pub of: String,
    /// 2: differentiates through the inner gradient; 1: holds it constant, or has none.
    pub order: u8,
    /// Relative error of the oracle's gradient, and of the lowered program's.
    pub error_f64: f64,
    pub error_f32: f64,
    /// Relative distance from the gradient of the other order; `None` without an inner step or a gradient.
    pub other_order: Option<f64>,
}

impl Certificate {
    /// Whether errors are small and, next to them, the other order is far away.
    pub fn holds(&self) -> bool {
        let error = self.error_f64.max(self.error_f32);
        let small = self.error_f64 <= TOLERANCE_F64 && self.error_f32 <= TOLERANCE_F32;
        small && self.other_order.is_none_or(|distance| distance > 10.0 * error)
    }
}

/// The certificates of every trained method of an experiment, for the programs of a device.
pub fn certificates(experiment: &Experiment, device: &Device) -> Result<Vec<Certificate>> {
    let (spec, plugin) = (&experiment.spec, &experiment.plugin);
    let trained = spec.methods.iter().copied().filter(|method| *method != Method::Random);
    match plugin.info.kind {
        PluginKind::Tasks => {
            let tasks = plugin.tasks(&spec.task.params)?;
            let (x, y, task) = (tasks.spaces().x.len(), tasks.spaces().y.len(), tasks.spaces().task.len());
            let inputs = |method| x + if method == Method::Oracle { task } else { 0 };
            let of = |method| {
                let plans = supervised::plans(spec, method, &[inputs(method)], y)?;
                let work = plans.model.layout().size() * (spec.inner.steps.min(MOST_STEPS[0]) + 1);
                let most = ((MOST_WORK / work).clamp(1, MOST_POINTS), MOST_STEPS[0]);
                supervised_of(spec, method, &plans, most, device)
            };
            trained.map(of).collect()
        }
        PluginKind::Environment => {
            let env = plugin.env(&spec.task.params, 1)?;
            let (observation, action) = (env.spaces().observation.len(), env.spaces().action.len());
            let task = env.spaces().task.len();
            let policy = |method| {
                let more = if method == Method::Oracle { task } else { 0 };
                let context = supervised::context(spec, method).unwrap_or(0);
                build::policy(&spec.model, observation + more, action, context)
            };
            let mut all: Vec<Certificate> = trained
                .map(|method| policy_of(spec, method, &policy(method), device))
                .collect::<Result<_>>()?;
            if !all.is_empty() {
                all.push(fisher_of(&policy(Method::Maml), device)?);
            }
            Ok(all)
        }
        PluginKind::Data => {
            let shape = plugin.data(&spec.task.params)?.spaces().item_shape.clone();
            let most = (MOST_IMAGES, MOST_STEPS[1]);
            let of = |method| supervised_of(spec, method, &image_plans(spec, method, &shape)?, most, device);
            trained.map(of).collect()
        }
    }
}

/// The plans of a method on items of a data set. Images are halved, as often as the layers let them, until one of them
/// is little enough work: what is certified are the same layers on smaller images.
fn image_plans(spec: &Spec, method: Method, shape: &[usize]) -> Result<Plans> {
    let of = |shape: &[usize]| match method.classifies() {
        true => classifier::plans(spec, method, shape, spec.task.ways.unwrap_or(2)),
        false => few_shot::plans(spec, method, shape),
    };
    let work = |plans: &Plans| lower(plans.evaluate(&[], 1)).flops() as usize / 2;
    let (mut plans, mut shape) = (of(shape)?, shape.to_vec());
    while shape.len() > 1 && work(&plans) > MOST_POINT_WORK {
        shape[..2].iter_mut().for_each(|side| *side = side.div_ceil(2));
        match of(&shape) {
            Ok(smaller) if shape[..2].iter().all(|side| *side >= LEAST_SIDE) => plans = smaller,
            _ => break,
        }
    }
    Ok(plans)
}

/// The certificate of a supervised method, on at most so many points and inner steps.
fn supervised_of(
    spec: &Spec,
    method: Method,
    plans: &Plans,
    (most, most_steps): (usize, usize),
    device: &Device,
) -> Result<Certificate> {
    let adapts = method.adapts();
    let layout = plans.model.layout();
    let (inputs, outputs) = (plans.model.input().iter().product::<usize>(), plans.model.outputs());
    let steps = if adapts { spec.inner.steps.min(most_steps) } else { 0 };
    let ways = spec.task.ways.unwrap_or(1);
    let (support, query) = ((ways * spec.task.support).min(most), (ways * spec.task.query).min(most));
    let mut draws = stream(0, Purpose::Certificate, 0, 0, 0);
    let theta = place(&layout, &mut draws);
    let points = |n: usize, draws: &mut Stream| {
        let x = normal(n * inputs, draws);
        let y = match plans.loss {
            Loss::CrossEntropy => one_hot(n, outputs),
            Loss::SquaredError | Loss::Reinforce => normal(n * outputs, draws),
        };
        (x, y)
    };
    let ((sx, sy), (qx, qy)) = (points(support, &mut draws), points(query, &mut draws));
    // A sum over points is as much steeper than their mean.
    let rate = [if plans.reduction == Reduction::Sum { 0.1 / support as f64 } else { 0.1 }];
    let inner: Vec<Plan> = (0..steps).map(|step| plans.adapt_after(&[], support, step)).collect();
    let outer = plans.outer_loss(&[], support, query, steps);
    let adapted = |theta: &[f64]| {
        let step = |theta: Vec<f64>, plan: &Plan| evaluate(plan, &[&theta, &rate, &sx, &sy]).swap_remove(0);
        inner.iter().fold(theta.to_vec(), step)
    };
    let loss = |theta: &[f64]| {
        let mut given: Vec<&[f64]> = vec![theta, &sx, &qx, &qy];
        if outer.inputs.len() == 3 {
            given.remove(1);
        }
        evaluate(&outer, &given)[0][0]
    };
    let moved = adapted(&theta);
    let whole = |theta: &[f64]| loss(&adapted(theta));
    let frozen = |place: &[f64]| {
        let shifted = place.iter().zip(&theta).zip(&moved).map(|((p, theta), moved)| p - theta + moved);
        loss(&shifted.collect::<Vec<f64>>())
    };
    let plan = plans.meta_gradient(&[], support, query, steps);
    let given: Vec<&[f64]> =
        if steps > 0 { vec![&theta, &rate, &sx, &sy, &qx, &qy] } else { vec![&theta, &qx, &qy] };
    let mut exact = evaluate(&plan, &given).swap_remove(0);
    // The program has the form that the run's has, which goes by the number of its steps.
    let mut lowered = match plans.unrolls(spec.inner.steps) || device.batches() || steps == 0 {
        true => run_f32(device, plan, &given)?.swap_remove(0),
        false => composed_f32(&Composed::new(plans, support, query, steps, 1), &given),
    };
    for (entry, (_, _, range)) in layout.entries.iter().zip(layout.parts()) {
        // What stands here is no gradient: no loss of training depends on a running average.
        if entry.role == Role::Average {
            exact[range.clone()].fill(0.0);
            lowered[range].fill(0.0);
        }
    }
    let order = if plans.order == Order::Second && adapts { 2 } else { 1 };
    Ok(judge(method.word(), order, adapts, [&whole, &frozen], &theta, [&exact, &lowered]))
}

/// One number of the parameters, and the same with the inner gradient held constant.
pub type Losses<'a> = [&'a dyn Fn(&[f64]) -> f64; 2];

/// Holds two computed gradients against differences of the loss that belongs to the order, and against the other.
pub fn judge(
    of: &str,
    order: u8,
    adapts: bool,
    [whole, frozen]: Losses,
    theta: &[f64],
    [exact, lowered]: [&[f64]; 2],
) -> Certificate {
    let directions = directions(theta.len());
    let difference = |loss: &dyn Fn(&[f64]) -> f64, v: &[f64]| {
        (loss(&shifted(theta, v, DELTA)) - loss(&shifted(theta, v, -DELTA))) / (2.0 * DELTA)
    };
    let along = |gradient: &[f64]| directions.iter().map(|v| dot(gradient, v)).collect::<Vec<f64>>();
    let differences =
        |loss: &dyn Fn(&[f64]) -> f64| directions.iter().map(|v| difference(loss, v)).collect::<Vec<f64>>();
    let (mine, other) = if order == 2 || !adapts { (whole, frozen) } else { (frozen, whole) };
    let expected = differences(mine);
    Certificate {
        of: of.to_string(),
        order,
        error_f64: relative(&along(exact), &expected),
        error_f32: relative(&along(lowered), &expected),
        // A loss that never changes has a gradient of 0 to every order.
        other_order: (adapts && expected.iter().any(|d| *d != 0.0))
            .then(|| relative(&along(exact), &differences(other))),
    }
}

/// The meta-gradient of a policy is composed of three programs, as the run composes it: ∇S at the adapted parameters,
/// carried back through every inner step by v ↦ v − α ∇²L v.
fn policy_of(spec: &Spec, method: Method, policy: &Policy, device: &Device) -> Result<Certificate> {
    let adapts = method.adapts();
    let second = adapts && method != Method::Fomaml && spec.inner.order == Order::Second;
    let steps = if adapts { spec.inner.steps.min(5) } else { 0 };
    let (n, rate) = (MOST_POINTS, 0.1);
    let mut draws = stream(0, Purpose::Certificate, 1, 0, 0);
    let layout = policy.layout();
    let theta = place(&layout, &mut draws);
    let gradient = policy.policy_gradient(&[], n);
    let batches: Vec<Vec<Vec<f64>>> = (0..=steps).map(|_| batch(&gradient, n, &mut draws)).collect();
    let (surrogate, with_gradient) = (policy.surrogate(&[], n, false), policy.surrogate(&[], n, true));
    let curvature = policy.policy_curvature(&[], n);
    let step = |theta: &[f64], batch: &[Vec<f64>]| -> Vec<f64> {
        let mut g = evaluate(&gradient, &after(theta, batch)).swap_remove(0);
        layout.hold(&mut g);
        theta.iter().zip(g).map(|(p, g)| p - rate * g).collect()
    };
    let path = |theta: &[f64]| -> Vec<Vec<f64>> {
        let mut path = vec![theta.to_vec()];
        for batch in &batches[..steps] {
            path.push(step(&path[path.len() - 1], batch));
        }
        path
    };
    let thetas = path(&theta);
    let moved = thetas[steps].clone();
    // The distribution that the outer batch was drawn from: near the adapted policy, and fixed.
    let old = evaluate(
        &policy.act(&[], n),
        &[&shifted(&moved, &directions(theta.len())[0], 0.05), &batches[steps][0]],
    );
    let outer = |theta: &[f64], plan: &Plan| {
        let inputs: Vec<&[f64]> =
            after(theta, &batches[steps]).into_iter().chain(old.iter().map(|v| &v[..])).collect();
        evaluate(plan, &inputs)
    };
    let whole = |theta: &[f64]| outer(&path(theta)[steps], &surrogate)[0][0];
    let frozen = |place: &[f64]| {
        let at: Vec<f64> = place.iter().zip(&theta).zip(&moved).map(|((p, t), m)| p - t + m).collect();
        outer(&at, &surrogate)[0][0]
    };
    let mut exact = outer(&moved, &with_gradient).swap_remove(2);
    let inputs: Vec<&[f64]> =
        after(&moved, &batches[steps]).into_iter().chain(old.iter().map(|v| &v[..])).collect();
    let mut lowered = run_f32(device, policy.surrogate(&[], n, true), &inputs)?.swap_remove(2);
    for k in (0..if second { steps } else { 0 }).rev() {
        let back = |vector: &mut Vec<f64>, product: Vec<f64>| {
            vector.iter_mut().zip(product).for_each(|(v, hv)| *v -= rate * hv);
        };
        let with = |vector: &[f64]| -> Vec<Vec<f64>> {
            let mut vector = vector.to_vec();
            layout.hold(&mut vector);
            let inputs = after(&thetas[k], &batches[k]);
            inputs.into_iter().map(<[f64]>::to_vec).chain([vector]).collect()
        };
        let product = evaluate(&curvature, &slices(&with(&exact))).swap_remove(0);
        back(&mut exact, product);
        let along = with(&lowered);
        let product = run_f32(device, policy.policy_curvature(&[], n), &slices(&along))?.swap_remove(0);
        back(&mut lowered, product);
    }
    let order = if second { 2 } else { 1 };
    Ok(judge(method.word(), order, adapts, [&whole, &frozen], &theta, [&exact, &lowered]))
}

/// vᵀ F v of the Fisher program against the second difference of the divergence itself, KL(θ ‖ θ ± δ v).
fn fisher_of(policy: &Policy, device: &Device) -> Result<Certificate> {
    let n = MOST_POINTS;
    let mut draws = stream(0, Purpose::Certificate, 2, 0, 0);
    let theta = place(&policy.layout(), &mut draws);
    let (plan, surrogate) = (policy.fisher(&[], n), policy.surrogate(&[], n, false));
    let data = batch(&policy.policy_gradient(&[], n), n, &mut draws);
    let old = evaluate(&policy.act(&[], n), &[&theta, &data[0]]);
    let kl = |theta: &[f64]| {
        let inputs: Vec<&[f64]> = after(theta, &data).into_iter().chain(old.iter().map(|v| &v[..])).collect();
        evaluate(&surrogate, &inputs)[1][0]
    };
    let (mut exact, mut lowered, mut expected) = (vec![], vec![], vec![]);
    for v in directions(theta.len()) {
        let inputs: [&[f64]; 4] = [&theta, &data[0], &data[3], &v];
        exact.push(dot(&evaluate(&plan, &inputs)[0], &v));
        lowered.push(dot(&run_f32(device, policy.fisher(&[], n), &inputs)?[0], &v));
        let ends = [DELTA_SECOND, -DELTA_SECOND].map(|delta| kl(&shifted(&theta, &v, delta)));
        expected.push((ends[0] - 2.0 * kl(&theta) + ends[1]) / (DELTA_SECOND * DELTA_SECOND));
    }
    Ok(Certificate {
        of: "fisher".into(),
        order: 2,
        error_f64: relative(&exact, &expected),
        error_f32: relative(&lowered, &expected),
        other_order: None,
    })
}

/// A place in parameter space where nothing is special: weights as wide as their inputs allow, constants moved.
fn place(layout: &Layout, draws: &mut Stream) -> Vec<f64> {
    let mut theta = vec![];
    for entry in &layout.entries {
        let (centre, width) = match entry.start {
            Start::Constant(value) => (f64::from(value as f32), 0.1),
            Start::Weight { fan_in, fan_out, .. } => (0.0, (2.0 / (fan_in + fan_out) as f64).sqrt()),
        };
        let count = entry.shape.iter().product();
        theta.extend(normal(count, draws).into_iter().map(|x| f64::from((centre + width * x) as f32)));
    }
    theta
}

/// Synthetic inputs of a policy's data ports, weights 1/n.
fn batch(plan: &Plan, n: usize, draws: &mut Stream) -> Vec<Vec<f64>> {
    let of = |port: &Port| match port.name.as_str() {
        "weight" => vec![f64::from(1.0 / n as f32); n],
        _ => normal(port.size(), draws),
    };
    plan.inputs.iter().skip(1).map(of).collect()
}

/// Standard normal numbers that f32 holds exactly, so that both precisions are given the same.
fn normal(count: usize, draws: &mut Stream) -> Vec<f64> {
    let one = |_| -> f64 { StandardNormal.sample(draws) };
    (0..count).map(one).map(|x| f64::from(x as f32)).collect()
}

fn one_hot(n: usize, classes: usize) -> Vec<f64> {
    (0..n * classes).map(|i| if i % classes == (i / classes) % classes { 1.0 } else { 0.0 }).collect()
}

/// Directions of length 1, the same for every certificate of this size.
fn directions(size: usize) -> Vec<Vec<f64>> {
    let one = |number: usize| {
        let v = normal(size, &mut stream(0, Purpose::Certificate, 3, number as u32, 0));
        let length = dot(&v, &v).sqrt();
        v.into_iter().map(|x| x / length).collect()
    };
    (0..DIRECTIONS).map(one).collect()
}

fn run_f32(device: &Device, plan: Plan, inputs: &[&[f64]]) -> Result<Vec<Vec<f64>>> {
    let program = device.lower(plan)?;
    let inputs: Vec<Vec<f32>> =
        inputs.iter().map(|values| values.iter().map(|x| *x as f32).collect()).collect();
    let mut outputs: Vec<Vec<f32>> = program.outputs().iter().map(|port| vec![0.0; port.size()]).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(|values| &values[..]).collect();
    let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(|values| &mut values[..]).collect();
    program.run(&mut program.scratch()?, &inputs, &mut slices)?;
    Ok(outputs.into_iter().map(|values| values.into_iter().map(f64::from).collect()).collect())
}

/// The meta-gradient at `theta`, `rate` and the points.
fn composed_f32(program: &Composed, inputs: &[&[f64]]) -> Vec<f64> {
    let inputs: Vec<Vec<f32>> =
        inputs.iter().map(|values| values.iter().map(|x| *x as f32).collect()).collect();
    let points = [2, 3, 4, 5].map(|at| &inputs[at][..]);
    let mut gradient = vec![0.0; inputs[0].len()];
    program.run(0, &Of { theta: &inputs[0], rate: inputs[1][0], points }, &mut gradient);
    gradient.into_iter().map(f64::from).collect()
}

fn after<'a>(theta: &'a [f64], batch: &'a [Vec<f64>]) -> Vec<&'a [f64]> {
    std::iter::once(theta).chain(batch.iter().map(|v| &v[..])).collect()
}

fn slices(values: &[Vec<f64>]) -> Vec<&[f64]> {
    values.iter().map(|v| &v[..]).collect()
}

fn shifted(theta: &[f64], direction: &[f64], by: f64) -> Vec<f64> {
    theta.iter().zip(direction).map(|(p, v)| p + by * v).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// ‖found − expected‖ / ‖expected‖; where nothing is expected, what was found.
fn relative(found: &[f64], expected: &[f64]) -> f64 {
    let gap: Vec<f64> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    let scale = dot(expected, expected);
    (dot(&gap, &gap) / if scale > 0.0 { scale } else { 1.0 }).sqrt()
}
