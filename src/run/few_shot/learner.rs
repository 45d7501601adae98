//! Algorithm 2 on tasks from a data set.

use super::classifier::{Classifier, Test};
use super::reader::{Reader, is_square};
use super::sampler::{Address, Episode};
use crate::error::{Error, Result};
use crate::lower::Device;
use crate::meta::supervised::Learner as Plans;
use crate::nn::Layout;
use crate::plugin::{DataSpaces, Plugin};
use crate::random::{Purpose, seed_at};
use crate::record::row::{EvalRow, TimingRow, TrainRow};
use crate::run::budget;
use crate::run::learner::{Learner, Split, State};
use crate::run::programs::{Counts, Curve, Points, Programs, TaskWork, TestTask, accuracy, outer_step};
use crate::run::supervised;
use crate::run::workers::Workers;
use crate::spec::{Layer, Method, Select, Spec, Word};
use std::collections::BTreeMap;
use std::time::Instant;

/// Few-shot classification of one spec.
pub struct FewShot {
    spec: Spec,
    workers: Workers<Reader>,
    methods: BTreeMap<Method, Learning>,
    batch: Vec<TaskWork>,
    train: Part,
    test: Part,
    val: Option<Part>,
    /// How batches are normalised, for the rows.
    norm: Option<String>,
}

/// How a method learns.
enum Learning {
    /// From tasks (`maml`, `fomaml`), or not at all (`random`).
    Tasks(Box<Programs>),
    /// From all training classes at once.
    Classes(Box<Classifier>),
}

/// One evaluated task of a split.
#[derive(Clone, Copy)]
pub struct Place {
    pub split: Split,
    pub method: Method,
    pub task: usize,
    /// Which of the spec's support sizes.
    pub which: usize,
}

/// A task with its points.
pub struct Posed {
    pub episode: Episode,
    pub support: Points,
    pub query: Points,
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
pub(super) fn ways(spec: &Spec) -> usize {
    spec.task.ways.unwrap_or(2)
}

impl FewShot {
    /// Opens the data set once for each thread, checks that its tasks can be drawn, and builds the programs.
    pub fn new(spec: &Spec, plugin: &Plugin, (device, threads): (&Device, usize)) -> Result<FewShot> {
        let open = |_| Ok(Reader::new(plugin.data(&spec.task.params)?));
        let readers = (0..threads).map(open).collect::<Result<Vec<Reader>>>()?;
        let spaces = readers[0].data.spaces().clone();
        if spec.task.rotate && !is_square(&spaces.item_shape) {
            let shape = &spaces.item_shape;
            return Err(Error::Input(format!("task.rotate: items of shape {shape:?} are not square images")));
        }
        let shots = spec.eval.support.iter().copied().max().unwrap_or(0);
        let train = part(spec, &spaces, "train", spec.task.support)?;
        let test = part(spec, &spaces, Split::Test.name(), shots)?;
        let val = validation(spec, &spaces, shots)?;
        let counts = counts(spec);
        let methods = spec.methods.iter().map(|method| {
            let item = &spaces.item_shape;
            if method.classifies() {
                let classes = train.counts.len();
                let classifier = Classifier::new(spec, *method, item, classes, threads)?;
                return Ok((*method, Learning::Classes(Box::new(classifier))));
            }
            let (plans, on) = (plans(spec, *method, item)?, (device, threads));
            let programs = Programs::new(spec, *method, &plans, &counts, on)?;
            Ok((*method, Learning::Tasks(Box::new(programs))))
        });
        let mut methods: BTreeMap<Method, Learning> = methods.collect::<Result<_>>()?;
        let width = spaces.item_shape.iter().product::<usize>() + ways(spec);
        let (mut programs, mut more) = (vec![], 0);
        for learning in methods.values_mut() {
            match learning {
                Learning::Tasks(tasks) => programs.push(&mut **tasks),
                Learning::Classes(classifier) => more += classifier.bytes(),
            }
        }
        budget::keep_within(spec, threads, (&counts, width), more, programs)?;
        Ok(FewShot {
            methods,
            workers: Workers::new(readers)?,
            batch: vec![TaskWork::default(); spec.outer.tasks],
            train,
            test,
            val,
            norm: norm(spec),
            spec: spec.clone(),
        })
    }

