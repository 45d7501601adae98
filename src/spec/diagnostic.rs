//! One problem, all problems, and how they print: place, source line, caret, help.

use super::source::{Place, Sources, unprintable};
use std::fmt;
use std::sync::Arc;

/// More than this many problems are counted instead of printed.
const MOST_PRINTED: usize = 100;
/// Longer source lines are printed as a window of this many characters around the caret.
const WINDOW: usize = 100;

/// One problem of a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub place: Place,
    /// Key path such as `outer.optimizer.kl`; empty where the problem is with the text as a whole.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// What to do next: the nearest valid name, or the change to make.
    pub help: Option<String>,
}

/// Every problem of a spec, in the order of the text. `Display` gives the report for the terminal.
#[derive(Debug)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    sources: Arc<Sources>,
}

impl Diagnostics {
    pub(super) fn new(mut items: Vec<Diagnostic>, sources: Arc<Sources>) -> Diagnostics {
        // The scanner puts what is missing behind the last line break, where there may be no line.
        for Diagnostic { place, .. } in &mut items {
            let source = sources.get(place.source);
            if place.line > source.lines() {
                let end = source.line(source.lines()).chars().count() as u32 + 1;
                *place = Place { line: source.lines(), column: end, width: 1, ..*place };
            }
        }
        items.sort_by(|a, b| (a.place, &a.path, &a.message).cmp(&(b.place, &b.path, &b.message)));
        items.dedup();
        Diagnostics { items, sources }
    }

    /// The problems, sorted by place.
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.items.iter().take(MOST_PRINTED).enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            print_one(f, item, &self.sources)?;
        }
        if self.items.len() > MOST_PRINTED {
            writeln!(f, "\n… and {} more", self.items.len() - MOST_PRINTED)?;
        }
        if self.items.len() > 1 {
            write!(f, "\n{} problems in all", self.items.len())?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostics> for crate::error::Error {
    fn from(diagnostics: Diagnostics) -> Self {
        crate::error::Error::Input(diagnostics.to_string().trim_end().to_string())
    }
}

fn print_one(f: &mut fmt::Formatter<'_>, item: &Diagnostic, sources: &Sources) -> fmt::Result {
    let Place { source, line, column, width } = item.place;
    let text = sources.get(source);
    // An override is one short line, so its own text is place enough.
    let number = if source == 0 { line.to_string() } else { " ".to_string() };
    let gutter = " ".repeat(number.len());
    writeln!(f, "error: {}", item.message)?;
    if source == 0 {
        writeln!(f, "{gutter}--> {}:{line}:{column}", text.name())?;
    } else {
        writeln!(f, "{gutter}--> {}", text.name())?;
    }
    let (shown, before, carets) = window(text.line(line), column, width);
    writeln!(f, "{gutter} |")?;
    writeln!(f, "{}", format!("{number} | {shown}").trim_end())?;
    writeln!(f, "{gutter} | {}{}", " ".repeat(before), "^".repeat(carets))?;
    if let Some(help) = &item.help {
        writeln!(f, "{gutter} = help: {help}")?;
    }
    Ok(())
}

/// The part of a line around the caret, the caret's indent and its length, all in printed characters.
/// Tabs become one space and control characters a replacement sign, so that the caret stays below its text
/// and a spec cannot send escape sequences to the terminal.
fn window(line: &str, column: u32, width: u32) -> (String, usize, usize) {
    let column = (column as usize).saturating_sub(1);
    let length = line.chars().count();
    let start = if length <= WINDOW || column < WINDOW / 2 { 0 } else { column - WINDOW / 2 };
    let mut shown = String::from(if start > 0 { "…" } else { "" });
    for c in line.chars().skip(start).take(WINDOW) {
        shown.push(match c {
            '\t' => ' ',
            c if unprintable(c) => '\u{FFFD}',
            c => c,
        });
    }
    if length > start + WINDOW {
        shown.push('…');
    }
    let before = column - start + usize::from(start > 0);
    let room = shown.chars().count().saturating_sub(before).max(1);
    (shown.trim_end().to_string(), before, (width as usize).clamp(1, room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_its_text() {
        assert_eq!(window("  rate: fast", 9, 4), ("  rate: fast".into(), 8, 4));
        assert_eq!(window("\ta\x1bb", 3, 9), (" a\u{FFFD}b".into(), 2, 2));
        let (shown, before, carets) = window(&"x".repeat(5000), 3001, 2);
        assert_eq!((shown.chars().count(), before, carets), (102, 51, 2));
        assert_eq!(window("", 1, 1), (String::new(), 0, 1));
    }
}
