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