    /// Poses one task and adapts `theta` to it: `each` hears the number of steps, the loss on the queries (none for the
    /// nearest neighbour, which has no loss) and the predictions `[query, ways]`.
    pub fn adapt(
        &self,
        thread: usize,
        reader: &mut Reader,
        place: Place,
        theta: &[f32],
        mut each: impl FnMut(usize, Option<f32>, &[f32]),
    ) -> Result<Posed> {
        let Place { split, method, task, which } = place;
        let (spec, ways) = (&self.spec, ways(&self.spec));
        let posed = self.read(reader, split, task, which)?;
        let (support, query) = (&posed.support, &posed.query);
        let curve = Curve { which, steps: spec.eval.steps, support, query };
        let rates = crate::run::rates(spec, method, which);
        let mut with_loss = |step: usize, loss: f32, predicted: &[f32]| each(step, Some(loss), predicted);
        match &self.methods[&method] {
            Learning::Tasks(programs) => programs.curve(thread, theta, &curve, rates, with_loss)?,
            Learning::Classes(classifier) => match &classifier.test {
                Test::Finetune { programs, head } => {
                    let theta = classifier.with_new_head(spec, theta, head, task);
                    programs.curve(thread, &theta, &curve, rates, &mut with_loss)?;
                }
                Test::Neighbour(features) => {
                    let points = [support, query];
                    each(0, None, &classifier.neighbours(thread, &features[which], theta, points, ways)?);
                }
            },
        }
        Ok(posed)
    }

    /// One task of a split with its points.
    fn read(&self, reader: &mut Reader, split: Split, task: usize, which: usize) -> Result<Posed> {
        let part = if split == Split::Val { self.val.as_ref() } else { None }.unwrap_or(&self.test);
        let (spec, ways) = (&self.spec, ways(&self.spec));
        let (shots, queries) = (spec.eval.support[which], spec.task.query);
        let at = Address::of(split, spec.seed, task as u32);
        let episode = Episode::draw(at, &part.counts, ways, queries + shots, spec.task.rotate);
        let (mut support, mut query) = (Points::default(), Points::default());
        reader.fill(part.split, &episode, 0..queries, &mut query)?;
        reader.fill(part.split, &episode, queries..queries + shots, &mut support)?;
        Ok(Posed { episode, support, query })
    }

    /// Adapts to every task of a split: `of` makes a result of the task's number, its points, and its loss and
    /// predictions after 0, 1, … steps.
    pub fn on_tasks<T: Send>(
        &self,
        split: Split,
        method: Method,
        which: usize,
        theta: &[f32],
        of: impl Fn(usize, &Posed, &[(Option<f32>, Vec<f32>)]) -> T + Sync,
    ) -> Result<Vec<T>> {
        let mut tasks: Vec<Option<T>> = (0..self.spec.eval.tasks).map(|_| None).collect();
        self.workers.each(&mut tasks, |thread, reader, task, result| {
            let mut curve = vec![];
            let place = Place { split, method, task, which };
            let each =
                |_: usize, loss: Option<f32>, predicted: &[f32]| curve.push((loss, predicted.to_vec()));
            let posed = self.adapt(thread, reader, place, theta, each)?;
            *result = Some(of(task, &posed, &curve));
            Ok(())
        })?;
        Ok(tasks.into_iter().flatten().collect())
    }

    /// One task of a split, unadapted.
    pub fn pose(&self, split: Split, task: usize, which: usize) -> Result<Posed> {
        let mut one = [None];
        self.workers.each(&mut one, |_, reader, _, posed| {
            *posed = Some(self.read(reader, split, task, which)?);
            Ok(())
        })?;
        let [posed] = one;
        posed.ok_or_else(|| Error::Run("a task was not posed".into()))
    }

    /// Gradient steps that a method takes in evaluations.
    pub fn steps(&self, method: Method) -> usize {
        if method.adapts_at_test() { self.spec.eval.steps } else { 0 }
    }

    pub fn ways(&self) -> usize {
        ways(&self.spec)
    }

