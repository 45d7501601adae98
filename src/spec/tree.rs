//! YAML events → a tree of nodes that know their place, within limits that hostile text cannot exceed.

use super::diagnostic::Diagnostic;
use super::scalar::{Plain, classify};
use super::source::{Place, Source, quote};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use std::collections::HashMap;
use std::sync::Arc;

/// Blocks and lists inside one another.
pub const MAX_DEPTH: usize = 32;
/// Keys, values, blocks and lists of one text.
pub const MAX_NODES: usize = 20_000;
/// Nodes that all aliases (`*name`) of one text may repeat between them.
pub const MAX_REPLAYED: usize = 1_000;
/// YAML's signs in one text. Behind a bracket the scanner looks ahead to the closing one before it says anything,
/// at about 0.2 µs a sign, so the limit on nodes alone would come too late. A shipped spec has about a hundred.
pub const MAX_SIGNS: usize = 50_000;
const SIGNS: &[u8] = b"[]{},:&*!'\"?";

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: Place,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The text after YAML's unescaping, and whether it stood there without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Arc<Node>>),
    /// Keys are distinct.
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    pub key_at: Place,
    /// Shared where an alias repeats it; an override copies before it writes.
    pub value: Arc<Node>,
}

impl Node {
    pub fn null(at: Place) -> Node {
        Node { at, kind: Kind::Scalar { text: String::new(), plain: true } }
    }

    /// What an unquoted scalar says by itself; `None` for everything else.
    pub fn plain(&self) -> Option<Plain> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => Some(classify(text)),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        self.plain() == Some(Plain::Null)
    }

    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Where a key path such as `eval.rate.maml[1]` ends; of what is not there, the nearest block around it.
    pub fn place_of(&self, path: &str) -> Place {
        let mut node = self;
        let mut at = self.at;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let child = match (&node.kind, step.strip_suffix(']')) {
                (Kind::List(items), Some(index)) => {
                    index.parse().ok().and_then(|i: usize| items.get(i)).map(|item| (item.at, item))
                }
                _ => node.get(step).map(|entry| match entry.value.kind {
                    Kind::Map(_) => (entry.key_at, &entry.value),
                    _ => (entry.value.at, &entry.value),
                }),
            };
            let Some((place, next)) = child else { break };
            (at, node) = (place, next);
        }
        at
    }
}

/// Text → tree, with the problems that leave a tree; `Err` is the one problem that does not.
/// `shift` is the number of characters that stand before the text on its first line.
pub(super) fn build(
    text: &str,
    source: u32,
    shift: usize,
    whole: &Source,
) -> Result<(Node, Vec<Diagnostic>), Diagnostic> {
    let mut builder = Builder { source, shift, ..Builder::default() };
    if text.bytes().filter(|byte| SIGNS.contains(byte)).count() > MAX_SIGNS {
        return Err(builder.limit(Place::start_of(source), "brackets, quotes, commas and colons", MAX_SIGNS));
    }
    // Events are pulled one at a time: the parser's own tree walk recurses and has no limits.
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| builder.syntax(&error, whole))?;
        builder.event(event, span)?;
    }
    let root = builder.root.take().map(Arc::unwrap_or_clone);
    Ok((root.unwrap_or_else(|| Node::null(builder.place(Span::default()))), builder.problems))
}

/// A block or list that is still open.
struct Frame {
    at: Place,
    anchor: usize,
    /// Nodes inside, itself included: what an alias to it would replay.
    size: usize,
    /// Blocks and lists inside one another, itself included.
    height: usize,
    open: Open,
}

enum Open {
    List(Vec<Arc<Node>>),
    /// The key waits for its value; its name is `None` where it was no word and has been reported.
    Map(Vec<Entry>, Option<(Option<String>, Place)>),
}

struct Anchored {
    node: Arc<Node>,
    size: usize,
    height: usize,
}

#[derive(Default)]
struct Builder {
    source: u32,
    shift: usize,
    frames: Vec<Frame>,
    root: Option<Arc<Node>>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    replayed: usize,
    documents: usize,
    problems: Vec<Diagnostic>,
}

