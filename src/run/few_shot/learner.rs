//! Algorithm 2 on tasks from a data set.

use super::reader::{Reader, is_square};
use super::sampler::{Address, Episode};
use crate::error::{Error, Result};
use crate::meta::supervised::Learner as Plans;
use crate::nn::Layout;
use crate::plugin::{DataSpaces, Plugin};
use crate::record::row::{EvalRow, TimingRow, TrainRow};
use crate::run::learner::{Learner, State};
use crate::run::programs::{Counts, Curve, Points, Programs, TaskWork, accuracy, outer_step};
use crate::run::supervised;
use crate::run::workers::Workers;
use crate::spec::{Layer, Method, Spec, Word};
use std::collections::BTreeMap;
use std::time::Instant;

/// Few-shot classification of one spec.
pub struct FewShot {
    spec: Spec,
    workers: Workers<Reader>,
    methods: BTreeMap<Method, Programs>,
    batch: Vec<TaskWork>,
    train: Part,
    test: Part,
    /// How batches are normalised, for the rows.
    norm: Option<String>,
}

/// One split as the sampler sees it.
struct Part {
    split: usize,
    /// Items of every class.
    counts: Vec<u32>,
}

/// The plans of a method for items of this shape.
pub fn plans(spec: &Spec, method: Method, item: &[usize]) -> Result<Plans> {
    supervised::plans(spec, method, item, ways(spec))
}

/// Points of one task, over all its classes.
pub fn counts(spec: &Spec) -> Counts {
    let ways = ways(spec);
    let eval = spec.eval.support.iter().map(|shots| ways * shots).collect();
    Counts { support: ways * spec.task.support, query: ways * spec.task.query, eval }
}

/// The spec room insists on `task.ways` for data sets.
fn ways(spec: &Spec) -> usize {
    spec.task.ways.unwrap_or(2)
}

impl FewShot {
    /// Opens the data set once for each thread, checks that its tasks can be drawn, and builds the programs.
    pub fn new(spec: &Spec, plugin: &Plugin, threads: usize) -> Result<FewShot> {
        let open = |_| Ok(Reader::new(plugin.data(&spec.task.params)?));
        let readers = (0..threads).map(open).collect::<Result<Vec<Reader>>>()?;
        let spaces = readers[0].data.spaces().clone();
        if spec.task.rotate && !is_square(&spaces.item_shape) {
            let shape = &spaces.item_shape;
            return Err(Error::Input(format!("task.rotate: items of shape {shape:?} are not square images")));
        }
        let shots = spec.eval.support.iter().copied().max().unwrap_or(0);
        let train = part(spec, &spaces, "train", spec.task.support)?;
        let test = part(spec, &spaces, "test", shots)?;
        let methods = spec.methods.iter().map(|method| {
            let plans = plans(spec, *method, &spaces.item_shape)?;
            Ok((*method, Programs::new(spec, *method, &plans, &counts(spec), threads)))
        });
        Ok(FewShot {
            methods: methods.collect::<Result<_>>()?,
            workers: Workers::new(readers)?,
            batch: vec![TaskWork::default(); spec.outer.tasks],
            train,
            test,
            norm: norm(spec),
            spec: spec.clone(),
        })
    }
}

/// A split by name, with enough classes, and enough items in each of them.
fn part(spec: &Spec, spaces: &DataSpaces, name: &str, shots: usize) -> Result<Part> {
    let plugin = &spec.task.plugin;
    let Some(split) = spaces.splits.iter().position(|split| split.name == name) else {
        let names: Vec<&str> = spaces.splits.iter().map(|split| split.name.as_str()).collect();
        return Err(Error::Input(format!(
            "task.plugin: `{plugin}` has no split `{name}`; it has {}",
            names.join(", ")
        )));
    };
    let (classes, ways, needed) = (&spaces.splits[split].classes, ways(spec), shots + spec.task.query);
    if classes.len() < ways {
        return Err(Error::Input(format!(
            "task.ways: a task needs {ways} classes, and split `{name}` of `{plugin}` has {}",
            classes.len()
        )));
    }
    if let Some(class) = classes.iter().find(|class| (class.items as usize) < needed) {
        return Err(Error::Input(format!(
            "task.support: {shots} support points and {} queries of a class are {needed} items, and class `{}` of split \
             `{name}` has {}",
            spec.task.query, class.name, class.items
        )));
    }
    Ok(Part { split, counts: classes.iter().map(|class| class.items).collect() })
}