    /// What the data set says of itself.
    pub fn spaces(&self) -> DataSpaces {
        let mut spaces = None;
        self.workers.visit(|reader| {
            spaces.get_or_insert_with(|| reader.data.spaces().clone());
        });
        spaces.unwrap_or_else(|| DataSpaces { item_shape: vec![], splits: vec![] })
    }
}

impl FewShot {
    /// The evaluation of a device that takes many tasks in one launch: rows with one of the support sizes.
    fn by_groups(
        &self,
        programs: &Programs,
        group: usize,
        (split, method, which): (Split, Method, usize),
        iteration: u64,
        theta: &[f32],
    ) -> Result<Vec<EvalRow>> {
        let (spec, ways) = (&self.spec, ways(&self.spec));
        let part = if split == Split::Val { self.val.as_ref() } else { None }.unwrap_or(&self.test);
        let (shots, queries) = (spec.eval.support[which], spec.task.query);
        let row = |number: usize, step: usize, loss: f32, predicted: &[f32], query: &Points| EvalRow {
            iteration,
            method: method.word().into(),
            split: split.name().into(),
            support: shots as u32,
            norm: self.norm.clone(),
            task: number as u32,
            inner_step: step as u32,
            loss: Some(loss),
            accuracy: Some(accuracy(predicted, &query.y, ways * queries)),
            ..EvalRow::default()
        };
        let rates = crate::run::rates(spec, method, which);
        let mut rows = vec![];
        let mut items: Vec<TestTask> = (0..spec.eval.tasks).map(TestTask::new).collect();
        for items in items.chunks_mut(group.max(1)) {
            self.workers.each(items, |_, reader, _, item| {
                let at = Address::of(split, spec.seed, item.number as u32);
                let episode = Episode::draw(at, &part.counts, ways, queries + shots, spec.task.rotate);
                reader.fill(part.split, &episode, 0..queries, &mut item.query)?;
                reader.fill(part.split, &episode, queries..queries + shots, &mut item.support)
            })?;
            TestTask::together(items, programs, theta, (which, spec.eval.steps), &rates, row)?;
            rows.extend(items.iter_mut().flat_map(TestTask::finish));
        }
        Ok(rows)
    }
}

impl Learning {
    /// What trains; its layout is that of the parameters.
    fn training(&self) -> &Programs {
        match self {
            Learning::Tasks(programs) => programs,
            Learning::Classes(classifier) => &classifier.training,
        }
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

/// The split of validation tasks. Only `eval.select: best` insists on one; otherwise tasks that cannot be drawn from it are
/// said to be missing.
fn validation(spec: &Spec, spaces: &DataSpaces, shots: usize) -> Result<Option<Part>> {
    let name = Split::Val.name();
    let there = spaces.splits.iter().any(|split| split.name == name && !split.classes.is_empty());
    if spec.eval.select == Select::Best {
        return part(spec, spaces, name, shots).map(Some).map_err(|error| match error {
            Error::Input(why) => {
                Error::Input(format!("eval.select is best, which needs validation tasks: {why}"))
            }
            other => other,
        });
    }
    if spec.eval.every == 0 || !there {
        return Ok(None);
    }
    match part(spec, spaces, name, shots) {
        Ok(part) => Ok(Some(part)),
        Err(why) => {
            eprintln!("mamlx: note: there will be no validation rows: {why}");
            Ok(None)
        }
    }
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
        &self.methods[&method].training().layout
    }

    /// A task's classes are no numbers; they are a function of the seed.
    fn task_names(&self) -> Vec<String> {
        vec![]
    }

    fn train(&mut self, state: &mut State, train: &mut TrainRow, timing: &mut TimingRow) -> Result<()> {
        let began = Instant::now();
        let learning = &self.methods[&state.method];
        let programs = learning.training();
        let (spec, part, iteration) = (&self.spec, &self.train, state.iteration);
        let (shots, queries) = (spec.task.support, spec.task.query);
        self.workers.each(&mut self.batch, |thread, reader, number, work| {
            match learning {
                Learning::Tasks(_) => {
                    let at = Address::train(spec.seed, iteration, number as u32);
                    let episode =
                        Episode::draw(at, &part.counts, ways(spec), queries + shots, spec.task.rotate);
                    reader.fill(part.split, &episode, 0..queries, &mut work.query)?;
                    reader.fill(part.split, &episode, queries..queries + shots, &mut work.support)?;
                }
                Learning::Classes(classifier) => {
                    let batch = classifier.batch(spec, iteration, number, &part.counts);
                    reader.fill_batch(part.split, &batch, classifier.classes, &mut work.support)?;
                }
            }
            work.seed = seed_at(spec.seed, Purpose::TrainTask, iteration, number as u32, 0);
            programs.gradient(thread, state, spec.inner.rate as f32, work)
        })?;
        let sum = programs.sum(state, spec.inner.rate as f32, &mut self.batch, &[])?;
        outer_step(spec, &programs.layout, (&self.batch, sum), state, train)?;
        timing.total_secs = began.elapsed().as_secs_f32();
        Ok(())
    }

    fn validates(&self) -> bool {
        self.val.is_some()
    }

    fn evaluate(
        &mut self,
        split: Split,
        method: Method,
        iteration: u64,
        theta: &[f32],
    ) -> Result<Vec<EvalRow>> {
        let spec = &self.spec;
        let points = ways(spec) * spec.task.query;
        let mut rows = vec![];
        if let Learning::Tasks(programs) = &self.methods[&method]
            && let Some(group) = programs.test_tasks()
        {
            for which in 0..spec.eval.support.len() {
                rows.extend(self.by_groups(programs, group, (split, method, which), iteration, theta)?);
            }
            return Ok(rows);
        }
        for (which, shots) in spec.eval.support.iter().enumerate() {
            let tasks = self.on_tasks(split, method, which, theta, |task, posed, curve| {
                let row = |(step, (loss, predicted)): (usize, &(Option<f32>, Vec<f32>))| EvalRow {
                    iteration,
                    method: method.word().into(),
                    split: split.name().into(),
                    support: *shots as u32,
                    norm: self.norm.clone(),
                    task: task as u32,
                    inner_step: step as u32,
                    loss: *loss,
                    accuracy: Some(accuracy(predicted, &posed.query.y, points)),
                    ..EvalRow::default()
                };
                curve.iter().enumerate().map(row).collect::<Vec<EvalRow>>()
            })?;
            rows.extend(tasks.into_iter().flatten());
        }
        Ok(rows)
    }
}
