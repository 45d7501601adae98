//! One run from its first row to its last: train every method, evaluate, commit, resume.

use super::certificate::certificates;
use super::experiment::Experiment;
use super::learner::{Learner, State};
use super::prior::{FREE, Prior};
use super::saved::{iterations, parameters};
use super::selection;
use super::signals::{RESUMABLE, StopRequest};
use crate::error::{Error, Result};
use crate::nn::init;
use crate::random::{Purpose, stream};
use crate::record::folder::SPEC_FILE;
use crate::record::row::TEST;
use crate::record::weights::{Tensor, Weights};
use crate::record::{
    Against, Checkpoint, Comparison, EvalRow, Manifest, Packer, Progress, RunFolder, Short, Stamp, Status,
    SummaryRow, TimingRow, TrainRow, Unpacker, read, summarise,
};
use crate::spec::settings::{differing, settings_of};
use crate::spec::{Method, Spec, Word};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Weights and summary are written at most in one part of so many of the time.
const PUBLISH_SHARE: u32 = 20;

/// What may differ between two runs of one spec without changing a result.
pub struct Options {
    pub threads: usize,
    /// Start over, whatever the folder holds.
    pub fresh: bool,
    /// The folder of a shorter run of this experiment, whose states are not computed again.
    pub from: Option<PathBuf>,
    /// A checkpoint is written at most this often, and whenever a method or the run ends.
    pub checkpoint_every: Duration,
    /// Stands before every line of progress, where several runs share a terminal.
    pub label: Option<String>,
    /// After this the run stops as if asked to, at the end of a meta-iteration.
    pub deadline: Option<Instant>,
}

/// What a finished run leaves for its caller to talk about.
pub struct Finished {
    pub summary: Vec<SummaryRow>,
    /// Nothing had to be done: the folder held the finished run already.
    pub already: bool,
}

/// Runs an experiment in a folder, going on from its newest checkpoint if there is one.
pub fn run(experiment: &Experiment, folder: &Path, options: &Options) -> Result<Finished> {
    let threads = options.threads;
    let mut folder = RunFolder::open(folder)?;
    // It would be emptied before what it holds is written again.
    let same = |from: &PathBuf| {
        from.canonicalize().is_ok_and(|from| folder.path().canonicalize().is_ok_and(|to| to == from))
    };
    if options.from.as_ref().is_some_and(same) {
        return Err(Error::Input("--from is the run's own folder; give another one with --out".into()));
    }
    let stamp = experiment.stamp();
    let checkpoint = if options.fresh { None } else { resumable(&folder, &experiment.spec, &stamp)? };
    let done = folder.manifest()?.is_some_and(|manifest| manifest.status == Status::Done);
    if let (Some(_), true) = (&checkpoint, done) {
        let rows = read::read_eval(&folder.file("eval.csv"))?.rows;
        return Ok(Finished { summary: summary(&experiment.spec, &rows), already: true });
    }
    // A device that is not here is told before anything is written.
    let device = super::device(&experiment.spec)?;
    let stop = StopRequest::listen()?;
    folder.write_spec(&experiment.spec.to_yaml())?;
    if let Some((name, bytes)) = experiment.task_file()? {
        folder.write_copy(&name, &bytes)?;
    }
    let gradients = certificates(experiment, &device)?;
    for doubtful in gradients.iter().filter(|certificate| !certificate.holds()) {
        eprintln!(
            "mamlx: warning: the gradient of {} is off by {:.1e} (f32) and {:.1e} (f64) against differences of the outer loss; \
             please report this with the spec (mamlx explain SPEC --gradients)",
            doubtful.of, doubtful.error_f32, doubtful.error_f64
        );
    }
    let data = experiment.data_record()?;
    let mut learner = experiment.learner(threads)?;
    let from = options.from.as_deref();
    let prior = from.map(|from| Prior::open(from, experiment, &*learner)).transpose()?;
    let manifest = |status, message| {
        let mut manifest = experiment.manifest(status, message, threads, &gradients);
        let of = prior.iter().map(|prior| ("from".to_string(), prior.run().to_string()));
        manifest.extra.extend(of);
        Manifest { data: data.clone(), ..manifest }
    };
    folder.write_manifest(&manifest(Status::Running, None))?;
    // Before the tables are emptied: a checkpoint of rows that are gone would be taken for an edited table.
    if checkpoint.is_none() {
        folder.clear_checkpoints()?;
    }
    folder.begin(experiment.identity(), &learner.task_names(), checkpoint.as_ref())?;
    let mut session = Session {
        spec: &experiment.spec,
        rows: if checkpoint.is_some() { read::read_eval(&folder.file("eval.csv"))?.rows } else { vec![] },
        weights: saved_weights(&folder, &experiment.spec, checkpoint.is_some())?,
        learnt: vec![],
        prior: prior.as_ref(),
        folder,
        stamp,
        unpublished: false,
        published: Instant::now(),
        publishing: Duration::ZERO,
        committed: Instant::now(),
        checkpoint_every: options.checkpoint_every,
        label: options.label.clone(),
        deadline: options.deadline,
        stop,
    };
    let outcome = session.train_all(&mut *learner, checkpoint.as_ref());
    match &outcome {
        Ok(()) => {
            let selected = selection::selected(&experiment.spec, &session.rows);
            session.folder.write_manifest(&Manifest { selected, ..manifest(Status::Done, None) })?;
        }
        Err(Error::Stopped { .. }) => session.folder.write_manifest(&manifest(Status::Stopped, None))?,
        // Where the disk failed, these fail as well; the first error is the one to tell.
        Err(e) => {
            let _ = session.publish(true);
            let _ = session.folder.write_manifest(&manifest(Status::Failed, Some(e.to_string())));
        }
    }
    outcome?;
    Ok(Finished { summary: summary(&experiment.spec, &session.rows), already: false })
}

