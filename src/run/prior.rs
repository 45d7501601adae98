//! A shorter run of the same experiment, and what a longer one need not compute again.
//!
//! A meta-iteration is a function of the spec, its number and the state before it, and no random draw depends on how far
//! a run goes. So a run may take a method's state and rows from another run whose spec differs only in that, and goes
//! on: the bytes of its results are those of a run that started at the beginning.

use super::experiment::Experiment;
use super::learner::{Learner, State};
use super::saved::{iterations, parameters};
use super::session::{is_due, log_every, unpack};
use crate::error::{Error, Result};
use crate::record::folder::{EVAL_FILE, MANIFEST_FILE, SPEC_FILE, TIMING_FILE, TRAIN_FILE, WEIGHTS_FILE};
use crate::record::row::TEST;
use crate::record::weights::{Tensor, Weights};
use crate::record::{EvalRow, Manifest, TimingRow, TrainRow, generations, read};
use crate::spec::settings::{ABSENT, Settings, differing, settings_of};
use crate::spec::{Method, Optimizer, Select, Spec, Word};
use std::collections::BTreeSet;
use std::path::Path;

/// Keys in which the other run's spec may differ: none of them changes a state.
pub(super) const FREE: [&str; 4] = ["outer.iterations", "outer.log_every", "methods", "eval.every"];

/// Keys that only some methods have, and a spec without those methods does not.
const OF_METHODS: [&str; 2] = ["model.context", "averaged."];

/// What another run has learnt that this one can use.
pub struct Prior {
    /// Its name.
    run: String,
    states: Vec<State>,
    train: Vec<TrainRow>,
    timing: Vec<TimingRow>,
    eval: Vec<EvalRow>,
    weights: Weights,
}

/// The rows of one method up to a state, as a run of this spec would have written them.
pub struct Taken {
    pub state: State,
    pub train: Vec<TrainRow>,
    pub timing: Vec<TimingRow>,
    pub eval: Vec<EvalRow>,
    pub weights: Vec<Tensor>,
}

