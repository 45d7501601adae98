//! What an experiment will take, before it runs: parameters, work, memory and time.
//!
//! Time and memory are measured, not modelled: the gradient certificate, one meta-iteration and one evaluation of every
//! method on a few tasks, in the very code that the run uses. Time is then multiplied, and to memory is added what grows with the run.

use super::certificate::certificates;
use super::experiment::Experiment;
use super::learner::{Learner, Split, State};
use super::session::{start, twin};
use crate::error::Result;
use crate::lower::{Program, lower};
use crate::record::row::{TimingRow, TrainRow};
use crate::spec::{Method, Optimizer, PluginKind, Select, Spec};
use std::time::{Duration, Instant};

/// Meta-iterations are repeated until their time is known, up to this long for each method.
const MEASURE: Duration = Duration::from_millis(150);
/// Where a whole meta-iteration is expected to take less than this, it is measured with all its tasks.
const WHOLE: f64 = 0.5;
/// Memory that is asked for only to see how large the process gets.
const MOST_TRIED: u64 = 1 << 30;
/// A row of an evaluation in memory, its texts included.
const ROW_BYTES: u64 = 200;

/// The forecast of a run.
pub struct Forecast {
    pub methods: Vec<MethodForecast>,
    /// Floating-point operations of one adapted meta-iteration, matrix products only, 2 per multiply-add.
    pub flops: u64,
    /// The largest the process will be; `None` where the system does not say how large it is now.
    pub peak_bytes: Option<u64>,
    pub threads: usize,
}

/// One method's share.
pub struct MethodForecast {
    pub method: Method,
    pub parameters: usize,
    pub iterations: u64,
    /// Of one meta-iteration.
    pub train_secs: f64,
    /// On test tasks and on validation tasks.
    pub evaluations: u64,
    /// Of one evaluation.
    pub eval_secs: f64,
}

impl MethodForecast {
    pub fn secs(&self) -> f64 {
        self.iterations as f64 * self.train_secs + self.evaluations as f64 * self.eval_secs
    }
}

/// Measures an experiment on this machine with so many threads.
pub fn forecast(experiment: &Experiment, threads: usize) -> Result<Forecast> {
    let spec = &experiment.spec;
    // As a run does first; it may take more memory than the run itself.
    certificates(experiment, &super::device(spec)?)?;
    if spec.memory_budget.is_some() {
        // What is measured below is smaller than the run, and a budget that it fits in may be too little for the run.
        drop(experiment.learner(threads)?);
    }
    let few = |count: usize| count.min(threads);
    let mut small = spec.clone();
    // Sampled test tasks cost the same as those of a file, of which a few would not be all.
    small.eval.task_file = None;
    (small.outer.tasks, small.eval.tasks) = (few(spec.outer.tasks), few(spec.eval.tasks));
    small.eval.support = spec.eval.support.iter().copied().max().into_iter().collect();
    small.eval.rate.clear();
    let mut whole = small.clone();
    (whole.outer.tasks, whole.eval.tasks) = (spec.outer.tasks, spec.eval.tasks);
    // The largest support size stands for itself, the others for as much as they are smaller.
    let largest = small.eval.support.first().copied().unwrap_or(1) as f64;
    let supports = spec.eval.support.iter().map(|size| *size as f64 / largest).sum::<f64>();
    let small = experiment.with(small);
    let mut learner = small.learner(threads)?;
    let scale = |all: usize| all as f64 / few(all) as f64;
    let mut times = vec![];
    for method in &spec.methods {
        let [train_secs, eval_secs] = measure(&small.spec, &mut *learner, *method)?;
        times.push([train_secs * scale(spec.outer.tasks), eval_secs * scale(spec.eval.tasks)]);
    }
    let is_short = |times: &[f64; 2]| times[0].max(times[1]) < WHOLE;
    let measured_all = times.iter().any(is_short);
    if measured_all {
        // Never both at once, which would take more memory than the run.
        drop(learner);
        learner = experiment.with(whole.clone()).learner(threads)?;
        for (method, times) in spec.methods.iter().zip(&mut times).filter(|(_, times)| is_short(times)) {
            *times = measure(&whole, &mut *learner, *method)?;
        }
    }
    let mut methods = vec![];
    for (number, (method, [train_secs, eval_secs])) in spec.methods.iter().zip(times).enumerate() {
        let learnt = spec.iterations(*method);
        // A method that uses what another has learnt is evaluated as often.
        let iterations = if twin(spec, number).is_some() { 0 } else { learnt };
        let between = match spec.eval.every as u64 {
            0 => 0,
            // The last meta-iteration is always evaluated, once.
            every => learnt.saturating_sub(1) / every,
        };
        methods.push(MethodForecast {
            method: *method,
            parameters: learner.layout(*method).size(),
            iterations,
            train_secs,
            evaluations: match (learner.validates(), spec.eval.select) {
                (false, _) => between + 1,
                (true, Select::Last) => 2 * (between + 1),
                // One more, on the test tasks.
                (true, Select::Best) => between + 2,
            },
            eval_secs: eval_secs * supports,
        });
    }
    let rows: u64 = methods.iter().map(|method| method.evaluations).sum::<u64>()
        * (spec.eval.tasks * (spec.eval.steps + 1) * spec.eval.support.len()) as u64;
    // The weights of every evaluation are kept, and twice more while their file is made.
    let saved: u64 = methods.iter().map(|method| 3 * 4 * method.evaluations * method.parameters as u64).sum();
    let more = if measured_all { 0 } else { (spec.outer.tasks - few(spec.outer.tasks)) as u64 };
    let parameters = methods.iter().map(|method| method.parameters).max().unwrap_or(0);
    let mut grows = rows * ROW_BYTES + saved;
    let task_bytes = bytes_of_task(experiment, parameters)?;
    let tasks = more * task_bytes;
    // Further tasks first take what the certificate and the lowering have left free, so their memory is asked for in
    // earnest, unless it is too much for an answer to a question.
    let tried = if tasks > MOST_TRIED { 0 } else { more };
    let held: Vec<Vec<u8>> = (0..tried).map(|_| vec![1; task_bytes as usize]).collect();
    if tried < more {
        grows += tasks;
    }
    // The largest moment may have been the certificate or the lowering, or is still to come.
    let peak_bytes =
        process_bytes("VmRSS").zip(process_bytes("VmHWM")).map(|(now, most)| most.max(now + grows));
    drop(std::hint::black_box(held));
    Ok(Forecast { flops: flops(experiment)?, peak_bytes, methods, threads })
}

