//! `--set path=value`: a value, read as YAML, put into the tree before anything is checked.

use super::diagnostic::Diagnostic;
use super::source::{Place, Source, quote};
use super::tree::{self, Entry, Kind, MAX_DEPTH, Node};
use std::sync::Arc;

/// Keys whose value may be the bare word of their `kind`; an override below them first spells the word out.
const TAGGED: [&str; 2] = ["outer.optimizer", "model.init"];

/// Puts one override into the tree. Problems go to `problems`; then the tree stays as it was.
pub(super) fn apply(root: &mut Node, number: u32, source: &Source, problems: &mut Vec<Diagnostic>) {
    let text = source.text();
    let fail = |place: Place, message: String, help: &str| Diagnostic {
        place,
        path: text.split('=').next().unwrap_or_default().to_string(),
        message,
        help: Some(help.to_string()),
    };
    let start = Place::start_of(number);
    let Some((path, value)) = text.split_once('=') else {
        let path = quote(text);
        problems.push(fail(start, format!("the override {path} has no value"), "write --set path=value"));
        return;
    };
    let steps = match steps(path, number) {
        Ok(steps) => steps,
        Err((place, message)) => {
            problems.push(fail(place, message, "write --set path=value, such as inner.rate=0.1"));
            return;
        }
    };
    let value = match tree::build(value, number, path.chars().count() + 1, source) {
        Ok((value, found)) => {
            problems.extend(found);
            value
        }
        Err(fatal) => {
            problems.push(fatal);
            return;
        }
    };
    if let Err((place, message)) = put(root, &steps, value) {
        problems.push(fail(place, message, "override the whole key instead"));
    }
}

/// One key of a path.
pub(super) struct Step<'a> {
    pub key: &'a str,
    pub at: Place,
}

fn steps(path: &str, number: u32) -> Result<Vec<Step<'_>>, (Place, String)> {
    let mut column = 1;
    let mut steps = Vec::new();
    for part in path.split('.') {
        let key = part.trim();
        let width = part.chars().count() as u32;
        let at = Place { source: number, line: 1, column, width: width.max(1) };
        column += width + 1;
        if key.is_empty() {
            return Err((at, "a key of the path is empty".into()));
        }
        steps.push(Step { key, at });
        if steps.len() > MAX_DEPTH {
            return Err((at, format!("the path has more than {MAX_DEPTH} keys, the limit")));
        }
    }
    Ok(steps)
}

/// Replaces what the steps lead to, making the blocks on the way.
pub(super) fn put(root: &mut Node, steps: &[Step<'_>], value: Node) -> Result<(), (Place, String)> {
    // First a look without writing, so that a bad path leaves the tree alone.
    let mut node = &*root;
    let mut path = String::new();
    for step in steps {
        match &node.kind {
            Kind::Map(_) => match node.get(step.key) {
                Some(entry) => node = &entry.value,
                None => break,
            },
            Kind::List(items) => match step.key.parse::<usize>().ok().filter(|i| *i < items.len()) {
                Some(i) => node = &items[i],
                None => {
                    let message = format!(
                        "{} is a list of {}; its entries are {}.0 and so on, not {}",
                        quote(&path),
                        items.len(),
                        path,
                        quote(step.key)
                    );
                    return Err((step.at, message));
                }
            },
            Kind::Scalar { .. } if node.is_null() || TAGGED.contains(&path.as_str()) => break,
            Kind::Scalar { .. } => {
                let message =
                    format!("{} is a single value, so it has no key {}", quote(&path), quote(step.key));
                return Err((step.at, message));
            }
        }
        path = super::report::join(&path, step.key);
    }
    let mut node = root;
    for step in steps {
        if let Kind::Scalar { .. } = node.kind {
            let kind = std::mem::replace(&mut node.kind, Kind::Map(Vec::new()));
            let word = Node { at: node.at, kind };
            if let (Kind::Map(entries), false) = (&mut node.kind, word.is_null()) {
                entries.push(Entry { key: "kind".into(), key_at: word.at, value: Arc::new(word) });
            }
        }
        let child = match &mut node.kind {
            Kind::Map(entries) => {
                let i = entries.iter().position(|entry| entry.key == step.key).unwrap_or_else(|| {
                    let value = Arc::new(Node::null(step.at));
                    entries.push(Entry { key: step.key.to_string(), key_at: step.at, value });
                    entries.len() - 1
                });
                &mut entries[i].value
            }
            Kind::List(items) => match step.key.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
                Some(item) => item,
                None => return Ok(()),
            },
            Kind::Scalar { .. } => return Ok(()),
        };
        node = Arc::make_mut(child);
    }
    *node = value;
    Ok(())
}
