//! What `mamlx plugin list` and `mamlx plugin info` print.

use super::find::SearchPath;
use super::info::{PluginInfo, type_name};
use super::inspect::inspect_any;
use super::load::{Plugin, Tables};
use crate::error::Result;
use crate::spec::{Param, ParamValue};
use mamlx_plugin::{DataSpaces, Field};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

/// One library of the search path that is a plugin, or should be one.
pub struct Listed {
    pub path: PathBuf,
    /// The plugin, or why it cannot be used.
    pub info: std::result::Result<PluginInfo, String>,
    /// A library of the same name in an earlier folder wins.
    pub shadowed: bool,
}

/// Every plugin of the search path, without running any. Libraries that have nothing to do with mamlx are left out.
pub fn list(path: &SearchPath) -> Vec<Listed> {
    let mut names = BTreeSet::new();
    let mut all = vec![];
    for path in path.libraries() {
        let info = match inspect_any(&path) {
            Ok(Some(info)) => Ok(info),
            Ok(None) => continue,
            Err(error) => Err(error.to_string()),
        };
        let shadowed = !names.insert(path.file_name().map(|name| name.to_owned()));
        all.push(Listed { path, info, shadowed });
    }
    all
}

/// `mamlx plugin list`: one line each.
pub fn list_text(path: &SearchPath) -> String {
    let listed = list(path);
    let mut text = String::new();
    for Listed { path, info, shadowed } in &listed {
        let _ = match info {
            Ok(info) => {
                let note = if *shadowed { "  (not used: an earlier folder has it too)" } else { "" };
                let (id, version, kind) = (&info.id, &info.version, info.kind_name());
                writeln!(
                    text,
                    "{id:<16} {version:<8} {kind:<6} {}{note}\n{:34}{}",
                    info.doc,
                    "",
                    path.display()
                )
            }
            Err(why) => writeln!(text, "cannot be used: {why}"),
        };
    }
    if listed.is_empty() {
        let folders: Vec<String> = path.folders.iter().map(|f| format!("  {}", f.display())).collect();
        let _ = writeln!(text, "no plugins in\n{}", folders.join("\n"));
    }
    text
}

/// `mamlx plugin list --json`.
pub fn list_json(path: &SearchPath) -> Value {
    let entry = |listed: &Listed| match &listed.info {
        Ok(info) => {
            let mut value = info.json();
            value["shadowed"] = json!(listed.shadowed);
            value
        }
        Err(why) => json!({ "path": listed.path, "error": why }),
    };
    Value::Array(list(path).iter().map(entry).collect())
}

/// A plugin with what an instance of it describes.
pub struct Info {
    pub info: PluginInfo,
    /// Titles and fields of the vectors.
    pub vectors: Vec<(&'static str, Vec<Field>)>,
    /// Datasets only.
    pub data: Option<DataSpaces>,
    /// Why there is no instance: a dataset without its files, say.
    pub note: Option<String>,
}

/// Loads a plugin by name and asks it to describe itself, with its default parameters.
pub fn info(path: &SearchPath, name: &str) -> Result<Info> {
    Ok(Info::of(&path.load(name)?))
}

impl Info {
    pub fn of(plugin: &Plugin) -> Self {
        let mut info = Info { info: plugin.info.clone(), vectors: vec![], data: None, note: None };
        let none = BTreeMap::new();
        let described = match plugin.tables {
            Tables::Env(_) => plugin.env(&none, 1).map(|env| {
                let spaces = env.spaces();
                info.vectors.push(("observation", spaces.observation.clone()));
                info.vectors.push(("action", spaces.action.clone()));
                info.vectors.push(("task", spaces.task.clone()));
            }),
            Tables::Tasks(_) => plugin.tasks(&none).map(|tasks| {
                let spaces = tasks.spaces();
                info.vectors.push(("x", spaces.x.clone()));
                info.vectors.push(("y", spaces.y.clone()));
                info.vectors.push(("task", spaces.task.clone()));
            }),
            Tables::Data(_) => plugin.data(&none).map(|data| info.data = Some(data.spaces().clone())),
        };
        info.note = described.err().map(|error| error.to_string());
        info
    }