/// The newest whole checkpoint, if it belongs to this spec and these plugins.
fn resumable(folder: &RunFolder, spec: &Spec, stamp: &Stamp) -> Result<Option<Checkpoint>> {
    let found = folder.newest_checkpoint()?;
    found.notes.iter().for_each(|note| eprintln!("mamlx: {note}"));
    let Some(checkpoint) = found.checkpoint else { return Ok(None) };
    let same_spec = checkpoint.stamp.spec_hash == stamp.spec_hash;
    let keys = if same_spec { vec![] } else { changed_keys(folder, spec) };
    let free = |line: &String| FREE.iter().any(|key| line.starts_with(&format!("{key}:")));
    let usable = !keys.is_empty() && keys.iter().all(free);
    let differences = checkpoint.stamp.differences(stamp, keys);
    if differences.is_empty() {
        return Ok(Some(checkpoint));
    }
    let path = folder.path().display();
    let more = if usable {
        format!("; --from {path} goes on there from what this one has learnt")
    } else {
        String::new()
    };
    Err(Error::Input(format!(
        "{path} holds another run:\n  {}\nUse another folder (--out{more}), or --fresh to start over in this one.",
        differences.join("\n  ")
    )))
}

/// `key: saved with VALUE, now VALUE` for every key in which a folder's spec and this one differ; none where the folder's
/// cannot be read.
fn changed_keys(folder: &RunFolder, spec: &Spec) -> Vec<String> {
    let path = folder.file(SPEC_FILE);
    let saved = std::fs::read_to_string(&path).ok().and_then(|text| settings_of(&text, &path).ok());
    let now = settings_of(&spec.to_yaml(), &path).ok();
    let both: Vec<_> = saved.into_iter().chain(now).collect();
    let line =
        |(key, values): (String, Vec<String>)| format!("{key}: saved with {}, now {}", values[0], values[1]);
    if both.len() == 2 { differing(&both).into_iter().map(line).collect() } else { vec![] }
}

