//! The declared fields → a page in Markdown: the spec reference of the guide. It is the JSON Schema, told to people.

use super::json_schema::json_schema;
use serde_json::Value;
use std::fmt::Write;

const HEAD: &str = "# What a spec may say

Every key of an experiment's YAML file, as `mamlx schema --markdown` prints it; a test keeps this page so. `mamlx schema` \
prints the same for editors. Any key can be changed from the command line: \
`--set inner.rate=0.1`.
";

/// The page.
pub fn reference() -> String {
    let schema = json_schema();
    let mut page = String::from(HEAD);
    block(&mut page, "", "The file", &schema);
    page
}

/// A heading and a table, then the blocks below it.
fn block(page: &mut String, path: &str, heading: &str, schema: &Value) {
    let level = if path.is_empty() { "##" } else { "###" };
    let _ = write!(page, "\n{level} {heading}\n");
    let description = text(schema);
    if !description.is_empty() {
        let _ = write!(page, "\n{description}\n");
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    let mut below = vec![];
    if !properties.is_empty() {
        page.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
    }
    for (key, value) in properties {
        let child = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let blocks = blocks(value);
        let shown = match kinds(value) {
            words if blocks.is_empty() => words,
            words if words.is_empty() => "see below".into(),
            words => format!("{words}; see below"),
        };
        let (meaning, default) = meaning(value);
        let _ = writeln!(page, "| `{key}` | {} | {} | {} |", cell(&shown), cell(&default), cell(&meaning));
        below.extend(blocks.into_iter().map(|(kind, schema)| (child.clone(), kind, schema)));
    }
    for (path, kind, schema) in below {
        let heading = match kind {
            Some(kind) => format!("`{path}` of kind `{kind}`"),
            None => format!("`{path}`"),
        };
        block(page, &path, &heading, schema);
    }
}

/// Blocks that stand behind a key, with their kind where there are several.
fn blocks(schema: &Value) -> Vec<(Option<&str>, &Value)> {
    let mut found = vec![];
    if schema["properties"].as_object().is_some_and(|properties| !properties.is_empty()) {
        found.push((schema["properties"]["kind"]["const"].as_str(), schema));
    }
    let items = schema.get("items");
    for form in schema["anyOf"].as_array().into_iter().flatten().chain(items) {
        found.extend(blocks(form));
    }
    // A block whose only key is its kind says nothing that the word alone does not.
    found.retain(|(kind, schema)| {
        kind.is_none() || schema["properties"].as_object().is_some_and(|keys| keys.len() > 1)
    });
    // The items of a list are the forms of a single value once more.
    found.dedup_by_key(|(kind, _)| *kind);
    let mut seen = vec![];
    found.retain(|(kind, _)| {
        let new = !seen.contains(kind);
        seen.push(*kind);
        new
    });
    found
}

/// `number above 0, at most 1000`, `one of …`, `list of …`.
fn kinds(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return if words.is_empty() { String::new() } else { words.join(", ") };
    }
    if let Some(forms) = schema["anyOf"].as_array() {
        let mut all: Vec<String> = vec![];
        for form in forms {
            // A single value stands for a list of one.
            let text = kinds(form);
            if !text.is_empty()
                && !all.iter().any(|other| *other == text || text == format!("list of {other}"))
            {
                all.push(text);
            }
        }
        let several = forms.iter().any(|form| form["type"] == "array");
        return format!("{}{}", all.join(" or "), if several && all.len() == 1 { ", or a list" } else { "" });
    }
    let name = |kind: &str| match kind {
        "integer" => "whole number",
        "number" => "number",
        "boolean" => "`true` or `false`",
        "string" => "text",
        "null" => "`null`",
        _ => "",
    };
    let named = match &schema["type"] {
        Value::String(kind) if kind == "array" => match kinds(&schema["items"]) {
            items if items.is_empty() => "list".into(),
            items => format!("list of {items}"),
        },
        Value::String(kind) => name(kind).to_string(),
        // Where text is expected, an unquoted number or truth value is text.
        Value::Array(kinds) if kinds.iter().any(|kind| kind == "string") => {
            let null = if kinds.iter().any(|kind| kind == "null") { " or `null`" } else { "" };
            format!("text{null}")
        }
        // `null` stands for what happens without the key.
        Value::Array(kinds) => {
            let names = kinds.iter().filter_map(Value::as_str).map(name);
            names.filter(|name| !name.is_empty() && *name != "`null`").collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    };
    let bounds = [
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
    ];
    let said =
        bounds.iter().filter_map(|(key, word)| schema.get(*key).map(|bound| format!(" {word} {bound}")));
    format!("{named}{}", said.collect::<String>())
}

/// The description, and the default that stands at its end.
fn meaning(schema: &Value) -> (String, String) {
    let whole = text(schema);
    match whole.rsplit_once("Default: ") {
        Some((meaning, default)) => {
            (meaning.trim().to_string(), default.trim().trim_end_matches('.').to_string())
        }
        None => (whole, String::new()),
    }
}

fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().trim().to_string()
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace("\n\n", " ").replace('\n', " ").replace('|', "\\|")
}