impl Builder {
    fn place(&self, span: Span) -> Place {
        let line = span.start.line().max(1);
        let column = span.start.col() + 1 + if line == 1 { self.shift } else { 0 };
        let width = if span.end.line() == span.start.line() { span.len().max(1) } else { usize::MAX };
        let small = |x: usize| u32::try_from(x).unwrap_or(u32::MAX);
        Place { source: self.source, line: small(line), column: small(column), width: small(width) }
    }

    /// The key path of the value that comes next.
    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.frames {
            match &frame.open {
                Open::List(items) => path.push_str(&format!("[{}]", items.len())),
                Open::Map(_, Some((Some(key), _))) => {
                    let dot = if path.is_empty() { "" } else { "." };
                    path.push_str(&format!("{dot}{key}"));
                }
                Open::Map(..) => {}
            }
        }
        path
    }

    fn problem(&self, at: Place, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        Diagnostic { place: at, path: self.path(), message: message.into(), help: Some(help.into()) }
    }

    fn limit(&self, at: Place, what: &str, limit: usize) -> Diagnostic {
        let message = format!("this text has more than {limit} {what}, the limit");
        self.problem(at, message, "a spec is a short text; look for what repeats here")
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let at = self.place(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a second YAML document starts here; a spec is one document";
                    return Err(self.problem(
                        at,
                        message,
                        "put the second experiment into a file of its own",
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(at)?;
                self.refuse_tag(at, tag.is_some());
                let plain = style == ScalarStyle::Plain;
                // An empty value has no place of its own, so that of its key is shown.
                let at = match self.frames.last().map(|frame| &frame.open) {
                    Some(Open::Map(_, Some((_, key_at)))) if plain && text.is_empty() => *key_at,
                    _ => at,
                };
                let node = Node { at, kind: Kind::Scalar { text: text.into_owned(), plain } };
                self.put(Arc::new(node), anchor, 1, 0);
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(at, anchor, tag.is_some(), Open::List(Vec::new()))?
            }
            Event::MappingStart(anchor, tag) => {
                self.open(at, anchor, tag.is_some(), Open::Map(Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                self.count(at)?;
                self.alias(at, anchor)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn count(&mut self, at: Place) -> Result<(), Diagnostic> {
        self.nodes += 1;
        if self.nodes > MAX_NODES { Err(self.limit(at, "keys and values", MAX_NODES)) } else { Ok(()) }
    }

    fn refuse_tag(&mut self, at: Place, tagged: bool) {
        if tagged {
            let help = "remove the tag; write text in quotes and numbers without";
            self.problems.push(self.problem(at, "tags such as `!!float` are not used in specs", help));
        }
    }

    fn open(&mut self, at: Place, anchor: usize, tagged: bool, open: Open) -> Result<(), Diagnostic> {
        self.count(at)?;
        self.refuse_tag(at, tagged);
        if self.frames.len() == MAX_DEPTH {
            return Err(self.limit(at, "blocks and lists inside one another", MAX_DEPTH));
        }
        self.frames.push(Frame { at, anchor, size: 1, height: 1, open });
        Ok(())
    }

    fn close(&mut self) {
        let Some(Frame { at, anchor, size, height, open }) = self.frames.pop() else { return };
        let kind = match open {
            Open::List(items) => Kind::List(items),
            Open::Map(entries, _) => Kind::Map(self.distinct(entries)),
        };
        self.put(Arc::new(Node { at, kind }), anchor, size, height);
    }

    /// Drops and reports repeated keys and merge keys.
    fn distinct(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut first: HashMap<String, Place> = HashMap::with_capacity(entries.len());
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.key == "<<" {
                let message = "merge keys (`<<`) are not used in specs";
                self.problems.push(self.problem(entry.key_at, message, "write the keys out"));
            } else if let Some(place) = first.get(&entry.key) {
                let (line, column) = (place.line, place.column);
                let key = quote(&entry.key);
                let message = format!("{key} is given twice; the first is on line {line}, column {column}");
                self.problems.push(self.problem(entry.key_at, message, "remove one of the two"));
            } else {
                first.insert(entry.key.clone(), entry.key_at);
                kept.push(entry);
            }
        }
        kept
    }

    fn alias(&mut self, at: Place, anchor: usize) -> Result<(), Diagnostic> {
        let Some(Anchored { node, size, height }) = self.anchors.get(&anchor) else {
            let help = "an alias can repeat only what is complete above it";
            return Err(self.problem(at, "this alias repeats the block that it is part of", help));
        };
        let (node, size, height) = (node.clone(), *size, *height);
        self.replayed += size;
        if self.replayed > MAX_REPLAYED {
            return Err(self.limit(at, "nodes repeated by aliases", MAX_REPLAYED));
        }
        if self.frames.len() + height > MAX_DEPTH {
            return Err(self.limit(at, "blocks and lists inside one another", MAX_DEPTH));
        }
        self.put(node, 0, size, height);
        Ok(())
    }

    /// A finished node goes to where it belongs: a list, a key's value, a key, or the root.
    fn put(&mut self, node: Arc<Node>, anchor: usize, size: usize, height: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), size, height });
        }
        let mut key_is_no_word = None;
        match self.frames.last_mut() {
            None => self.root = Some(node),
            Some(frame) => {
                frame.size += size;
                frame.height = frame.height.max(height + 1);
                match &mut frame.open {
                    Open::List(items) => items.push(node),
                    Open::Map(entries, key) => match (key.take(), &node.kind) {
                        (Some((Some(key), key_at)), _) => entries.push(Entry { key, key_at, value: node }),
                        (Some((None, _)), _) => {}
                        (None, Kind::Scalar { text, .. }) => *key = Some((Some(text.clone()), node.at)),
                        (None, _) => {
                            *key = Some((None, node.at));
                            key_is_no_word = Some(node.at);
                        }
                    },
                }
            }
        }
        if let Some(at) = key_is_no_word {
            self.problems.push(self.problem(
                at,
                "a key is a word, not a list or a block",
                "write `key: value`",
            ));
        }
    }

    fn syntax(&self, error: &ScanError, whole: &Source) -> Diagnostic {
        let mut at = self.place(Span::empty(*error.marker()));
        // What is missing at the end of the text is missing after its last line that says something.
        if (at.line..=whole.lines()).all(|line| whole.line(line).trim().is_empty()) {
            let said = (1..at.line).rev().find(|line| !whole.line(*line).trim().is_empty());
            if let Some(line) = said {
                let column = whole.line(line).chars().count() as u32 + 1;
                at = Place { line, column, ..at };
            }
        }
        // The scanner looks ahead and has a limit of its own, higher than ours.
        if error.info().contains("recursion limit") {
            return self.limit(at, "blocks and lists inside one another", MAX_DEPTH);
        }
        let indented_by_tab = |line: u32| {
            let text = whole.line(line);
            text[..text.len() - text.trim_start().len()].contains('\t')
        };
        let near = || (at.line.saturating_sub(1).max(1)..=at.line).rev();
        let tab = near().find(|line| indented_by_tab(*line));
        let joined = near().find(|line| key_without_space(whole.line(*line)));
        let help = match (tab, joined) {
            (Some(line), _) => format!("line {line} is indented with a tab; YAML is indented with spaces"),
            (None, Some(line)) => format!("line {line} needs a space after the `:`"),
            _ if error.info().contains("anchor") => {
                "`*name` repeats what `&name` marks above it; text that starts with a star needs quotes"
                    .into()
            }
            _ => "look at the indentation and at missing `:`, quotes or brackets, here and on the line above"
                .into(),
        };
        self.problem(at, format!("this is not valid YAML: {}", error.info()), help)
    }
}

/// Whether a line reads `key:value`, which YAML takes for one word.
fn key_without_space(line: &str) -> bool {
    let key = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let parts = line.trim().split_once(':');
    parts.is_some_and(|(name, value)| key(name) && !value.is_empty() && !value.starts_with([' ', '\t']))
}