/// Weights of the evaluations that belong to the checkpoint are kept; those after it will be made again.
fn saved_weights(folder: &RunFolder, spec: &Spec, resume: bool) -> Result<Weights> {
    let path = folder.file("weights.safetensors");
    if resume && path.exists() {
        return Weights::read(&path);
    }
    Ok(Weights { spec_hash: Some(spec.hash()), tensors: vec![] })
}

struct Session<'a> {
    spec: &'a Spec,
    folder: RunFolder,
    stamp: Stamp,
    /// Every evaluation row so far, for the summary.
    rows: Vec<EvalRow>,
    weights: Weights,
    /// What the methods before the present one have learnt: a longer run starts there.
    learnt: Vec<State>,
    prior: Option<&'a Prior>,
    /// Evaluations that the weights and the summary on disk do not have yet.
    unpublished: bool,
    published: Instant,
    /// What the last writing of them took.
    publishing: Duration,
    committed: Instant,
    checkpoint_every: Duration,
    label: Option<String>,
    deadline: Option<Instant>,
    stop: StopRequest,
}

impl Session<'_> {
    fn train_all(&mut self, learner: &mut dyn Learner, from: Option<&Checkpoint>) -> Result<()> {
        let saved = from.map(|checkpoint| unpack(checkpoint, &self.spec.methods)).transpose()?;
        let Saved { number: first, state: mut resumed, learnt } = saved.unwrap_or_default();
        self.learnt = learnt;
        let evaluated = |row: &EvalRow| format!("{}/{}/", row.method, row.iteration);
        let known: std::collections::BTreeSet<String> = self.rows.iter().map(evaluated).collect();
        self.weights.tensors.retain(|tensor| known.iter().any(|prefix| tensor.name.starts_with(prefix)));
        for number in first..self.spec.methods.len() {
            let method = self.spec.methods[number];
            let state = match resumed.take() {
                Some(state) => state,
                None => self.begin(learner, method)?,
            };
            self.train(learner, number, state)?;
        }
        self.write_summary()
    }

    /// A method before its first meta-iteration here: with what another run has learnt of it, if there is one.
    fn begin(&mut self, learner: &dyn Learner, method: Method) -> Result<State> {
        let taken = self.prior.and_then(|prior| Some((prior, prior.of(self.spec, method)?)));
        let Some((prior, taken)) = taken else {
            return Ok(start(self.spec, learner, method));
        };
        let (word, done) = (method.word(), taken.state.iteration);
        eprintln!("mamlx: {word}: the first {done} meta-iterations are those of {}", prior.run());
        taken.train.iter().try_for_each(|row| self.folder.train(row))?;
        taken.timing.iter().try_for_each(|row| self.folder.timing(row))?;
        taken.eval.iter().try_for_each(|row| self.folder.eval(row))?;
        self.folder.flush()?;
        self.unpublished |= !taken.eval.is_empty();
        self.rows.extend(taken.eval);
        self.weights.tensors.extend(taken.weights);
        Ok(taken.state)
    }

    fn train(&mut self, learner: &mut dyn Learner, number: usize, mut state: State) -> Result<()> {
        let method = state.method;
        if let Some(twin) = twin(self.spec, number) {
            return self.follow(learner, number, state, twin);
        }
        let total = self.spec.iterations(method);
        let log_every = log_every(self.spec, method);
        let mut progress = Progress::start(self.label.as_deref(), method.word(), state.iteration, total);
        let evaluated = |iteration: u64| is_due(self.spec.eval.every as u64, iteration, total);
        let at = |row: &EvalRow| row.method == method.word() && row.iteration == state.iteration;
        // Where there is nothing to train, or another run stopped without an evaluation that this one makes.
        if evaluated(state.iteration) && !self.rows.iter().any(at) {
            self.evaluate(learner, &state, &progress)?;
        }
        while state.iteration < total {
            let (mut train, mut timing) = (TrainRow::default(), TimingRow::default());
            learner.train(&mut state, &mut train, &mut timing)?;
            let iteration = state.iteration;
            let metrics = shown(&train);
            train = TrainRow {
                method: method.word().into(),
                iteration,
                tasks_seen: state.tasks_seen,
                env_steps: (state.env_steps > 0).then_some(state.env_steps),
                ..train
            };
            timing = TimingRow { method: method.word().into(), iteration, ..timing };
            if evaluated(iteration) {
                let began = Instant::now();
                self.evaluate(learner, &state, &progress)?;
                timing.eval_secs = Some(began.elapsed().as_secs_f32());
            }
            if is_due(log_every, iteration, total) {
                self.folder.train(&train)?;
                self.folder.timing(&timing)?;
                self.folder.flush()?;
            }
            progress.update(iteration, &metrics);
            if let Some(code) = self.halted() {
                self.commit(number, Some(&state))?;
                progress.finish();
                let message = format!(
                    "stopped at {} {iteration} of {total}; everything is saved in {}, and the same command goes on.",
                    method.word(),
                    self.folder.path().display()
                );
                return Err(Error::Stopped { code, message });
            }
            if self.committed.elapsed() >= self.checkpoint_every && iteration < total {
                self.commit(number, Some(&state))?;
            }
        }
        self.conclude(learner, method, &progress)?;
        progress.finish();
        self.learnt.push(state);
        self.commit(number + 1, None)
    }

    /// Evaluates a method whose training is that of an earlier one, on what that one learnt.
    fn follow(
        &mut self,
        learner: &mut dyn Learner,
        number: usize,
        mut state: State,
        twin: Method,
    ) -> Result<()> {
        let progress = Progress::start(self.label.as_deref(), state.method.word(), 0, 0);
        for iteration in iterations(&self.weights, twin) {
            state.theta = parameters(&self.weights, learner, twin, iteration)?;
            state.iteration = iteration;
            self.evaluate(learner, &state, &progress)?;
        }
        self.conclude(learner, state.method, &progress)?;
        progress.finish();
        self.commit(number + 1, None)
    }

    /// Exit code of the stop that is due, on request or because time is up.
    fn halted(&self) -> Option<u8> {
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        self.stop.asked().or(late.then_some(RESUMABLE))
    }

    fn evaluate(&mut self, learner: &mut dyn Learner, state: &State, progress: &Progress) -> Result<()> {
        let rows = selection::evaluate(self.spec, learner, state.method, state.iteration, &state.theta)?;
        let prefix = format!("{}/{}/", state.method.word(), state.iteration);
        self.weights.tensors.extend(learner.layout(state.method).parts().into_iter().map(
            |(name, shape, range)| Tensor {
                name: format!("{prefix}{name}"),
                shape: shape.to_vec(),
                values: state.theta[range].to_vec(),
            },
        ));
        self.record(rows, progress)
    }

    /// What is left to evaluate when a method is trained.
    fn conclude(&mut self, learner: &mut dyn Learner, method: Method, progress: &Progress) -> Result<()> {
        let weights = &self.weights;
        let saved = |learner: &dyn Learner, at| parameters(weights, learner, method, at);
        let rows = selection::conclude(self.spec, learner, method, &self.rows, saved)?;
        if rows.is_empty() { Ok(()) } else { self.record(rows, progress) }
    }

    /// Takes the rows of one evaluation to the files, and says what they mean.
    fn record(&mut self, rows: Vec<EvalRow>, progress: &Progress) -> Result<()> {
        for row in &rows {
            self.folder.eval(row)?;
        }
        let Some(EvalRow { iteration, method, .. }) = rows.first().cloned() else { return Ok(()) };
        let mut splits: Vec<String> = rows.iter().map(|row| row.split.clone()).collect();
        splits.dedup();
        self.rows.extend(rows);
        self.folder.flush()?;
        self.unpublished = true;
        self.publish(false)?;
        // An evaluation is compared with others of its iteration and with methods whose iterations are none of its own.
        let near = |row: &&EvalRow| {
            row.iteration == iteration
                || Method::from_word(&row.method).is_some_and(Method::iterates_otherwise)
        };
        let near: Vec<EvalRow> = self.rows.iter().filter(near).cloned().collect();
        let latest: Vec<SummaryRow> = summary(self.spec, &near)
            .into_iter()
            .filter(|row| row.iteration == iteration && row.method == method && splits.contains(&row.split))
            .collect();
        progress.note(&crate::record::note::evaluation(&latest));
        Ok(())
    }

    /// Writes the weights and the summary of all evaluations so far. Both are replaced as a whole, which costs more with
    /// every evaluation; done each time, it would be quadratic in their number. So they wait until the last writing has
    /// become a small part of the time since, except where they are due: `now`, at commits and at the end.
    fn publish(&mut self, now: bool) -> Result<()> {
        if !self.unpublished || (!now && self.published.elapsed() < self.publishing * PUBLISH_SHARE) {
            return Ok(());
        }
        let began = Instant::now();
        self.folder.write_weights(&self.weights)?;
        self.write_summary()?;
        self.unpublished = false;
        (self.publishing, self.published) = (began.elapsed(), Instant::now());
        Ok(())
    }

    fn write_summary(&self) -> Result<()> {
        self.folder.write_summary(&summary(self.spec, &self.rows))
    }

    fn commit(&mut self, number: usize, state: Option<&State>) -> Result<()> {
        // A checkpoint promises the weights of every evaluation before it.
        self.publish(true)?;
        self.folder.commit(&self.stamp, pack(number, state, &self.learnt))?;
        self.committed = Instant::now();
        Ok(())
    }
}

