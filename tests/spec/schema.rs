//! The promise: the JSON Schema says what the reader of specs does, in the words of its documentation, and every
//! shipped experiment points an editor at it.

use mamlx::spec::json_schema;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn experiments() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments")
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect()
}

/// The part of draft-07 that the schema uses, slowly and plainly: what is wrong with a value, if anything.
fn wrong(schema: &Value, value: &Value) -> Option<String> {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.as_f64().unwrap().fract() == 0.0 => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |word: &Value| word == kind || (word == "number" && kind == "integer");
    for (key, says) in schema.as_object().expect("a schema is an object") {
        let fine = match key.as_str() {
            "type" => says.as_array().map_or_else(|| is(says), |words| words.iter().any(is)),
            "enum" => says.as_array().unwrap().contains(value),
            "const" => says == value,
            "minimum" => value.as_f64().is_none_or(|x| x >= says.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|x| x <= says.as_f64().unwrap()),
            "exclusiveMinimum" => value.as_f64().is_none_or(|x| x > says.as_f64().unwrap()),
            "exclusiveMaximum" => value.as_f64().is_none_or(|x| x < says.as_f64().unwrap()),
            "anyOf" => says.as_array().unwrap().iter().any(|one| wrong(one, value).is_none()),
            "required" => value.as_object().is_none_or(|map| {
                says.as_array().unwrap().iter().all(|key| map.contains_key(key.as_str().unwrap()))
            }),
            "items" => value.as_array().is_none_or(|items| items.iter().all(|v| wrong(says, v).is_none())),
            "properties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    if let Some(why) = says.get(name).and_then(|schema| wrong(schema, inner)) {
                        return Some(format!("{name}: {why}"));
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = schema.get("properties");
                let more = |name: &String| known.and_then(|known| known.get(name)).is_none();
                match (says, value.as_object()) {
                    (Value::Bool(false), Some(map)) => !map.keys().any(more),
                    (Value::Object(_), Some(map)) => {
                        map.iter().filter(|(name, _)| more(name)).all(|(_, v)| wrong(says, v).is_none())
                    }
                    _ => true,
                }
            }
            "$schema" | "title" | "description" | "default" => true,
            other => panic!("the test does not know the keyword {other}"),
        };
        if !fine {
            return Some(format!("{key}: {value}"));
        }
    }
    None
}

#[test]
fn the_copy_beside_the_experiments_is_the_schema() {
    let path = experiments().join("mamlx.schema.json");
    let now = format!("{:#}\n", json_schema());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == now,
        "{} is out of step with src/spec: UPDATE=1 cargo test --release spec::schema writes it anew",
        path.display()
    );
}

#[test]
fn every_experiment_names_the_schema_and_fits_it() {
    let schema = json_schema();
    let files = yaml_files(&experiments());
    assert!(files.len() >= 4);
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap();
        assert_eq!(first, "# yaml-language-server: $schema=mamlx.schema.json", "{}", path.display());
        let value: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(wrong(&schema, &value), None, "{}", path.display());
    }
}

/// Every spec that is accepted fits; every spec that is refused for a key, a word, a type or a range does not.
#[test]
fn the_schema_agrees_with_the_reader() {
    let schema = json_schema();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs");
    let read = |path: &Path| -> Option<Value> {
        let text = std::fs::read_to_string(path).ok()?;
        serde_yaml::from_str(text.trim_start_matches('\u{feff}')).ok()
    };
    for path in yaml_files(&folder.join("ok")) {
        let name = path.file_name().unwrap().to_string_lossy().to_string();
        // These two only become specs by overrides and through aliases that the plain reader does not follow.
        if ["overridden.yaml", "aliases.yaml"].contains(&name.as_str()) {
            continue;
        }
        assert_eq!(wrong(&schema, &read(&path).unwrap()), None, "{name}");
    }
    let refused = [
        "unknown_top",
        "unknown_nested",
        "unknown_case",
        "unknown_in_optimizer",
        "misspelt_required",
        "ranges_trpo",
        "wrong_types",
        "wrong_words",
        "missing_all",
        "missing_support",
        "rate_without_method",
        "quoted_numbers",
        "wrong_kind",
        "methods_string",
    ];
    let mut seen = 0;
    for name in refused {
        let value = read(&folder.join("bad").join(name).with_extension("yaml"));
        let Some(value) = value else { panic!("{name} is no longer there") };
        assert!(wrong(&schema, &value).is_some(), "{name} should not fit");
        seen += 1;
    }
    assert_eq!(seen, refused.len());
}

#[test]
fn every_key_is_explained() {
    fn look(schema: &Value, path: &str, found: &mut usize) {
        for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = format!("{path}.{name}");
            let said = inner.get("description").or_else(|| inner.get("const")).and_then(Value::as_str);
            assert!(said.is_some_and(|text| !text.is_empty()), "{path} has no comment in schema.rs");
            *found += 1;
            look(inner, &path, found);
        }
        for inner in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
            look(inner, path, found);
        }
        if let Some(items) = schema.get("items") {
            look(items, path, found);
        }
    }
    let mut found = 0;
    look(&json_schema(), "", &mut found);
    assert!(found > 60, "only {found} keys");
}

#[test]
fn the_reference_page_is_what_the_schema_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/spec.md");
    let page = mamlx::spec::reference();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/spec.md is stale: mamlx schema --markdown > docs/spec.md");
    // Every key of the schema has its row.
    fn keys(schema: &Value, all: &mut Vec<String>) {
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            all.push(name.clone());
            keys(inner, all);
        }
        schema["anyOf"].as_array().into_iter().flatten().for_each(|form| keys(form, all));
        if schema["items"].is_object() {
            keys(&schema["items"], all);
        }
    }
    let mut all = vec![];
    keys(&json_schema(), &mut all);
    assert!(all.len() > 60, "{}", all.len());
    for key in all {
        assert!(page.contains(&format!("| `{key}` |")), "{key}");
    }
}
