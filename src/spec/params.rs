//! A plugin's own parameters: declared by the plugin as data, checked like every other key.

use super::block::Field;
use super::bounds::{Bounds, short};
use super::nearest::nearest;
use super::scalar::Plain;
use super::schema::ParamValue;
use super::tree::Node;
use std::collections::BTreeMap;

/// What a plugin offers; decides which keys of a spec apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// Task distributions with points (x, y), such as the sinusoid.
    Tasks,
    /// Environments with actions and rewards.
    Environment,
    /// Labelled items in classes, for few-shot classification.
    Data,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    Bool,
    Int,
    Float,
    Text,
}

/// One declared parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    pub name: String,
    pub kind: ParamKind,
    /// `None`: the spec must give a value.
    pub default: Option<ParamValue>,
    /// Smallest and largest allowed number, both included.
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// The only texts allowed; empty: any text.
    pub choices: Vec<String>,
    /// Such as `m/s`; empty for a pure number.
    pub unit: String,
    pub doc: String,
}

/// Everything that a plugin lets a spec set under `task.params`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParamTable {
    pub params: Vec<Param>,
}

/// Texts beyond this many bytes are no parameter.
const LONGEST_TEXT: usize = 4096;

pub(super) fn check(field: Field<'_>, table: &ParamTable) -> BTreeMap<String, ParamValue> {
    let mut block = field.block();
    let read = |param: &Param| Some((param.name.clone(), value(&block.field(&param.name), param)?));
    table.params.iter().filter_map(read).collect()
}

fn value(field: &Field<'_>, param: &Param) -> Option<ParamValue> {
    if field.node.is_none() {
        if param.default.is_none() {
            let doc = if param.doc.is_empty() { String::new() } else { format!(": {}", param.doc) };
            field.missing(&format!("`{}`, {}{doc}", param.name, expected(param)));
        }
        return param.default.clone();
    }
    let found = match (param.kind, field.node.and_then(Node::plain)) {
        (ParamKind::Bool, Some(Plain::Bool(b))) => Some(ParamValue::Bool(b)),
        (ParamKind::Int, Some(Plain::Int(i))) => i64::try_from(i).ok().map(ParamValue::Int),
        (ParamKind::Float, Some(Plain::Int(i))) => Some(ParamValue::Float(i as f64)),
        (ParamKind::Float, Some(Plain::Float(x))) => Some(ParamValue::Float(x)),
        (ParamKind::Text, _) => return text(field, param).map(ParamValue::Text),
        _ => None,
    };
    let bounds = Bounds::closed(param.min, param.max);
    let fits = match found {
        Some(ParamValue::Int(i)) => bounds.contains(i as f64),
        Some(ParamValue::Float(x)) => x.is_finite() && bounds.contains(x),
        _ => true,
    };
    if found.is_none() || !fits {
        field.expected(&expected(param), help(field, param));
        return None;
    }
    found
}

fn text(field: &Field<'_>, param: &Param) -> Option<String> {
    field.text(&expected(param), |text| {
        if text.len() > LONGEST_TEXT {
            return Err(format!("it is longer than {LONGEST_TEXT} bytes"));
        }
        if param.choices.is_empty() || param.choices.iter().any(|choice| choice == text) {
            return Ok(());
        }
        let near = nearest(text, param.choices.iter().map(String::as_str));
        Err(near.map_or(param.doc.clone(), |word| format!("did you mean `{word}`?")))
    })
}

fn expected(param: &Param) -> String {
    let unit = if param.unit.is_empty() { String::new() } else { format!(" in {}", param.unit) };
    let bounds = Bounds::closed(param.min, param.max);
    match param.kind {
        ParamKind::Bool => "true or false".into(),
        ParamKind::Int => format!("a whole number{bounds}{unit}"),
        ParamKind::Float => format!("a number{bounds}{unit}"),
        ParamKind::Text if param.choices.is_empty() => "text".into(),
        ParamKind::Text => format!("one of {}", param.choices.join(", ")),
    }
}

fn help(field: &Field<'_>, param: &Param) -> Option<String> {
    let word = match field.node.map(|node| &node.kind) {
        Some(super::tree::Kind::Scalar { text, .. }) => text.to_ascii_lowercase(),
        _ => String::new(),
    };
    match (param.kind, word.as_str()) {
        (ParamKind::Bool, "yes" | "on" | "y" | "1") => Some("write true".into()),
        (ParamKind::Bool, "no" | "off" | "n" | "0") => Some("write false".into()),
        _ => match &param.default {
            Some(ParamValue::Bool(b)) => Some(format!("the default is {b}")),
            Some(ParamValue::Int(i)) => Some(format!("the default is {i}")),
            Some(ParamValue::Float(x)) => Some(format!("the default is {}", short(*x))),
            Some(ParamValue::Text(_)) | None => None,
        },
    }
}