/// Whether something that is made every so many meta-iterations (0 for never), and after the last, is made after this one.
pub(super) fn is_due(every: u64, iteration: u64, total: u64) -> bool {
    iteration == total || (every > 0 && iteration > 0 && iteration.is_multiple_of(every))
}

/// A method's meta-iterations from one row of `train.csv` to the next. Every regressor has a row, which says how well it
/// does.
pub(super) fn log_every(spec: &Spec, method: Method) -> u64 {
    if method.averages() { 1 } else { spec.outer.log_every as u64 }
}

/// The method before this one in the spec's list that trains exactly as it does: both baselines that classify.
pub fn twin(spec: &Spec, number: usize) -> Option<Method> {
    let before = &spec.methods[..number];
    before.iter().copied().find(|method| method.classifies()).filter(|_| spec.methods[number].classifies())
}

/// The one or two numbers of a meta-iteration that a person watches.
fn shown(row: &TrainRow) -> Vec<(&'static str, f32)> {
    let pairs = [("return before", row.return_pre), ("after", row.return_post)];
    let returns: Vec<_> =
        pairs.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect();
    if returns.is_empty() { row.loss_outer.map(|loss| ("loss", loss)).into_iter().collect() } else { returns }
}

/// A method before its first meta-iteration. Every method of a seed starts from the same draws.
pub fn start(spec: &Spec, learner: &dyn Learner, method: Method) -> State {
    let mut draws = stream(spec.seed, Purpose::Init, 0, 0, 0);
    State {
        method,
        iteration: 0,
        theta: init::initial(learner.layout(method), spec.model.init.into(), &mut draws),
        optimizer: vec![],
        tasks_seen: 0,
        env_steps: 0,
    }
}