/// The words of the model's batch normalisations, each once.
fn norm(spec: &Spec) -> Option<String> {
    let mut words: Vec<&str> = vec![];
    for layer in spec.model.layers.iter().flatten() {
        if let Layer::BatchNorm { mode, .. } = layer
            && !words.contains(&mode.word())
        {
            words.push(mode.word());
        }
    }
    (!words.is_empty()).then(|| words.join("+"))
}

impl Learner for FewShot {
    fn layout(&self, method: Method) -> &Layout {
        &self.methods[&method].layout
    }

    /// A task's classes are no numbers; they are a function of the seed.
    fn task_names(&self) -> Vec<String> {
        vec![]
    }

    fn train(&mut self, state: &mut State, train: &mut TrainRow, timing: &mut TimingRow) -> Result<()> {
        let began = Instant::now();
        let programs = &self.methods[&state.method];
        let (spec, part, iteration) = (&self.spec, &self.train, state.iteration);
        let (shots, queries) = (spec.task.support, spec.task.query);
        self.workers.each(&mut self.batch, |thread, reader, number, work| {
            let at = Address::train(spec.seed, iteration, number as u32);
            let episode = Episode::draw(at, &part.counts, ways(spec), queries + shots, spec.task.rotate);
            reader.fill(part.split, &episode, 0..queries, &mut work.query)?;
            reader.fill(part.split, &episode, queries..queries + shots, &mut work.support)?;
            programs.gradient(thread, state, spec.inner.rate as f32, work)?;
            work.finite().map_err(|loss| {
                Error::Run(format!(
                    "{}: at meta-iteration {iteration}, task {number}, the outer loss is {loss} and its gradient is not \
                     finite; the parameters of the last checkpoint are kept. Lower inner.rate or the outer rate, or set \
                     outer.optimizer.clip",
                    state.method.word()
                ))
            })
        })?;
        outer_step(spec, &programs.layout, &self.batch, state, train)?;
        timing.total_secs = began.elapsed().as_secs_f32();
        Ok(())
    }

    fn evaluate(&mut self, method: Method, iteration: u64, theta: &[f32]) -> Result<Vec<EvalRow>> {
        let (spec, part, programs) = (&self.spec, &self.test, &self.methods[&method]);
        let (queries, ways) = (spec.task.query, ways(spec));
        let mut rows = vec![];
        for (which, shots) in spec.eval.support.iter().copied().enumerate() {
            let rates = crate::run::rates(spec, method, which);
            let mut tasks: Vec<Vec<EvalRow>> = vec![vec![]; spec.eval.tasks];
            self.workers.each(&mut tasks, |thread, reader, number, rows| {
                let at = Address::test(spec.seed, number as u32);
                let episode = Episode::draw(at, &part.counts, ways, queries + shots, spec.task.rotate);
                let (mut support, mut query) = (Points::default(), Points::default());
                reader.fill(part.split, &episode, 0..queries, &mut query)?;
                reader.fill(part.split, &episode, queries..queries + shots, &mut support)?;
                let curve = Curve { which, steps: spec.eval.steps, support: &support, query: &query };
                programs.curve(thread, theta, &curve, &rates, |step, loss, predicted| {
                    rows.push(EvalRow {
                        iteration,
                        method: method.word().into(),
                        split: "test".into(),
                        support: shots as u32,
                        norm: self.norm.clone(),
                        task: number as u32,
                        inner_step: step as u32,
                        loss: Some(loss),
                        accuracy: Some(accuracy(predicted, &query.y, ways * queries)),
                        ..EvalRow::default()
                    });
                });
                Ok(())
            })?;
            rows.extend(tasks.into_iter().flatten());
        }
        Ok(rows)
    }
}
