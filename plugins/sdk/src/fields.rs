//! What the entries of a vector are.

use serde_json::{Value, json};

/// One entry of an observation, action or task vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// `snake_case`; task fields become the CSV columns `task_<name>`.
    pub name: String,
    /// Such as `m`, `rad`, `m/s`; empty for a pure number.
    pub unit: String,
    /// Smallest value; minus infinity when there is no bound.
    pub low: f32,
    /// Largest value; infinity when there is no bound.
    pub high: f32,
}

impl Field {
    /// A field without bounds.
    pub fn new(name: impl Into<String>, unit: impl Into<String>) -> Self {
        Field { name: name.into(), unit: unit.into(), low: f32::NEG_INFINITY, high: f32::INFINITY }
    }

    /// The same field with bounds. Actions need finite ones: the host scales the policy's output to them.
    pub fn bounds(mut self, low: f32, high: f32) -> Self {
        (self.low, self.high) = (low, high);
        self
    }

    /// `{"name", "unit", "low", "high"}`; a missing bound is `null`.
    pub(crate) fn json(&self) -> Value {
        let bound = |x: f32| if x.is_finite() { json!(exact(x)) } else { Value::Null };
        json!({ "name": self.name, "unit": self.unit, "low": bound(self.low), "high": bound(self.high) })
    }
}

/// The f64 that prints as short as the f32 does: 0.1 rather than 0.10000000149011612. Both parse to the same f32.
fn exact(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(x as f64)
}

pub(crate) fn json_of(fields: &[Field]) -> Value {
    Value::Array(fields.iter().map(Field::json).collect())
}

/// No description lists more fields than this: a plugin that claims more is wrong, and the host allocates by it.
const MAX_FIELDS: usize = 65_536;
/// Longest name and unit, in bytes.
const MAX_NAME: usize = 64;

pub(crate) fn parse_description(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("the description is not JSON: {error}"))
}

/// Reads the list under a key of a description, which a foreign library wrote.
pub(crate) fn parse(description: &Value, key: &str) -> Result<Vec<Field>, String> {
    let Some(list) = description.get(key).and_then(Value::as_array) else {
        return Err(format!("the description has no list `{key}`"));
    };
    if list.len() > MAX_FIELDS {
        return Err(format!(
            "the description lists {} fields of `{key}`; at most {MAX_FIELDS} can be",
            list.len()
        ));
    }
    let mut names = std::collections::HashSet::new();
    let mut fields = Vec::with_capacity(list.len());
    for (i, entry) in list.iter().enumerate() {
        let field = parse_field(entry).map_err(|why| format!("field {i} of `{key}` {why}"))?;
        if !names.insert(field.name.clone()) {
            return Err(format!("`{key}` has two fields `{}`", field.name));
        }
        fields.push(field);
    }
    Ok(fields)
}

fn parse_field(entry: &Value) -> Result<Field, String> {
    let text = |key| entry.get(key).and_then(Value::as_str);
    let name = text("name").ok_or("has no text `name`")?;
    if !is_name(name) {
        return Err(format!("has the name {name:?}, which is not of the form [a-z][a-z0-9_]*"));
    }
    let unit = text("unit").unwrap_or_default();
    if unit.len() > MAX_NAME || unit.chars().any(char::is_control) {
        return Err(format!("(`{name}`) has an unreadable unit {unit:?}"));
    }
    let bound = |key, none| match entry.get(key) {
        None | Some(Value::Null) => Ok(none),
        Some(value) => match value.as_f64() {
            Some(number) if (number as f32).is_finite() => Ok(number as f32),
            _ => Err(format!("(`{name}`) has the bound `{key}` = {value}, which is not a 32-bit number")),
        },
    };
    let (low, high) = (bound("low", f32::NEG_INFINITY)?, bound("high", f32::INFINITY)?);
    if low > high {
        return Err(format!("(`{name}`) has bounds the wrong way round: {low} to {high}"));
    }
    Ok(Field { name: name.to_owned(), unit: unit.to_owned(), low, high })
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
}
