//! The texts that a spec is made of, the file and each `--set`, and places in them.

/// A spot in one of the texts. Lines and columns count from 1; columns and widths count characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// 0 is the file; 1 and up are the overrides in the order of the command line.
    pub source: u32,
    pub line: u32,
    pub column: u32,
    /// How many characters the caret underlines.
    pub width: u32,
}

impl Place {
    /// The first character of a text.
    pub fn start_of(source: u32) -> Place {
        Place { source, line: 1, column: 1, width: 1 }
    }
}

/// One text with its line starts, so that a hundred messages about a long file do not search it a hundred times.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    text: String,
    starts: Vec<usize>,
}

impl Source {
    pub fn new(name: &str, text: &str) -> Source {
        // The same three line breaks as the YAML scanner: LF, CR LF and a lone CR.
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for (i, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(i + 1) != Some(&b'\n')) {
                starts.push(i + 1);
            }
        }
        Source { name: name.to_string(), text: text.to_string(), starts }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a line (from 1) without its break; empty beyond the end.
    pub fn line(&self, line: u32) -> &str {
        let index = (line as usize).saturating_sub(1);
        let Some(&start) = self.starts.get(index) else { return "" };
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }

    /// How many lines there are; what follows the last break is one, even where it is empty.
    pub fn lines(&self) -> u32 {
        self.starts.len() as u32
    }

    /// Line and column, from 1, of a byte offset that lies on a character boundary.
    pub fn locate(&self, offset: usize) -> (u32, u32) {
        let index = self.starts.partition_point(|&start| start <= offset).saturating_sub(1);
        let column = self.text[self.starts[index]..offset].chars().count();
        (index as u32 + 1, column as u32 + 1)
    }
}

/// The file first, then the overrides.
#[derive(Debug, Default)]
pub(super) struct Sources(pub Vec<Source>);

impl Sources {
    pub fn get(&self, source: u32) -> &Source {
        &self.0[source as usize]
    }
}

/// The first character that YAML 1.2 (section 5.1) does not allow in a text, with its byte offset.
/// NUL is among them: the scanner would take it for the end of the file and drop what follows.
pub(super) fn forbidden(text: &str) -> Option<(usize, char)> {
    text.char_indices().find(|&(_, c)| {
        let control = c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
        control || matches!(c, '\u{FFFE}' | '\u{FFFF}')
    })
}

/// Characters that a terminal or an editor does not show as one character on the line.
pub(super) fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}')
}

/// A user's text inside a sentence: in backticks, on one line, without control characters, shortened.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == LONGEST {
            shown.push('…');
            break;
        }
        if unprintable(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_lf_crlf_and_cr() {
        let source = Source::new("x", "ab\r\nc\rdé\n\nf");
        let lines: Vec<&str> = (1..=6).map(|line| source.line(line)).collect();
        assert_eq!(lines, ["ab", "c", "dé", "", "f", ""]);
        assert_eq!(source.locate("ab\r\nc\rdé".len()), (3, 3));
        assert_eq!(source.locate(0), (1, 1));
    }

    #[test]
    fn nul_and_escape_are_found_and_tabs_are_not() {
        assert_eq!(forbidden("a\tb\r\n\u{85}é"), None);
        assert_eq!(forbidden("é\0"), Some((2, '\0')));
        assert_eq!(forbidden("\x1b[1m"), Some((0, '\x1b')));
    }
}
