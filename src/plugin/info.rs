//! What a plugin says about itself, read from its descriptor section.

use crate::spec::{Param, ParamKind, ParamTable, ParamValue, PluginKind};
use mamlx_plugin::abi;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A plugin, known without running it.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginInfo {
    pub id: String,
    pub version: String,
    /// Raised by the author whenever the same seeds may give other numbers.
    pub dynamics_version: u64,
    pub abi_major: u64,
    pub abi_minor: u64,
    pub kind: PluginKind,
    pub doc: String,
    pub path: PathBuf,
    /// Of the library file, in hexadecimal.
    pub sha256: String,
    /// What a spec may set under `task.params`.
    pub params: ParamTable,
}

/// Kinds with their word in a descriptor and the feature that each must have.
const KINDS: [(PluginKind, &str, &str); 3] = [
    (PluginKind::Environment, "env", abi::ENV),
    (PluginKind::Tasks, "tasks", abi::TASKS),
    (PluginKind::Data, "data", abi::DATA),
];

/// Types of parameters with their words in a descriptor.
const TYPES: [(ParamKind, &str); 4] = [
    (ParamKind::Bool, "bool"),
    (ParamKind::Int, "int"),
    (ParamKind::Float, "float"),
    (ParamKind::Text, "text"),
];

impl PluginInfo {
    /// `env`, `tasks` or `data`.
    pub fn kind_name(&self) -> &'static str {
        KINDS.iter().find(|row| row.0 == self.kind).map_or("", |row| row.1)
    }

    /// Such as `mamlx.env/1`.
    pub fn feature(&self) -> &'static str {
        KINDS.iter().find(|row| row.0 == self.kind).map_or("", |row| row.2)
    }

    /// Everything, for `plugin list --json`.
    pub fn json(&self) -> Value {
        let parameter = |p: &Param| {
            json!({
                "name": p.name, "type": type_name(p.kind), "default": p.default, "min": p.min, "max": p.max,
                "choices": p.choices, "unit": p.unit, "doc": p.doc,
            })
        };
        json!({
            "id": self.id,
            "version": self.version,
            "dynamics_version": self.dynamics_version,
            "abi_major": self.abi_major,
            "abi_minor": self.abi_minor,
            "kind": self.kind_name(),
            "doc": self.doc,
            "path": self.path,
            "sha256": self.sha256,
            "parameters": self.params.params.iter().map(parameter).collect::<Vec<_>>(),
        })
    }
}

/// `bool`, `int`, `float` or `text`.
pub(super) fn type_name(kind: ParamKind) -> &'static str {
    TYPES.iter().find(|row| row.0 == kind).map_or("", |row| row.1)
}

/// Longest text in a descriptor, in bytes.
const MAX_TEXT: usize = 4096;

/// Reads a descriptor. `path` and `sha256` are filled in by the caller.
pub(super) fn parse(text: &str) -> Result<PluginInfo, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let integer =
        |key: &str| value.get(key).and_then(Value::as_u64).ok_or(format!("it has no integer `{key}`"));
    let word = text_of(&value, "kind")?;
    let kind = KINDS.iter().find(|row| row.1 == word);
    let kind = kind.ok_or_else(|| format!("its kind is `{word}`, which is not env, tasks or data"))?.0;
    let parameters =
        value.get("parameters").and_then(Value::as_array).ok_or("it has no list `parameters`")?;
    let params: Vec<Param> = parameters.iter().map(parameter).collect::<Result<_, String>>()?;
    let mut names = std::collections::HashSet::new();
    if let Some(twice) = params.iter().find(|param| !names.insert(&param.name)) {
        return Err(format!("it declares the parameter `{}` twice", twice.name));
    }
    Ok(PluginInfo {
        id: text_of(&value, "id")?,
        version: text_of(&value, "version")?,
        dynamics_version: integer("dynamics_version")?,
        abi_major: integer("abi_major")?,
        abi_minor: integer("abi_minor")?,
        kind,
        doc: text_of(&value, "doc")?,
        path: PathBuf::new(),
        sha256: String::new(),
        params: ParamTable { params },
    })
}

/// The interface version that a descriptor states, readable even when nothing else is.
pub(super) fn abi_of(text: &str) -> Option<(u64, u64)> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some((value.get("abi_major")?.as_u64()?, value.get("abi_minor")?.as_u64()?))
}

fn parameter(value: &Value) -> Result<Param, String> {
    let name = text_of(value, "name")?;
    let why = |what: &str| format!("parameter `{name}` {what}");
    let word = text_of(value, "type")?;
    let kind = TYPES.iter().find(|row| row.1 == word).map(|row| row.0);
    let kind =
        kind.ok_or_else(|| why(&format!("has the type `{word}`, which is not bool, int, float or text")))?;
    let bound = |key: &str| match value.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(bound) => {
            bound.as_f64().map(Some).ok_or_else(|| why(&format!("has a `{key}` that is not a number")))
        }
    };
    let choices = match value.get("choices") {
        None | Some(Value::Null) => vec![],
        Some(list) => {
            let texts: Option<Vec<&str>> =
                list.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
            let texts = texts.ok_or_else(|| why("has `choices` that are not a list of texts"))?;
            texts.into_iter().map(|text| printable(text, "choices")).collect::<Result<_, _>>()?
        }
    };
    let default = match value.get("default") {
        None | Some(Value::Null) => None,
        Some(default) => {
            let read = match kind {
                ParamKind::Bool => default.as_bool().map(ParamValue::Bool),
                ParamKind::Int => default.as_i64().map(ParamValue::Int),
                ParamKind::Float => default.as_f64().map(ParamValue::Float),
                ParamKind::Text => default.as_str().map(|text| ParamValue::Text(text.to_owned())),
            };
            if let Some(ParamValue::Text(text)) = &read {
                printable(text, "default")?;
            }
            Some(read.ok_or_else(|| why(&format!("has a default that is not of type {word}")))?)
        }
    };
    let optional = |key| if value.get(key).is_some() { text_of(value, key) } else { Ok(String::new()) };
    Ok(Param {
        min: bound("min")?,
        max: bound("max")?,
        unit: optional("unit")?,
        doc: optional("doc")?,
        name,
        kind,
        default,
        choices,
    })
}

/// The text of a key, safe to print.
fn text_of(value: &Value, key: &str) -> Result<String, String> {
    let text = value.get(key).and_then(Value::as_str).ok_or_else(|| format!("it has no text `{key}`"))?;
    printable(text, key)
}

/// Refuses a text that would flood or steer a terminal.
fn printable(text: &str, key: &str) -> Result<String, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("its `{key}` is longer than {MAX_TEXT} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("its `{key}` contains control characters"));
    }
    Ok(text.to_owned())
}
