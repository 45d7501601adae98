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
    /// True or false.
    Flag,
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
    /// The kinds that tagged blocks take in this walk, by path; the others take their default.
    choices: Choices,
}

type Choices = Vec<(String, &'static str)>;

impl Listener {
    pub fn heard(&self, path: &str, accepts: Accepts) {
        self.heard.borrow_mut().push((path.to_string(), accepts));
    }

    /// The kind that the tagged block at `path` takes; `None`: its default.
    pub fn kind_of(&self, path: &str, kinds: &[&'static str]) -> Option<&'static str> {
        let (_, kind) = self.choices.iter().find(|(chosen, _)| chosen == path)?;
        kinds.iter().copied().find(|word| word == kind)
    }
}

/// Everything that the walk says, with some blocks taking the given kinds.
fn walk_over_nothing(choices: &Choices) -> Vec<Declaration> {
    let report = Report::listening(Listener { heard: RefCell::default(), choices: choices.clone() });
    walk::walk(&Node::null(Place::start_of(0)), &report, None);
    report.listener().map_or_else(Vec::new, |listener| listener.heard.take())
}

/// A tagged block: its path, and for each kind the declarations below it.
pub(super) type Variants = (String, Vec<(&'static str, Vec<Declaration>)>);

/// All declarations outside tagged blocks, in the order of the walk, and the tagged blocks.
pub(super) fn all() -> (Vec<Declaration>, Vec<Variants>) {
    let mut common = walk_over_nothing(&vec![]);
    let mut variants = vec![];
    take_tagged(&mut common, &vec![], &mut variants);
    (common, variants)
}

/// Moves what stands below tagged blocks from the declarations to the variants, and so on inside each kind. `choices`
/// are the kinds of the blocks around.
fn take_tagged(declared: &mut Vec<Declaration>, choices: &Choices, variants: &mut Vec<Variants>) {
    let tagged: Vec<(String, Vec<&'static str>)> = declared
        .iter()
        .filter_map(|(path, accepts)| match accepts {
            Accepts::Kinds(kinds) => Some((path.clone(), kinds.clone())),
            _ => None,
        })
        .collect();
    let outermost = |path: &str| !tagged.iter().any(|(other, _)| is_below(path, other));
    for (path, kinds) in tagged.iter().filter(|(path, _)| outermost(path)) {
        if variants.iter().any(|(known, _)| known == path) {
            continue;
        }
        // Known before its kinds are looked into.
        variants.push((path.clone(), vec![]));
        let mut forms = vec![];
        for kind in kinds {
            let choices = [&choices[..], &[(path.clone(), *kind)]].concat();
            let mut below = walk_over_nothing(&choices);
            below.retain(|(other, _)| is_below(other, path));
            take_tagged(&mut below, &choices, variants);
            forms.push((*kind, below));
        }
        if let Some((_, known)) = variants.iter_mut().find(|(known, _)| known == path) {
            *known = forms;
        }
    }
    declared.retain(|(path, _)| !tagged.iter().any(|(tagged, _)| is_below(path, tagged)));
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
