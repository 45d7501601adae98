//! The declared fields → a JSON Schema (draft-07) for editors: completion, hover text and red underlines while the
//! spec is being written. What it says is heard from the walk that reads specs, and its texts are the comments of
//! `schema.rs`; it knows no field by name.

use super::bounds::Bounds;
use super::declared::{self, Accepts, Declaration, Variants};
use super::docs::Docs;
use super::params::PluginKind;
use serde_json::{Map, Value, json};

/// A support size that no default has by itself: where a default equals it, the default is the support size.
const PROBE: usize = 7919;
const SUPPORT: &str = "the value of `task.support`";
const KINDS: [(PluginKind, &str); 3] = [
    (PluginKind::Tasks, "task distributions"),
    (PluginKind::Environment, "environments"),
    (PluginKind::Data, "data sets"),
];

/// The schema of a spec file.
pub fn json_schema() -> Value {
    let (common, variants) = declared::all();
    let defaults = KINDS.map(|(kind, name)| (declared::defaults(PROBE, kind), name));
    let writer = Writer { docs: Docs::of_schema(), common, variants, defaults };
    let mut schema = Map::new();
    schema.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("title".into(), json!("mamlx experiment"));
    schema.extend(writer.field("", &writer.common, None));
    schema.insert("type".into(), json!("object"));
    Value::Object(schema)
}

