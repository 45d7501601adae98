//! Reading in two steps: first the text, which names the plugin; then, with the plugin's table, the Spec.

use super::block::Field;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::params::{ParamTable, PluginKind};
use super::report::Report;
use super::schema::Spec;
use super::source::{Place, Source, Sources, forbidden};
use super::tree::{self, Node};
use super::{rules, set, sweep, walk};
use std::io::Read;
use std::sync::Arc;

/// The longest text that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// Reads a spec's bytes, stopping one byte beyond the limit: a file of any size costs no more than that,
/// and [`read`] then says what the limit is.
pub fn limited(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A spec whose text is read and whose plugin is known by name. Its problems so far are kept, to be reported
/// together with those that show only once the plugin's parameters are known.
#[derive(Debug)]
pub struct Draft {
    root: Node,
    sources: Arc<Sources>,
    early: Vec<Diagnostic>,
    plugin: String,
}

/// Reads a spec's text and applies the overrides (`path=value`), in order, before anything is checked.
///
/// `Err` where no plugin can be looked up: the text is no YAML, it is beyond a limit, or `task.plugin` is wrong;
/// then everything that can be said without the plugin is said. All other problems wait in the draft.
pub fn read<S: AsRef<str>>(
    text: impl AsRef<[u8]>,
    file: &str,
    overrides: &[S],
) -> Result<Draft, Diagnostics> {
    let mut early = Vec::new();
    let checked = checked(text.as_ref());
    let shown = match &checked {
        Ok(text) => *text,
        Err(bad) => &bad.shown,
    };
    let mut sources = Sources(vec![Source::new(file, shown)]);
    for text in overrides {
        let text = text.as_ref();
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let name: String = text.chars().map(plain).take(100).collect();
        sources.0.push(Source::new(&format!("--set {name}"), text));
    }
    let mut root = match &checked {
        Ok(_) => match tree::build(sources.get(0).text(), 0, 0, sources.get(0)) {
            Ok((root, problems)) => {
                early.extend(problems);
                Ok(root)
            }
            Err(fatal) => Err(fatal),
        },
        Err(bad) => Err(bad.diagnostic(sources.get(0))),
    };
    // The overrides are looked at even where the file is hopeless: all problems at once.
    let mut nowhere = Node::null(Place::start_of(0));
    let target = root.as_mut().unwrap_or(&mut nowhere);
    for number in 1..sources.0.len() as u32 {
        let source = sources.get(number);
        match checked_override(source, number) {
            Ok(()) => set::apply(target, number, source, &mut early),
            Err(problem) => early.push(problem),
        }
    }
    let sources = Arc::new(sources);
    let root = match root {
        Ok(root) => root,
        Err(fatal) => {
            early.push(fatal);
            return Err(Diagnostics::new(early, sources));
        }
    };
    // Whatever is wrong here is said again, with everything else, by the walk.
    let unheard = Report::default();
    let mut top = Field::root(&unheard, &root).block();
    let plugin = walk::plugin_name(&top.field("task").block().field("plugin"));
    drop(top);
    let draft = Draft { root, sources, early, plugin: plugin.unwrap_or_default() };
    if draft.plugin.is_empty() { Err(draft.diagnostics(None, Vec::new())) } else { Ok(draft) }
}

impl Draft {
    /// The plugin to look up.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// The Spec, with the plugin's parameters checked and its defaults filled in.
    ///
    /// `Err` has every problem of the text, in its order.
    pub fn resolve(&self, table: &ParamTable, kind: PluginKind) -> Result<Spec, Diagnostics> {
        let (spec, mut problems) = self.walked(Some((table, kind)));
        problems.extend(self.early.iter().cloned());
        if let Some(sweep) = sweep::entry(&self.root) {
            problems.push(Diagnostic {
                place: sweep.key_at,
                path: "sweep".into(),
                message: format!("this file has a sweep of {} runs", sweep::count(&self.root)),
                help: Some(
                    "`mamlx sweep` makes them all; --set sweep=null takes the file without its sweep".into(),
                ),
            });
        }
        if problems.is_empty() { Ok(spec) } else { Err(Diagnostics::new(problems, self.sources.clone())) }
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    /// Problems of the text itself.
    pub(super) fn early(&self) -> &[Diagnostic] {
        &self.early
    }

    pub(super) fn refused(&self, problems: Vec<Diagnostic>) -> Diagnostics {
        Diagnostics::new(problems, self.sources.clone())
    }

    /// A problem that shows outside the text, such as a plugin that is not found or a task file without a column:
    /// reported at the key `path`, together with everything else that is wrong.
    /// `plugin`: the table, where there is one.
    pub fn refuse(
        &self,
        path: &str,
        message: &str,
        help: Option<String>,
        plugin: Option<(&ParamTable, PluginKind)>,
    ) -> Diagnostics {
        let (path, place) = (path.to_string(), self.root.place_of(path));
        self.diagnostics(plugin, vec![Diagnostic { place, path, message: message.to_string(), help }])
    }

    fn diagnostics(
        &self,
        plugin: Option<(&ParamTable, PluginKind)>,
        mut more: Vec<Diagnostic>,
    ) -> Diagnostics {
        more.extend(self.walked(plugin).1);
        more.extend(self.early.iter().cloned());
        Diagnostics::new(more, self.sources.clone())
    }

    fn walked(&self, plugin: Option<(&ParamTable, PluginKind)>) -> (Spec, Vec<Diagnostic>) {
        self.walked_over(&self.root, plugin)
    }

    /// The walk and the rules over a tree made of this draft's.
    pub(super) fn walked_over(
        &self,
        root: &Node,
        plugin: Option<(&ParamTable, PluginKind)>,
    ) -> (Spec, Vec<Diagnostic>) {
        let report = Report::default();
        let walked = walk::walk(root, &report, plugin);
        rules::check(&walked, plugin.map(|(_, kind)| kind), root, &report);
        (walked.spec, report.finish())
    }
}

/// Bytes that are no text to read, with as much of them as can be shown.
struct Bad {
    shown: String,
    offset: usize,
    message: String,
    help: &'static str,
}

impl Bad {
    fn diagnostic(&self, source: &Source) -> Diagnostic {
        let (line, column) = source.locate(self.offset);
        let place = Place { source: 0, line, column, width: 1 };
        let (message, help) = (self.message.clone(), Some(self.help.to_string()));
        Diagnostic { place, path: String::new(), message, help }
    }
}

/// UTF-8 of at most [`MAX_BYTES`] without control characters; a byte-order mark at the start is dropped.
fn checked(bytes: &[u8]) -> Result<&str, Bad> {
    if bytes.len() > MAX_BYTES {
        let shown = String::from_utf8_lossy(&bytes[..200]).into_owned();
        let message = format!("this file is longer than {MAX_BYTES} bytes (1 MiB), the limit");
        return Err(Bad {
            shown,
            offset: 0,
            message,
            help: "a spec is a short text; is this the right file?",
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = error.valid_up_to();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(valid + 40)]).into_owned();
        let utf16 = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
        let help = if utf16 { "it looks like UTF-16; save it as UTF-8" } else { "save the file as UTF-8" };
        Bad { shown, offset: valid, message: "this file is not UTF-8 text".into(), help }
    })?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    match forbidden(text) {
        None => Ok(text),
        Some((offset, c)) => {
            let message = format!("the character U+{:04X} is not allowed in YAML", c as u32);
            Err(Bad { shown: text.into(), offset, message, help: "remove it" })
        }
    }
}

fn checked_override(source: &Source, number: u32) -> Result<(), Diagnostic> {
    let fail = |place, message: String| {
        Err(Diagnostic { place, path: String::new(), message, help: Some("shorten or correct it".into()) })
    };
    if source.text().len() > MAX_BYTES {
        return fail(
            Place::start_of(number),
            format!("this override is longer than {MAX_BYTES} bytes, the limit"),
        );
    }
    match forbidden(source.text()) {
        None => Ok(()),
        Some((offset, c)) => {
            let (line, column) = source.locate(offset);
            let place = Place { source: number, line, column, width: 1 };
            fail(place, format!("the character U+{:04X} is not allowed in YAML", c as u32))
        }
    }
}