impl Prior {
    /// Reads a run's folder, which that run may be writing at this moment.
    ///
    /// Errors: [`Error::Input`] where it is another experiment, with the keys that differ, or has nothing to take.
    pub fn open(folder: &Path, experiment: &Experiment, learner: &dyn Learner) -> Result<Prior> {
        let spec = &experiment.spec;
        let refuse = |why: String| Err(Error::Input(format!("--from {}: {why}", folder.display())));
        let path = folder.join(SPEC_FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let theirs =
            experiment.reread(&text, &path.display().to_string()).map_or(text, |spec| spec.to_yaml());
        let both = [settings_of(&theirs, &path)?, settings_of(&spec.to_yaml(), &path)?];
        let matters = |(key, values): &(String, Vec<String>)| {
            let absent = values.iter().any(|value| value == ABSENT);
            let of_methods = OF_METHODS.iter().any(|of| key.starts_with(of));
            !(FREE.contains(&key.as_str()) || absent && of_methods)
        };
        let differs = differing(&both).into_iter().filter(matters);
        let lines: Vec<String> = differs
            .map(|(key, values)| format!("  {key}: there {}, here {}", values[0], values[1]))
            .collect();
        if !lines.is_empty() {
            return refuse(format!(
                "another experiment; only {} may differ:\n{}",
                FREE.join(", "),
                lines.join("\n")
            ));
        }
        let manifest = Manifest::read(&folder.join(MANIFEST_FILE))?;
        same_parts(&manifest, experiment, folder)?;
        // The checkpoint first: what is read after it is at least as new.
        let checkpoint = generations::newest(folder)?.checkpoint;
        let (mut states, train) = (vec![], read::read_train(&folder.join(TRAIN_FILE))?);
        // A run that was not evaluated yet has none.
        let file = folder.join(WEIGHTS_FILE);
        let weights =
            if file.exists() { Weights::read(&file)? } else { Weights { spec_hash: None, tensors: vec![] } };
        if let Some(checkpoint) = &checkpoint {
            let saved = unpack(checkpoint, &methods_of(&both[0]))?;
            states.extend(saved.learnt);
            states.extend(saved.state);
        }
        // A trust region keeps nothing but the parameters, which every evaluation saves.
        for method in spec.methods.iter().filter(|_| matches!(spec.outer.optimizer, Optimizer::Trpo { .. })) {
            for iteration in iterations(&weights, *method) {
                let row = train.iter().find(|row| row.method == method.word() && row.iteration == iteration);
                let counts = row.map(|row| (row.tasks_seen, row.env_steps.unwrap_or(0)));
                if let Some((tasks_seen, env_steps)) = counts.or((iteration == 0).then_some((0, 0))) {
                    let theta = parameters(&weights, learner, *method, iteration)?;
                    let optimizer = vec![];
                    states.push(State {
                        method: *method,
                        iteration,
                        theta,
                        optimizer,
                        tasks_seen,
                        env_steps,
                    });
                }
            }
        }
        states.retain(|state| {
            spec.methods.contains(&state.method)
                && state.iteration <= spec.iterations(state.method)
                && state.theta.len() == learner.layout(state.method).size()
        });
        if states.is_empty() {
            let names: Vec<&str> = spec.methods.iter().map(|method| method.word()).collect();
            return refuse(format!(
                "it has learnt nothing that this run could use (methods {}, at most {} meta-iterations)",
                names.join(", "),
                spec.outer.iterations
            ));
        }
        let timing = read::read_timing(&folder.join(TIMING_FILE))?;
        let eval = read::read_eval(&folder.join(EVAL_FILE))?.rows;
        Ok(Prior { run: manifest.run, states, train, timing, eval, weights })
    }

    /// The other run's name.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The furthest that a method can be taken over: with every row that a run of this spec would have by then.
    pub fn of(&self, spec: &Spec, method: Method) -> Option<Taken> {
        let mut states: Vec<&State> = self.states.iter().filter(|state| state.method == method).collect();
        states.sort_by_key(|state| std::cmp::Reverse(state.iteration));
        states.into_iter().find_map(|state| self.up_to(spec, state))
    }

    fn up_to(&self, spec: &Spec, state: &State) -> Option<Taken> {
        let (word, total) = (state.method.word(), spec.iterations(state.method));
        let log_every = log_every(spec, state.method);
        let due =
            |every: u64, iteration: u64| iteration <= state.iteration && is_due(every, iteration, total);
        let evaluated = |iteration: u64| due(spec.eval.every as u64, iteration);
        // The choice of the best, and its rows on the test tasks, are made when a method's training ends.
        let shown = |row: &EvalRow| spec.eval.select == Select::Last || row.split != TEST;
        let mine = |row: &&EvalRow| row.method == word && evaluated(row.iteration) && shown(row);
        let logged = |method: &str, iteration: u64| method == word && due(log_every, iteration);
        let eval: Vec<EvalRow> = self.eval.iter().filter(mine).cloned().collect();
        let train: Vec<TrainRow> =
            self.train.iter().filter(|row| logged(&row.method, row.iteration)).cloned().collect();
        let known_eval: BTreeSet<u64> = eval.iter().map(|row| row.iteration).collect();
        let known_train: BTreeSet<u64> = train.iter().map(|row| row.iteration).collect();
        let whole = (0..=state.iteration).all(|iteration| {
            let trained = iteration == 0 || !due(log_every, iteration) || known_train.contains(&iteration);
            // The evaluation of the state itself can still be made.
            let here = iteration == state.iteration;
            trained && (!evaluated(iteration) || known_eval.contains(&iteration) || here)
        });
        let saved = |tensor: &&Tensor| {
            let mut parts = tensor.name.split('/');
            let iteration = |text: &str| text.parse().is_ok_and(evaluated);
            parts.next() == Some(word) && parts.next().is_some_and(iteration)
        };
        whole.then(|| Taken {
            state: state.clone(),
            train,
            timing: self.timing.iter().filter(|row| logged(&row.method, row.iteration)).cloned().collect(),
            eval,
            weights: self.weights.tensors.iter().filter(saved).cloned().collect(),
        })
    }
}

/// The methods of a spec's settings, in its order.
fn methods_of(settings: &Settings) -> Vec<Method> {
    let text = settings.iter().find(|(key, _)| key == "methods").map_or("", |(_, value)| value);
    let words: Vec<String> = serde_json::from_str(text).unwrap_or_default();
    words.iter().filter_map(|word| Method::from_word(word)).collect()
}

/// The data must be the same; another build of a plugin or of mamlx is said, because it may round otherwise.
fn same_parts(manifest: &Manifest, experiment: &Experiment, folder: &Path) -> Result<()> {
    if manifest.data != experiment.data_record()? {
        return Err(Error::Input(format!("--from {}: its data set is not this one", folder.display())));
    }
    let here = experiment.stamp();
    for plugin in &manifest.plugins {
        if here.plugins.get(&plugin.id) != Some(&plugin.sha256) {
            eprintln!(
                "mamlx: warning: {} was made with another build of plugin {} (version {}); the same bytes as from the \
                 beginning are promised only for the same build",
                folder.display(),
                plugin.id,
                plugin.version
            );
        }
    }
    Ok(())
}