struct Writer {
    docs: Docs,
    common: Vec<Declaration>,
    variants: Vec<Variants>,
    /// Resolved specs by the kind of their plugin, with the kind's name.
    defaults: [(Value, &'static str); 3],
}

type Object = Map<String, Value>;

impl Writer {
    /// The schema of one field, from everything that the field says.
    fn field(&self, path: &str, among: &[Declaration], kind: Option<&str>) -> Object {
        let says: Vec<&Accepts> =
            among.iter().filter(|(other, _)| other == path).map(|(_, accepts)| accepts).collect();
        let has = |what: &Accepts| says.contains(&what);
        let mut schema = Map::new();
        // The entries of a list are explained at the list.
        let silent = path.is_empty() || path.ends_with("[]");
        let mut text = if silent { String::new() } else { self.docs.of(path, kind) };
        let list = has(&Accepts::List);
        for accepts in &says {
            match accepts {
                Accepts::Words(words) => {
                    schema.insert("enum".into(), json!(words));
                    let explained = self.docs.words(words);
                    let lines = explained.iter().filter(|(_, doc)| !doc.is_empty());
                    text += &lines.map(|(word, doc)| format!("\n\n`{word}`: {doc}")).collect::<String>();
                }
                Accepts::Flag => {
                    schema.insert("type".into(), json!("boolean"));
                }
                Accepts::Number(bounds) => number(&mut schema, bounds),
                Accepts::Whole(low, high) => {
                    schema.insert("type".into(), json!("integer"));
                    schema.insert("minimum".into(), json!(low));
                    if *high != u64::MAX {
                        schema.insert("maximum".into(), json!(high));
                    }
                }
                Accepts::Text(what) => {
                    // Where text is expected, an unquoted number or truth value is text.
                    schema.insert("type".into(), json!(["string", "number", "boolean"]));
                    text = format!("{text}\n\nWrite {what}.").trim_start().to_string();
                }
                Accepts::Block if !has(&Accepts::AnyKeys) => schema.extend(self.block(path, among, kind)),
                // An empty block is a block that takes its defaults.
                Accepts::Block => {
                    schema.insert("type".into(), json!(["object", "null"]));
                }
                Accepts::Kinds(kinds) => {
                    schema = Map::from_iter([("anyOf".into(), self.kinds(path, kinds))]);
                    text = text.trim().to_string();
                    break;
                }
                Accepts::List => {
                    let mut item = self.field(&format!("{path}[]"), among, kind);
                    if let Some(Value::String(words)) = item.shift_remove("description") {
                        text = format!("{text}\n\n{}", words.trim());
                    }
                    schema.extend(list_of(item));
                }
                Accepts::AnyKeys | Accepts::Null | Accepts::Required => {}
            }
        }
        if has(&Accepts::Null) {
            or_null(&mut schema);
        }
        if !silent && !has(&Accepts::Required) {
            let block = has(&Accepts::Block) && !list;
            if !block || says.iter().any(|accepts| matches!(accepts, Accepts::Kinds(_))) {
                self.default(path, kind, &mut schema, &mut text);
            }
        }
        if !text.is_empty() {
            schema.insert("description".into(), json!(text));
        }
        schema
    }

    fn block(&self, path: &str, among: &[Declaration], kind: Option<&str>) -> Object {
        let mut properties = Map::new();
        let mut required = vec![];
        for (child, accepts) in among {
            let Some(key) = child_of(child, path) else { continue };
            if *accepts == Accepts::Required {
                required.push(key);
            }
            if !properties.contains_key(key) {
                properties.insert(key.to_string(), Value::Object(self.field(child, among, kind)));
            }
        }
        let optional = path.is_empty() || !required.is_empty() || kind.is_some();
        let mut block = Map::from_iter([
            ("type".to_string(), if optional { json!("object") } else { json!(["object", "null"]) }),
            ("properties".to_string(), Value::Object(properties)),
            ("additionalProperties".to_string(), json!(false)),
        ]);
        if path.is_empty() {
            // A block with required keys is itself required.
            let inside = among.iter().filter(|(_, accepts)| *accepts == Accepts::Required);
            let outer =
                inside.filter_map(|(path, _)| path.split('.').next().filter(|key| !key.contains('[')));
            required = vec![];
            outer.for_each(|key| {
                if !required.contains(&key) {
                    required.push(key)
                }
            });
        }
        if !required.is_empty() {
            block.insert("required".into(), json!(required));
        }
        block
    }

    /// The bare words, then a block for each kind. Where no plugin makes a kind the default, it has to be written.
    fn kinds(&self, path: &str, kinds: &[&'static str]) -> Value {
        let mut forms = vec![json!({"enum": kinds})];
        let Some((_, variants)) = self.variants.iter().find(|(other, _)| other == path) else {
            return json!(forms);
        };
        for (kind, declared) in variants {
            let mut block = self.block(path, declared, Some(kind));
            if let Some(Value::Object(properties)) = block.get_mut("properties") {
                properties.shift_insert(0, "kind".into(), json!({"const": kind}));
            }
            let is_default =
                |(spec, _): &(Value, _)| value_at(spec, path).is_some_and(|v| v["kind"] == *kind);
            if !self.defaults.iter().any(is_default) {
                block.insert("required".into(), json!(["kind"]));
            }
            forms.push(Value::Object(block));
        }
        json!(forms)
    }

    /// The default, as a value where it is always the same and in words where it depends on the plugin.
    fn default(&self, path: &str, kind: Option<&str>, schema: &mut Object, text: &mut String) {
        let mut found: Vec<(Value, &str)> = vec![];
        for (spec, name) in &self.defaults {
            let block = path.rsplit_once('.').and_then(|(block, _)| value_at(spec, block));
            // Of a tagged block only the kind that is the default has its values in the resolved spec.
            if kind.is_some_and(|kind| block.is_none_or(|block| block["kind"] != *kind)) {
                continue;
            }
            found.extend(value_at(spec, path).map(|value| (value.clone(), *name)));
        }
        let Some((first, _)) = found.first() else { return };
        let from_support = *first == json!(PROBE) || *first == json!([PROBE]);
        let sentence = if from_support {
            SUPPORT.to_string()
        } else if found.iter().all(|(value, _)| value == first) {
            schema.insert("default".into(), first.clone());
            format!("`{}`", short(first))
        } else {
            let each = found.iter().map(|(value, name)| format!("`{}` for {name}", short(value)));
            each.collect::<Vec<_>>().join(", ")
        };
        *text = format!("{text}\n\nDefault: {sentence}.").trim_start().to_string();
    }
}

/// `relu` rather than `"relu"`, `truncated_normal` rather than its whole block.
fn short(value: &Value) -> String {
    match value {
        Value::String(word) => word.clone(),
        Value::Object(block) if block.contains_key("kind") => short(&block["kind"]),
        other => other.to_string(),
    }
}

fn number(schema: &mut Object, bounds: &Bounds) {
    schema.insert("type".into(), json!("number"));
    let names = [["minimum", "exclusiveMinimum"], ["maximum", "exclusiveMaximum"]];
    for (end, names) in bounds.ends().into_iter().zip(names) {
        if let Some((value, open)) = end {
            schema.insert(names[usize::from(open)].into(), json!(value));
        }
    }
}

/// A list of items; a single value is a list of one.
fn list_of(item: Object) -> Object {
    let list = json!({"type": "array", "items": item});
    let single = item.get("properties").is_none();
    if single {
        Map::from_iter([("anyOf".to_string(), json!([item, list]))])
    } else if let Value::Object(list) = list {
        list
    } else {
        Map::new()
    }
}

fn or_null(schema: &mut Object) {
    match schema.get("type").cloned() {
        Some(Value::String(one)) => {
            schema.insert("type".into(), json!([one, "null"]));
        }
        Some(Value::Array(mut several)) => {
            several.push(json!("null"));
            schema.insert("type".into(), Value::Array(several));
        }
        Some(_) => {}
        None => {
            let other = Value::Object(std::mem::take(schema));
            schema.insert("anyOf".into(), json!([other, {"type": "null"}]));
        }
    }
}

/// The key, if the path is that of a key right below the block.
fn child_of<'a>(path: &'a str, block: &str) -> Option<&'a str> {
    let rest = if block.is_empty() { path } else { path.strip_prefix(block)?.strip_prefix('.')? };
    (!rest.is_empty() && !rest.contains(['.', '['])).then_some(rest)
}

fn value_at<'a>(spec: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(spec, |value, key| value.get(key))
}
