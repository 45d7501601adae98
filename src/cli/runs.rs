//! Run folders as the commands that read results take them: opened, and told apart by what their specs say.

use crate::error::{Error, Result};
use crate::record::folder::{EVAL_FILE, MANIFEST_FILE, SPEC_FILE, SUMMARY_FILE, TIMING_FILE, TRAIN_FILE};
use crate::record::page::{Group, RunFiles};
use crate::record::row::Identity;
use crate::record::{Manifest, read};
use crate::spec::settings::{Settings, differing, settings_of};
use std::collections::BTreeMap;
use std::path::Path;

/// The resolved spec of a run folder.
pub fn settings(folder: &Path) -> Result<Settings> {
    let path = folder.join(SPEC_FILE);
    let text = std::fs::read_to_string(&path).map_err(Error::io("read the run's spec", &path))?;
    settings_of(&text, &path)
}

/// Every file of a run folder.
pub fn open(folder: &Path) -> Result<RunFiles> {
    let file = |name: &str| folder.join(name);
    let spec = file(SPEC_FILE);
    let manifest = Manifest::read(&file(MANIFEST_FILE))?;
    let eval = read::read_eval(&file(EVAL_FILE))?;
    Ok(RunFiles {
        identity: Identity {
            experiment: manifest.experiment.clone(),
            run: manifest.run.clone(),
            seed: manifest.seed,
        },
        spec: std::fs::read_to_string(&spec).map_err(Error::io("read the run's spec", &spec))?,
        train: read::read_train(&file(TRAIN_FILE))?,
        task_names: eval.task_names,
        eval: eval.rows,
        summary: read::read_summary(&file(SUMMARY_FILE))?,
        timing: read::read_timing(&file(TIMING_FILE))?,
        manifest,
    })
}

/// Opens runs and puts those together that differ in nothing but their seed.
pub fn groups<P: AsRef<Path>>(folders: &[P]) -> Result<Vec<Group>> {
    let mut by_spec: Vec<(Settings, Vec<RunFiles>)> = vec![];
    for folder in folders {
        let mut settings = settings(folder.as_ref())?;
        settings.retain(|(path, _)| path != "seed");
        let run = open(folder.as_ref())?;
        match by_spec.iter_mut().find(|(other, _)| *other == settings) {
            Some((_, runs)) => runs.push(run),
            None => by_spec.push((settings, vec![run])),
        }
    }
    let all: Vec<_> = by_spec.iter().map(|(settings, _)| settings.clone()).collect();
    let differing: BTreeMap<String, Vec<String>> = differing(&all).into_iter().collect();
    let heading = |number: usize| {
        let values = differing.iter().map(|(path, values)| format!("{path} = {}", values[number]));
        values.collect::<Vec<_>>().join(", ")
    };
    let groups = by_spec.into_iter().enumerate();
    Ok(groups.map(|(number, (_, runs))| Group { heading: heading(number), runs }).collect())
}