/// `summary.csv` from `eval.csv`: each method against every method before it in the spec's list.
pub fn summary(spec: &Spec, rows: &[EvalRow]) -> Vec<SummaryRow> {
    let mut comparisons = vec![];
    for (number, method) in spec.methods.iter().enumerate() {
        for (other_number, other) in spec.methods.iter().enumerate() {
            let main = matches!(method, Method::Maml | Method::Fomaml);
            let other_main = matches!(other, Method::Maml | Method::Fomaml);
            if main && (!other_main || other_number < number) && method != other {
                let against = match other.iterates_otherwise() {
                    true => Against::LastEvaluation,
                    false => Against::SameIteration,
                };
                comparisons.push(Comparison {
                    method: method.word().into(),
                    versus: other.word().into(),
                    against,
                });
            }
        }
    }
    summarise(rows, &comparisons, |key| {
        let matches = |p: &&crate::spec::Published| {
            key.split == TEST
                && p.method.word() == key.method
                && p.support.is_none_or(|support| support == key.support as usize)
                && p.metric.word() == key.metric.name()
        };
        let last = Method::from_word(key.method).is_some_and(|m| key.iteration == spec.iterations(m));
        let row = spec.published.iter().find(matches).filter(|_| last)?;
        let at = row.steps.iter().position(|step| *step == key.inner_step as usize)?;
        row.values.get(at).copied()
    })
}