    /// `mamlx plugin info NAME --json`.
    pub fn json(&self) -> Value {
        let bound =
            |x: f32| if x.is_finite() { json!(x.to_string().parse::<f64>().ok()) } else { Value::Null };
        let field =
            |f: &Field| json!({ "name": f.name, "unit": f.unit, "low": bound(f.low), "high": bound(f.high) });
        let mut value = self.info.json();
        for (title, fields) in &self.vectors {
            value[*title] = fields.iter().map(field).collect();
        }
        if let Some(data) = &self.data {
            value["item_shape"] = json!(data.item_shape);
            let split = |split: &mamlx_plugin::Split| {
                let items: u64 = split.classes.iter().map(|class| class.items as u64).sum();
                json!({ "name": split.name, "classes": split.classes.len(), "items": items })
            };
            value["splits"] = data.splits.iter().map(split).collect();
        }
        if let Some(note) = &self.note {
            value["note"] = json!(note);
        }
        value
    }

    /// `mamlx plugin info NAME`.
    pub fn text(&self) -> String {
        let PluginInfo { id, version, dynamics_version, path, sha256, doc, .. } = &self.info;
        let mut text = format!(
            "{id} {version} ({}), dynamics version {dynamics_version}\n{doc}\n\nfile    {}\nsha256  {sha256}\n",
            self.info.kind_name(),
            path.display()
        );
        for line in self.markdown_tables().lines() {
            text += line;
            text.push('\n');
        }
        if let Some(note) = &self.note {
            let _ = write!(text, "\nNot described further: {note}\n");
        }
        text
    }

    /// `mamlx plugin info NAME --markdown`: the plugin's README, without anything that depends on the machine.
    pub fn markdown(&self) -> String {
        let PluginInfo { id, version, dynamics_version, doc, .. } = &self.info;
        format!(
            "# {id}\n\n{doc}\n\nVersion {version}, kind `{}`, dynamics version {dynamics_version}. This page is what \
             `mamlx plugin info {id} --markdown` prints; a test keeps it so.\n{}",
            self.info.kind_name(),
            self.markdown_tables()
        )
    }

    fn markdown_tables(&self) -> String {
        let mut text = String::new();
        if !self.info.params.params.is_empty() {
            text += "\n## Parameters (`task.params`)\n\n| name | type | default | allowed | unit | meaning |\n\
                     |---|---|---|---|---|---|\n";
            for p in &self.info.params.params {
                let default = p.default.as_ref().map_or("must be set".to_owned(), value_text);
                let (name, type_name, unit, doc) = (&p.name, type_name(p.kind), &p.unit, &p.doc);
                let _ = writeln!(
                    text,
                    "| `{name}` | {type_name} | {default} | {} | {unit} | {doc} |",
                    allowed(p)
                );
            }
        }
        for (title, fields) in self.vectors.iter().filter(|(_, fields)| !fields.is_empty()) {
            let heading = match *title {
                "observation" => "Observation",
                "action" => "Action",
                "x" => "Input x",
                "y" => "Target y",
                _ => "Task",
            };
            let _ =
                write!(text, "\n## {heading}\n\n| # | name | unit | low | high |\n|---|---|---|---|---|\n");
            for (i, Field { name, unit, low, high }) in fields.iter().enumerate() {
                let _ = writeln!(text, "| {i} | `{name}` | {unit} | {low} | {high} |");
            }
        }
        if let Some(data) = &self.data {
            let _ = write!(
                text,
                "\n## Items of shape {:?}\n\n| split | classes | items |\n|---|---|---|\n",
                data.item_shape
            );
            for split in &data.splits {
                let items: u64 = split.classes.iter().map(|class| class.items as u64).sum();
                let _ = writeln!(text, "| {} | {} | {items} |", split.name, split.classes.len());
            }
        }
        text
    }
}

fn value_text(value: &ParamValue) -> String {
    match value {
        ParamValue::Bool(value) => value.to_string(),
        ParamValue::Int(value) => value.to_string(),
        ParamValue::Float(value) => value.to_string(),
        ParamValue::Text(value) => format!("`{value}`"),
    }
}

fn allowed(parameter: &Param) -> String {
    match (parameter.min, parameter.max) {
        _ if !parameter.choices.is_empty() => {
            parameter.choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ")
        }
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => String::new(),
    }
}
