//! Where a walk over the tree leaves its problems.

use super::declared::{Accepts, Listener};
use super::diagnostic::Diagnostic;
use super::nearest::nearest;
use super::source::{Place, quote};
use std::cell::RefCell;

/// With this many problems at hand, further unknown keys are reported without looking for the name they meant.
const MOST_HELPED: usize = 200;

/// Collects by shared reference, because a block is still open while the blocks inside it report.
#[derive(Default)]
pub(super) struct Report {
    items: RefCell<Vec<Diagnostic>>,
    missing: RefCell<Vec<Diagnostic>>,
    unknown: RefCell<Vec<Unknown>>,
    /// Block and name of every key that the walk asked for.
    known: RefCell<Vec<(String, String)>>,
    /// Present while the walk is asked what it accepts, instead of reading a text.
    listener: Option<Listener>,
}

/// A key that its block did not ask for.
struct Unknown {
    block: String,
    key: String,
    at: Place,
    names: Vec<String>,
}

impl Report {
    /// A report for a walk over nothing, which hands everything that the walk declares to the listener.
    pub fn listening(listener: Listener) -> Report {
        Report { listener: Some(listener), ..Report::default() }
    }

    pub fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }

    /// Notes what the field at a path accepts, if somebody listens.
    pub fn declare(&self, path: &str, accepts: impl FnOnce() -> Accepts) {
        if let Some(listener) = &self.listener {
            listener.heard(path, accepts());
        }
    }

    pub fn error(&self, at: Place, path: &str, message: impl Into<String>, help: Option<String>) {
        let (path, message) = (path.to_string(), message.into());
        self.items.borrow_mut().push(Diagnostic { place: at, path, message, help });
    }

    pub fn missing(&self, near: Place, path: &str, what: &str) {
        let message = format!("{} is missing", quote(path));
        let help = Some(format!("add {what}"));
        self.missing.borrow_mut().push(Diagnostic { place: near, path: path.to_string(), message, help });
    }

    pub fn known(&self, block: &str, name: &str) {
        self.known.borrow_mut().push((block.to_string(), name.to_string()));
    }

    pub fn unknown(&self, block: &str, key: &str, at: Place, names: &[String]) {
        let names = names.to_vec();
        self.unknown.borrow_mut().push(Unknown { block: block.into(), key: key.into(), at, names });
    }

    /// Whether nothing is wrong at or below these paths; a rule about several keys waits until each is right.
    pub fn clean(&self, paths: &[&str]) -> bool {
        let below = |path: &str| paths.iter().any(|p| path.strip_prefix(p).is_some_and(is_end));
        let item = |item: &Diagnostic| below(&item.path);
        !self.items.borrow().iter().any(item) && !self.missing.borrow().iter().any(item)
    }

    /// Everything, once the walk is over: only now is it known which names exist elsewhere, and which missing
    /// key is only misspelt.
    pub fn finish(self) -> Vec<Diagnostic> {
        let mut items = self.items.into_inner();
        let known = self.known.into_inner();
        let mut meant: Vec<String> = Vec::new();
        for (i, unknown) in self.unknown.into_inner().into_iter().enumerate() {
            let path = join(&unknown.block, &unknown.key);
            let (of, all) = if unknown.block.is_empty() {
                ("a spec".to_string(), "the keys are")
            } else {
                (quote(&unknown.block), "its keys are")
            };
            let message = format!("{} is not a key of {of}", quote(&unknown.key));
            let list = match unknown.names.len() {
                0 => "it has no keys".to_string(),
                _ => format!("{all} {}", unknown.names.join(", ")),
            };
            let name = if i < MOST_HELPED { nearest(&unknown.key, names(&unknown.names)) } else { None };
            let elsewhere =
                known.iter().filter(|(block, name)| *name == unknown.key && *block != unknown.block);
            let elsewhere: Vec<String> = if i < MOST_HELPED {
                elsewhere.map(|(b, _)| if b.is_empty() { "the top level".into() } else { quote(b) }).collect()
            } else {
                Vec::new()
            };
            let help = if !elsewhere.is_empty() {
                format!("{} belongs to {}", quote(&unknown.key), elsewhere.join(" or "))
            } else if let Some(name) = name {
                meant.push(join(&unknown.block, name));
                format!("did you mean `{name}`? {list}")
            } else {
                list
            };
            items.push(Diagnostic { place: unknown.at, path, message, help: Some(help) });
        }
        // A misspelt key is not missing, and neither is what stands below it.
        let is_meant =
            |path: &str| meant.iter().any(|meant| path.strip_prefix(meant.as_str()).is_some_and(is_end));
        items.extend(self.missing.into_inner().into_iter().filter(|item| !is_meant(&item.path)));
        items
    }
}

fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['.', '['])
}

fn names(list: &[String]) -> impl Iterator<Item = &str> {
    list.iter().map(String::as_str)
}

/// The path of a key in a block.
pub(super) fn join(block: &str, key: &str) -> String {
    if block.is_empty() { key.to_string() } else { format!("{block}.{key}") }
}
