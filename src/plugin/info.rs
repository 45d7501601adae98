//! What a plugin says about itself, read from its descriptor section.

use crate::spec::ParamValue;
use mamlx_plugin::abi;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;

/// What a plugin offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Environments, `mamlx.env/1`.
    Env,
    /// Task distributions, `mamlx.tasks/1`.
    Tasks,
    /// Datasets, `mamlx.data/1`.
    Data,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Env => "env",
            Kind::Tasks => "tasks",
            Kind::Data => "data",
        }
    }

    pub fn feature(self) -> &'static str {
        match self {
            Kind::Env => abi::ENV,
            Kind::Tasks => abi::TASKS,
            Kind::Data => abi::DATA,
        }
    }
}

/// One parameter that a plugin declares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Declared {
    pub name: String,
    /// `bool`, `int`, `float` or `text`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// None: the experiment must set it.
    pub default: Option<ParamValue>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Allowed texts; empty: any.
    pub choices: Vec<String>,
    pub unit: String,
    pub doc: String,
}

/// A plugin, known without running it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PluginInfo {
    pub id: String,
    pub version: String,
    /// Raised by the author whenever the same seeds may give other numbers.
    pub dynamics_version: u64,
    pub abi_major: u64,
    pub abi_minor: u64,
    pub kind: Kind,
    pub doc: String,
    pub path: PathBuf,
    /// Of the library file, in hexadecimal.
    pub sha256: String,
    pub parameters: Vec<Declared>,
}

/// Longest text in a descriptor, in bytes.
const MAX_TEXT: usize = 4096;

/// Reads a descriptor. `path` and `sha256` are filled in by the caller.
pub(super) fn parse(text: &str) -> Result<PluginInfo, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let integer =
        |key: &str| value.get(key).and_then(Value::as_u64).ok_or(format!("it has no integer `{key}`"));
    let kind = match text_of(&value, "kind")?.as_str() {
        "env" => Kind::Env,
        "tasks" => Kind::Tasks,
        "data" => Kind::Data,
        other => return Err(format!("its kind is `{other}`, which is not env, tasks or data")),
    };
    let parameters =
        value.get("parameters").and_then(Value::as_array).ok_or("it has no list `parameters`")?;
    let parameters: Vec<Declared> = parameters.iter().map(parameter).collect::<Result<_, String>>()?;
    let mut names = std::collections::HashSet::new();
    if let Some(twice) = parameters.iter().find(|parameter| !names.insert(&parameter.name)) {
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
        parameters,
    })
}

/// The interface version that a descriptor states, readable even when nothing else is.
pub(super) fn abi_of(text: &str) -> Option<(u64, u64)> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some((value.get("abi_major")?.as_u64()?, value.get("abi_minor")?.as_u64()?))
}

fn parameter(value: &Value) -> Result<Declared, String> {
    let name = text_of(value, "name")?;
    let why = |what: &str| format!("parameter `{name}` {what}");
    let type_name = text_of(value, "type")?;
    let bound = |key: &str| match value.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(bound) => {
            bound.as_f64().map(Some).ok_or_else(|| why(&format!("has a `{key}` that is not a number")))
        }
    };
    let choices = match value.get("choices") {
        None | Some(Value::Null) => vec![],
        Some(list) => {
            let texts =
                list.as_array().and_then(|l| l.iter().map(|c| c.as_str().map(str::to_owned)).collect());
            texts.ok_or_else(|| why("has `choices` that are not a list of texts"))?
        }
    };
    let default = match value.get("default") {
        None | Some(Value::Null) => None,
        Some(default) => {
            let read = match type_name.as_str() {
                "bool" => default.as_bool().map(ParamValue::Bool),
                "int" => default.as_i64().map(ParamValue::Int),
                "float" => default.as_f64().map(ParamValue::Float),
                "text" => default.as_str().map(|text| ParamValue::Text(text.to_owned())),
                other => {
                    return Err(why(&format!(
                        "has the type `{other}`, which is not bool, int, float or text"
                    )));
                }
            };
            Some(read.ok_or_else(|| why(&format!("has a default that is not of type {type_name}")))?)
        }
    };
    let optional = |key| if value.get(key).is_some() { text_of(value, key) } else { Ok(String::new()) };
    Ok(Declared {
        min: bound("min")?,
        max: bound("max")?,
        unit: optional("unit")?,
        doc: optional("doc")?,
        name,
        type_name,
        default,
        choices,
    })
}

/// A text that is safe to print.
fn text_of(value: &Value, key: &str) -> Result<String, String> {
    match value.get(key).and_then(Value::as_str) {
        Some(text) if text.len() > MAX_TEXT => Err(format!("its `{key}` is longer than {MAX_TEXT} bytes")),
        Some(text) if text.chars().any(char::is_control) => {
            Err(format!("its `{key}` contains control characters"))
        }
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("it has no text `{key}`")),
    }
}
