//! Run folders as the commands that read results take them: opened, and told apart by what their specs say.

use crate::error::{Error, Result};
use crate::record::folder::{EVAL_FILE, MANIFEST_FILE, SPEC_FILE, SUMMARY_FILE, TIMING_FILE, TRAIN_FILE};
use crate::record::page::{Group, RunFiles};
use crate::record::row::Identity;
use crate::record::{Manifest, read};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A spec as key paths with their values.
pub type Settings = Vec<(String, String)>;

/// The resolved spec of a run folder as `path → value`, in the order of the file.
pub fn settings(folder: &Path) -> Result<Settings> {
    let path = folder.join(SPEC_FILE);
    let text = std::fs::read_to_string(&path).map_err(Error::io("read the run's spec", &path))?;
    settings_of(&text, &path)
}

/// The same of a resolved spec's text, which is called `path` in errors.
pub fn settings_of(text: &str, path: &Path) -> Result<Settings> {
    let refuse = |e: serde_yaml::Error| Error::Input(format!("{}: not a spec of a run: {e}", path.display()));
    let value: Value = serde_yaml::from_str(text).map_err(refuse)?;
    let mut all = vec![];
    flatten("", &value, &mut all);
    Ok(all)
}

fn flatten(path: &str, value: &Value, all: &mut Settings) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, all);
            }
        }
        Value::String(text) => all.push((path.to_string(), text.clone())),
        other => all.push((path.to_string(), other.to_string())),
    }
}

/// Paths whose values are not the same everywhere, with the value of each; a path that is absent has `-`.
pub fn differing(all: &[Settings]) -> Vec<(String, Vec<String>)> {
    let mut paths: Vec<&String> = vec![];
    for (path, _) in all.iter().flatten() {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let value = |settings: &[(String, String)], path: &String| {
        settings.iter().find(|(other, _)| other == path).map_or("-".to_string(), |(_, value)| value.clone())
    };
    let row = |path: &String| (path.clone(), all.iter().map(|settings| value(settings, path)).collect());
    let rows = paths.into_iter().map(row);
    rows.filter(|(_, values): &(String, Vec<String>)| values.iter().any(|v| *v != values[0])).collect()
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
