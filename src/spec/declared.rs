//! What the walk accepts, heard by letting it walk over nothing: the fields are declared once, where they are read,
//! and whoever wants a list of them listens.

use super::bounds::Bounds;
use super::params::{ParamTable, PluginKind};
use super::report::Report;
use super::source::Place;
use super::tree::Node;
use super::walk;
use std::cell::RefCell;

/// One thing that a field says about itself. A field may say several: a list says so, and so do its entries.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Accepts {
    /// Keys below it.
    Block,
    /// Keys below it that the walk does not know.
    AnyKeys,
    /// A block with one of these kinds, or the bare word of the kind.
    Kinds(Vec<&'static str>),
    /// A list, or its only entry; the entries are at the path with `[]` behind it.
    List,
    Null,
    /// It has to be there.
    Required,
    Words(Vec<&'static str>),
    Number(Bounds),
    /// From the first to the second.
    Whole(u64, u64),
    /// What the text must be.
    Text(String),
}

/// A field's path (`outer.optimizer.rate`, `eval.support[]`) and what it says.
pub(super) type Declaration = (String, Accepts);

/// Hears one walk.
pub(super) struct Listener {
    heard: RefCell<Vec<Declaration>>,
    /// The kind that one tagged block takes in this walk; the others take their default.
    choice: Option<(String, &'static str)>,
}

impl Listener {
    pub fn heard(&self, path: &str, accepts: Accepts) {
        self.heard.borrow_mut().push((path.to_string(), accepts));
    }

    /// The kind that the tagged block at `path` takes; `None`: its default.
    pub fn kind_of(&self, path: &str, kinds: &[&'static str]) -> Option<&'static str> {
        let (chosen, kind) = self.choice.as_ref()?;
        kinds.iter().copied().find(|word| chosen == path && word == kind)
    }
}

/// Everything that the walk says, with one block taking the given kind.
fn walk_over_nothing(choice: Option<(String, &'static str)>) -> Vec<Declaration> {
    let report = Report::listening(Listener { heard: RefCell::default(), choice });
    walk::walk(&Node::null(Place::start_of(0)), &report, None);
    report.listener().map_or_else(Vec::new, |listener| listener.heard.take())
}

/// A tagged block: its path, and for each kind the declarations below it.
pub(super) type Variants = (String, Vec<(&'static str, Vec<Declaration>)>);

/// All declarations outside tagged blocks, in the order of the walk, and the tagged blocks.
pub(super) fn all() -> (Vec<Declaration>, Vec<Variants>) {
    let mut common = walk_over_nothing(None);
    let tagged = common.iter().filter_map(|(path, accepts)| match accepts {
        Accepts::Kinds(kinds) => Some((path.clone(), kinds.clone())),
        _ => None,
    });
    let variants: Vec<Variants> = tagged
        .map(|(path, kinds)| {
            let below = |(other, _): &Declaration| is_below(other, &path);
            let of = |kind| walk_over_nothing(Some((path.clone(), kind))).into_iter().filter(below).collect();
            let kinds = kinds.into_iter().map(|kind| (kind, of(kind))).collect();
            (path, kinds)
        })
        .collect();
    common.retain(|(path, _)| !variants.iter().any(|(tagged, _)| is_below(path, tagged)));
    (common, variants)
}

fn is_below(path: &str, block: &str) -> bool {
    path.strip_prefix(block).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// The spec of a text that says nothing but the support size: its values are the defaults.
pub(super) fn defaults(support: usize, kind: PluginKind) -> serde_json::Value {
    let (report, table) = (Report::default(), ParamTable::default());
    let text = format!("task: {{support: {support}}}");
    let source = super::source::Source::new("defaults", &text);
    let root = super::tree::build(&text, 0, 0, &source).map(|(root, _)| root);
    let root = root.unwrap_or_else(|_| Node::null(Place::start_of(0)));
    let spec = walk::walk(&root, &report, Some((&table, kind))).spec;
    serde_json::to_value(spec).unwrap_or_default()
}