/// What a checkpoint says of the methods.
#[derive(Default)]
pub(super) struct Saved {
    /// The method to go on with; without a state it has yet to start.
    number: usize,
    pub state: Option<State>,
    /// What the methods before it have learnt.
    pub learnt: Vec<State>,
}

/// Sections of a checkpoint: of the method that trains, and of those before it by their words.
const STATE: &str = "state";
const LEARNT: &str = "learnt/";

fn pack(number: usize, state: Option<&State>, learnt: &[State]) -> BTreeMap<String, Vec<u8>> {
    let mut packer = Packer::new();
    packer.u64(number as u64).u64(u64::from(state.is_some()));
    state.into_iter().for_each(|state| pack_state(&mut packer, state));
    let of_learnt = |state: &State| {
        let mut packer = Packer::new();
        pack_state(&mut packer, state);
        (format!("{LEARNT}{}", state.method.word()), packer.finish())
    };
    learnt.iter().map(of_learnt).chain([(STATE.to_string(), packer.finish())]).collect()
}

fn pack_state(packer: &mut Packer, state: &State) {
    packer.u64(state.iteration).u64(state.tasks_seen).u64(state.env_steps);
    packer.f32s(&state.theta).bytes(&state.optimizer);
}

/// Undoes [`pack`].
pub(super) fn unpack(checkpoint: &Checkpoint, methods: &[Method]) -> Result<Saved> {
    let damaged =
        || Error::Input("the checkpoint was written by another version of mamlx; use --fresh".into());
    let bytes = checkpoint.progress.get(STATE).ok_or_else(damaged)?;
    let mut unpacker = Unpacker::new(bytes);
    let mut read = || -> std::result::Result<(usize, Option<State>), Short> {
        let number = unpacker.u64()? as usize;
        let method = methods.get(number).copied().unwrap_or(Method::Maml);
        let state = if unpacker.u64()? == 0 { None } else { Some(unpack_state(&mut unpacker, method)?) };
        Ok((number, state))
    };
    let (number, state) = read().map_err(|_| damaged())?;
    let known = if state.is_some() { number < methods.len() } else { number <= methods.len() };
    let before = methods.iter().take(number).filter_map(|method| {
        let bytes = checkpoint.progress.get(&format!("{LEARNT}{}", method.word()))?;
        Some(unpack_state(&mut Unpacker::new(bytes), *method))
    });
    let learnt = before.collect::<std::result::Result<_, Short>>().map_err(|_| damaged())?;
    if known { Ok(Saved { number, state, learnt }) } else { Err(damaged()) }
}

fn unpack_state(unpacker: &mut Unpacker, method: Method) -> std::result::Result<State, Short> {
    let (iteration, tasks_seen, env_steps) = (unpacker.u64()?, unpacker.u64()?, unpacker.u64()?);
    let (theta, optimizer) = (unpacker.f32s()?, unpacker.bytes()?.to_vec());
    Ok(State { method, iteration, theta, optimizer, tasks_seen, env_steps })
}
