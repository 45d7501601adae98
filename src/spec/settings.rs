//! A resolved spec → key paths with their values, by which specs are compared.

use crate::error::{Error, Result};
use serde_json::Value;
use std::path::Path;

/// A spec as key paths with their values.
pub type Settings = Vec<(String, String)>;

/// A resolved spec's text as `path → value`, in the order of the file; the text is called `path` in errors.
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

/// Stands for the value of a path that a spec does not have.
pub const ABSENT: &str = "-";

/// Paths whose values are not the same everywhere, with the value of each; a path that is absent has [`ABSENT`].
pub fn differing(all: &[Settings]) -> Vec<(String, Vec<String>)> {
    let mut paths: Vec<&String> = vec![];
    for (path, _) in all.iter().flatten() {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let value = |settings: &[(String, String)], path: &String| {
        settings
            .iter()
            .find(|(other, _)| other == path)
            .map_or(ABSENT.to_string(), |(_, value)| value.clone())
    };
    let row = |path: &String| (path.clone(), all.iter().map(|settings| value(settings, path)).collect());
    let rows = paths.into_iter().map(row);
    rows.filter(|(_, values): &(String, Vec<String>)| values.iter().any(|v| *v != values[0])).collect()
}
