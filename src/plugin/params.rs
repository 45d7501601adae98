//! From an experiment's parameters to the JSON object that `create` gets.

use super::info::{PluginInfo, type_name};
use crate::error::{Error, Result};
use crate::spec::{Param, ParamKind, ParamValue};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A value for every declared parameter: the experiment's, or the default.
///
/// # Errors
/// `Error::Input`: a parameter that is not declared, or is missing, or has another type. The spec room finds these
/// with their line; here they guard the callers that have no spec.
pub fn params_json(info: &PluginInfo, params: &BTreeMap<String, ParamValue>) -> Result<String> {
    let refuse = |why: String| Err(Error::Input(format!("plugin `{}`: {why}", info.id)));
    if let Some(name) = params.keys().find(|name| info.params.params.iter().all(|p| p.name != **name)) {
        let names: Vec<&str> = info.params.params.iter().map(|p| p.name.as_str()).collect();
        return refuse(format!("there is no parameter `{name}`; there are: {}", names.join(", ")));
    }
    let mut object = Map::new();
    for parameter in &info.params.params {
        let Some(value) = params.get(&parameter.name).or(parameter.default.as_ref()) else {
            return refuse(format!("the parameter `{}` must be set: {}", parameter.name, parameter.doc));
        };
        match json(parameter, value) {
            Some(value) => object.insert(parameter.name.clone(), value),
            None => {
                return refuse(format!(
                    "the parameter `{}` is not of type {}",
                    parameter.name,
                    type_name(parameter.kind)
                ));
            }
        };
    }
    Ok(Value::Object(object).to_string())
}

fn json(parameter: &Param, value: &ParamValue) -> Option<Value> {
    match (parameter.kind, value) {
        (ParamKind::Bool, ParamValue::Bool(value)) => Some(Value::from(*value)),
        (ParamKind::Int, ParamValue::Int(value)) => Some(Value::from(*value)),
        (ParamKind::Float, ParamValue::Int(value)) => Some(Value::from(*value)),
        (ParamKind::Float, ParamValue::Float(value)) if value.is_finite() => Some(Value::from(*value)),
        (ParamKind::Text, ParamValue::Text(value)) => Some(Value::from(value.as_str())),
        _ => None,
    }
}