/// Seconds of one meta-iteration and of one evaluation, at the initial parameters.
fn measure(spec: &Spec, learner: &mut dyn Learner, method: Method) -> Result<[f64; 2]> {
    let mut state: State = start(spec, learner, method);
    let mut train_secs = 0.0;
    if method != Method::Random {
        let (began, mut done) = (Instant::now(), 0);
        while done == 0 || (began.elapsed() < MEASURE && done < 100) {
            learner.train(&mut state, &mut TrainRow::default(), &mut TimingRow::default())?;
            done += 1;
        }
        train_secs = began.elapsed().as_secs_f64() / f64::from(done);
    }
    let began = Instant::now();
    learner.evaluate(Split::Test, method, state.iteration, &state.theta)?;
    Ok([train_secs, began.elapsed().as_secs_f64()])
}

/// Work of one meta-iteration of the first adapted method.
fn flops(experiment: &Experiment) -> Result<u64> {
    let spec = &experiment.spec;
    let programs: Vec<Program> = experiment.plans()?.into_iter().map(lower).collect();
    let of = |name: &str| programs.iter().find(|p| p.name() == name).map_or(0, Program::flops);
    let tasks = spec.outer.tasks as u64;
    if experiment.plugin.info.kind != PluginKind::Environment {
        let composed = spec.inner.steps as u64 * of("step_adjoint") + of("outer_gradient");
        return Ok(tasks * (of("meta_gradient") + composed));
    }
    let horizon = spec.task.horizon.unwrap_or(1) as u64;
    let (support, query, steps) = (spec.task.support as u64, spec.task.query as u64, spec.inner.steps as u64);
    let pieces = |episodes: u64| (episodes * horizon).div_ceil(super::rl::piece_rows(spec) as u64);
    let forward = of("act") / support;
    let inner = steps * pieces(support) * (of("policy_gradient") + of("policy_curvature"));
    let products = match spec.outer.optimizer {
        Optimizer::Trpo { cg_iterations, .. } => {
            let one = pieces(query) * of("fisher") + 2 * steps * pieces(support) * of("policy_curvature");
            cg_iterations as u64 * one + pieces(query) * of("surrogate")
        }
        Optimizer::Adam { .. } | Optimizer::Sgd { .. } => 0,
    };
    let acting = forward * horizon * (support * steps + query);
    Ok(tasks * (acting + inner + pieces(query) * of("surrogate_gradient") + products))
}

/// Memory that every further task of a meta-batch takes.
fn bytes_of_task(experiment: &Experiment, parameters: usize) -> Result<u64> {
    let spec = &experiment.spec;
    let floats = if experiment.plugin.info.kind == PluginKind::Environment {
        let env = experiment.plugin.env(&spec.task.params, 1)?;
        let step = env.spaces().observation.len() + env.spaces().action.len() + 6;
        let episodes = spec.task.support * spec.inner.steps + spec.task.query;
        // Trajectories as they were collected, and once more in pieces.
        2 * episodes * spec.task.horizon.unwrap_or(1) * step + parameters * (spec.inner.steps + 4)
    } else {
        let (plans, counts) = experiment.supervised()?;
        let width = plans.model.input().iter().product::<usize>() + plans.model.outputs();
        parameters + (counts.support + counts.query) * width
    };
    Ok(4 * floats as u64)
}

/// The size of this process: `VmRSS` now, `VmHWM` at its largest.
fn process_bytes(what: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}
