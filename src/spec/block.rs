//! Typed reading of blocks and fields. Every reader answers with a value; what is wrong goes to the report.

use super::bounds::Bounds;
use super::declared::Accepts;
use super::nearest::nearest;
use super::report::{Report, join};
use super::scalar::{Plain, classify};
use super::source::{Place, quote, unprintable};
use super::tree::{Entry, Kind, Node};
use super::words::Word;
use std::ops::RangeInclusive;

/// A block of keys. What it was not asked for by the time it goes out of scope is reported as unknown.
pub(super) struct Block<'a> {
    report: &'a Report,
    path: String,
    at: Place,
    entries: &'a [Entry],
    asked: Vec<String>,
    /// The block is no block at all, or its kind is unknown: silent about missing and unknown keys.
    broken: bool,
}

impl<'a> Block<'a> {
    /// The key `name`, there or not.
    pub fn field(&mut self, name: &str) -> Field<'a> {
        self.report.known(&self.path, name);
        self.asked.push(name.to_string());
        let entry = self.entries.iter().find(|entry| entry.key == name);
        Field {
            report: self.report,
            path: join(&self.path, name),
            node: entry.map(|entry| &*entry.value),
            near: entry.map_or(self.at, |entry| entry.key_at),
            silent: self.broken,
        }
    }

    /// Stops asking: whatever else is in the block is not reported.
    pub fn ignore_the_rest(&mut self) {
        self.report.declare(&self.path, || Accepts::AnyKeys);
        self.broken = true;
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        if self.broken {
            return;
        }
        for entry in self.entries.iter().filter(|entry| !self.asked.contains(&entry.key)) {
            self.report.unknown(&self.path, &entry.key, entry.key_at, &self.asked);
        }
    }
}

/// One key of a block, or one entry of a list.
pub(super) struct Field<'a> {
    pub report: &'a Report,
    pub path: String,
    pub node: Option<&'a Node>,
    /// The key, or the block where the key would stand.
    near: Place,
    silent: bool,
}

