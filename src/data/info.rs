//! What a data set holds, in words.

use crate::error::{Error, Result};
use crate::plugin::{DataSpaces, PluginInfo};
use crate::spec::{Param, ParamKind, ParamValue};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The shape of an item, and every split with its classes, items and first names.
pub fn text(id: &str, spaces: &DataSpaces) -> String {
    let mut text = format!("{id}: items of shape {:?}\n", spaces.item_shape);
    for split in &spaces.splits {
        let counts = || split.classes.iter().map(|class| class.items);
        let items: u64 = counts().map(u64::from).sum();
        let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
        let each = if least == most { format!("{least}") } else { format!("{least} to {most}") };
        let names: Vec<&str> = split.classes.iter().take(3).map(|class| class.name.as_str()).collect();
        let more = if split.classes.len() > names.len() { ", …" } else { "" };
        let _ = writeln!(
            text,
            "  {:<6} {:>6} classes, {items:>7} items, {each} a class: {}{more}",
            split.name,
            split.classes.len(),
            names.join(", ")
        );
    }
    text
}

/// Parameters from `name=value` texts, checked against what the plugin declares.
///
/// # Errors
/// `Error::Input`: no `=`, no such parameter, a value of another type. Ranges and choices are the plugin's to check.
pub fn params(info: &PluginInfo, settings: &[String]) -> Result<BTreeMap<String, ParamValue>> {
    let mut params = BTreeMap::new();
    for setting in settings {
        let Some((name, value)) = setting.split_once('=') else {
            return Err(Error::Input(format!("--set {setting}: write NAME=VALUE")));
        };
        let declared = &info.params.params;
        let Some(param) = declared.iter().find(|param| param.name == name) else {
            let names: Vec<&str> = declared.iter().map(|param| param.name.as_str()).collect();
            let (id, names) = (&info.id, names.join(", "));
            return Err(Error::Input(format!(
                "--set {setting}: `{id}` has no parameter `{name}`; it has {names}"
            )));
        };
        let value = value_of(param, value).ok_or_else(|| {
            Error::Input(format!("--set {setting}: `{value}` is no value of type {}", type_name(param.kind)))
        })?;
        params.insert(name.to_owned(), value);
    }
    Ok(params)
}

fn value_of(param: &Param, text: &str) -> Option<ParamValue> {
    match param.kind {
        ParamKind::Bool => text.parse().ok().map(ParamValue::Bool),
        ParamKind::Int => text.parse().ok().map(ParamValue::Int),
        ParamKind::Float => text.parse().ok().filter(|x: &f64| x.is_finite()).map(ParamValue::Float),
        ParamKind::Text => Some(ParamValue::Text(text.to_owned())),
    }
}

fn type_name(kind: ParamKind) -> &'static str {
    match kind {
        ParamKind::Bool => "bool",
        ParamKind::Int => "int",
        ParamKind::Float => "float",
        ParamKind::Text => "text",
    }
}