impl<'a> Field<'a> {
    pub fn root(report: &'a Report, node: &'a Node) -> Field<'a> {
        Field { report, path: String::new(), node: Some(node), near: node.at, silent: false }
    }

    pub fn at(&self) -> Place {
        self.node.map_or(self.near, |node| node.at)
    }

    /// The field, unless it is absent or null.
    pub fn given(self) -> Option<Field<'a>> {
        if self.report.listener().is_some() {
            self.report.declare(&self.path, || Accepts::Null);
            return Some(self);
        }
        self.node.is_some_and(|node| !node.is_null()).then_some(self)
    }

    pub fn error(&self, message: impl Into<String>, help: Option<String>) {
        self.report.error(self.at(), &self.path, message, help);
    }

    pub fn missing(&self, what: &str) {
        self.report.declare(&self.path, || Accepts::Required);
        if !self.silent {
            self.report.missing(self.near, &self.path, what);
        }
    }

    /// "`inner.rate` must be …; found …"
    pub fn expected(&self, what: &str, help: Option<String>) {
        let Some(node) = self.node else { return };
        let path = if self.path.is_empty() { "a spec".to_string() } else { quote(&self.path) };
        self.error(format!("{path} must be {what}; found {}", describe(node)), help);
    }

    /// The block below this key. Absent and empty are the same: every key takes its default.
    pub fn block(self) -> Block<'a> {
        self.report.declare(&self.path, || Accepts::Block);
        let (entries, broken): (&[Entry], bool) = match self.node.map(|node| &node.kind) {
            None => (&[], self.silent),
            Some(Kind::Map(entries)) => (entries, false),
            Some(_) if self.node.is_some_and(Node::is_null) => (&[], false),
            Some(_) => {
                self.expected("a block of keys", Some("write `key: value` lines, indented below it".into()));
                (&[], true)
            }
        };
        let Field { report, path, near, .. } = self;
        Block { report, path, at: near, entries, asked: Vec::new(), broken }
    }

    /// A block with a `kind`, or the bare word of the kind with everything else at its default.
    pub fn tagged(self, kinds: &[&'static str], default: &'static str) -> (&'static str, Block<'a>) {
        self.report.declare(&self.path, || Accepts::Kinds(kinds.to_vec()));
        if let Some(kind) = self.report.listener().map(|listener| listener.kind_of(&self.path, kinds)) {
            return (kind.unwrap_or(default), self.block());
        }
        let bare = matches!(self.node.map(|node| &node.kind), Some(Kind::Scalar { .. }));
        if bare && !self.node.is_some_and(Node::is_null) {
            let kind = self.one_of(kinds);
            let Field { report, path, near, .. } = self;
            let block = Block { report, path, at: near, entries: &[], asked: Vec::new(), broken: true };
            return (kind.unwrap_or(default), block);
        }
        let mut block = self.block();
        let kind = block.field("kind");
        if kind.node.is_none() {
            return (default, block);
        }
        match kind.one_of(kinds) {
            Some(kind) => (kind, block),
            None => {
                block.ignore_the_rest();
                (default, block)
            }
        }
    }

    fn one_of(&self, words: &[&'static str]) -> Option<&'static str> {
        let given = match &self.node?.kind {
            Kind::Scalar { text, .. } => text.as_str(),
            _ => "",
        };
        let found = words.iter().copied().find(|word| *word == given);
        if found.is_none() {
            let what = match words {
                [only] => format!("`{only}`"),
                [one, other] => format!("{one} or {other}"),
                _ => format!("one of {}", words.join(", ")),
            };
            let help = nearest(given, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
            let list = given.contains(',').then(|| format!("a list is written [{given}]"));
            self.expected(&what, help.or(list));
        }
        found
    }

    /// true or false.
    pub fn flag(&self, default: bool) -> bool {
        self.report.declare(&self.path, || Accepts::Flag);
        match self.node.map(|node| (node, node.plain())) {
            None => default,
            Some((_, Some(Plain::Bool(value)))) => value,
            Some((node, _)) => {
                let word = match &node.kind {
                    Kind::Scalar { text, .. } => text.to_ascii_lowercase(),
                    _ => String::new(),
                };
                let help = match word.as_str() {
                    "yes" | "on" | "y" | "1" => Some("write true".into()),
                    "no" | "off" | "n" | "0" => Some("write false".into()),
                    _ => None,
                };
                self.expected("true or false", help);
                default
            }
        }
    }

    /// One word of a table.
    pub fn word<T: Word>(&self, default: T) -> T {
        self.report.declare(&self.path, || Accepts::Words(T::words().collect()));
        if self.node.is_none() {
            return default;
        }
        let words: Vec<&'static str> = T::words().collect();
        self.one_of(&words).and_then(T::from_word).unwrap_or(default)
    }

    /// The entries of a list; a single value is a list of one. `None` where the key is absent.
    pub fn items(self) -> Option<Vec<Field<'a>>> {
        if self.report.listener().is_some() {
            self.report.declare(&self.path, || Accepts::List);
            return Some(vec![Field { path: format!("{}[]", self.path), ..self }]);
        }
        let node = self.node?;
        match &node.kind {
            Kind::List(items) => {
                let item = |(i, node): (usize, &'a std::sync::Arc<Node>)| Field {
                    report: self.report,
                    path: format!("{}[{i}]", self.path),
                    node: Some(&**node),
                    near: node.at,
                    silent: false,
                };
                Some(items.iter().enumerate().map(item).collect())
            }
            Kind::Scalar { .. } if !node.is_null() => Some(vec![self]),
            _ => {
                self.expected("a list, written [A, B]", None);
                None
            }
        }
    }

    /// A number within bounds.
    pub fn float(&self, bounds: Bounds, default: f64) -> f64 {
        self.report.declare(&self.path, || Accepts::Number(bounds));
        let value = match self.node.and_then(Node::plain) {
            Some(Plain::Float(x)) => Some(x),
            Some(Plain::Int(i)) => Some(i as f64),
            _ => None,
        };
        let (Some(node), what) = (self.node, format!("a number{bounds}")) else { return default };
        match value {
            Some(x) if x.is_finite() && bounds.contains(x) => x,
            Some(_) => {
                self.expected(&what, None);
                default
            }
            None => {
                self.expected(&what, number_help(node));
                default
            }
        }
    }

    /// A number within bounds that the programs' single precision can hold; the smallest normal one is 1.2e-38.
    pub fn single(&self, bounds: Bounds, default: f64) -> f64 {
        let x = self.float(bounds, default);
        let rounded = x as f32;
        if x != 0.0 && !rounded.is_normal() {
            self.expected("a number that single precision can hold, 1.2e-38 to 3.4e38 in size", None);
            return default;
        }
        x
    }

    /// A whole number in a range; without a default it must be there.
    pub fn whole(&self, range: RangeInclusive<u64>, default: Option<u64>) -> u64 {
        let (low, high) = (*range.start(), *range.end());
        self.report.declare(&self.path, || Accepts::Whole(low, high));
        let what = match high {
            u64::MAX if low == 0 => "a whole number, not negative and below 2^64".to_string(),
            _ => format!("a whole number from {low} to {high}"),
        };
        let Some(node) = self.node else {
            if default.is_none() {
                let name = self.path.rsplit('.').next().unwrap_or_default();
                self.missing(&format!("`{name}: N`, {what}"));
            }
            return default.unwrap_or(low);
        };
        match node.plain() {
            Some(Plain::Int(i)) => match u64::try_from(i) {
                Ok(value) if range.contains(&value) => return value,
                _ => self.expected(&what, None),
            },
            Some(Plain::Float(x)) if x.fract() == 0.0 && x.abs() < 1e15 => {
                self.expected(&what, Some(format!("write {x:.0}")));
            }
            _ => self.expected(&what, number_help(node)),
        }
        default.unwrap_or(low)
    }

    /// A whole number that fits a `usize`.
    pub fn count(&self, range: RangeInclusive<u64>, default: Option<usize>) -> usize {
        usize::try_from(self.whole(range, default.map(|d| d as u64))).unwrap_or(usize::MAX)
    }

    /// Text: any scalar but null, quoted or not, on one line. Texts end up in file names, tables and on the
    /// terminal, where a control character or a line break would do harm. `check` says what else is wrong;
    /// it may have nothing to add (an empty string).
    pub fn text(&self, what: &str, check: impl Fn(&str) -> Result<(), String>) -> Option<String> {
        self.report.declare(&self.path, || Accepts::Text(what.to_string()));
        let node = self.node?;
        let text = match &node.kind {
            Kind::Scalar { text, plain } if !(*plain && classify(text) == Plain::Null) => text,
            _ => {
                self.expected(what, None);
                return None;
            }
        };
        let checked = match text.chars().find(|c| unprintable(*c)) {
            Some('\n' | '\r') => Err("it must be on one line".into()),
            Some(c) => Err(format!("it contains the character U+{:04X}", c as u32)),
            None => check(text),
        };
        match checked {
            Ok(()) => Some(text.clone()),
            Err(help) => {
                self.expected(what, Some(help).filter(|help| !help.is_empty()));
                None
            }
        }
    }
}

/// What stands in the text, for "found …".
pub(super) fn describe(node: &Node) -> String {
    match &node.kind {
        Kind::List(items) if items.is_empty() => "an empty list".into(),
        Kind::List(_) => "a list".into(),
        Kind::Map(_) => "a block of keys".into(),
        Kind::Scalar { text, plain: false } if text.is_empty() => "empty text".into(),
        Kind::Scalar { text, plain: false } => format!("the quoted text {}", quote(text)),
        Kind::Scalar { text, plain: true } => match classify(text) {
            Plain::Null if text.is_empty() => "nothing".into(),
            Plain::Text => format!("the text {}", quote(text)),
            Plain::Null | Plain::Bool(_) | Plain::Int(_) | Plain::Float(_) => quote(text),
        },
    }
}

/// How to write the number that somebody meant.
fn number_help(node: &Node) -> Option<String> {
    let Kind::Scalar { text, plain } = &node.kind else { return None };
    let number = |text: &str| matches!(classify(text), Plain::Int(_) | Plain::Float(_));
    if !plain && number(text) {
        return Some(format!("remove the quotes: {text}"));
    }
    let (point, joined) = (text.replacen(',', ".", 1), text.replace(['_', '\''], ""));
    match () {
        () if text.contains(',') && number(&point) => Some(format!("write {point}, with a decimal point")),
        () if joined != *text && number(&joined) => Some(format!("write {joined}")),
        () => None,
    }
}
