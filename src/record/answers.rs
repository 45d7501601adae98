//! A task of a classification, with what was answered, as one SVG; and the same with tables as an HTML page. Neither
//! needs anything else: images are inside.

use super::picture::escape;
use std::fmt::Write;

/// One test task.
#[derive(Clone, Debug, Default)]
pub struct AnswerSheet {
    pub title: String,
    /// What each of the answers to a query was given after, for example `before` and `3 steps`.
    pub after: Vec<String>,
    /// In the order of their labels.
    pub classes: Vec<SheetClass>,
}

#[derive(Clone, Debug, Default)]
pub struct SheetClass {
    pub name: String,
    /// Images as PNG.
    pub support: Vec<Vec<u8>>,
    pub queries: Vec<SheetQuery>,
}

#[derive(Clone, Debug, Default)]
pub struct SheetQuery {
    pub png: Vec<u8>,
    /// Positions in [`AnswerSheet::classes`], one for each of [`AnswerSheet::after`].
    pub answers: Vec<usize>,
}

/// A table below the sheet.
#[derive(Clone, Debug, Default)]
pub struct SheetTable {
    pub heading: String,
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// Pixels: a side of an image, the space around it, a line of text, and the column of names.
const IMAGE: usize = 64;
const GAP: usize = 10;
const LINE: usize = 18;
const NAMES: usize = 230;
const TOP: usize = 64;
const RIGHT: &str = "#00694d";
const WRONG: &str = "#b3402a";

/// The sheet: a row for each class with its support images and its queries, each framed by its last answer.
pub fn svg(sheet: &AnswerSheet) -> String {
    let most = |count: fn(&SheetClass) -> usize| sheet.classes.iter().map(count).max().unwrap_or(0);
    let (shots, queries) = (most(|class| class.support.len()), most(|class| class.queries.len()));
    let (cell, row) = (IMAGE + GAP, IMAGE + GAP + LINE);
    let asked = NAMES + shots * cell + 2 * GAP;
    // The head has its width too.
    let width = (asked + queries * cell + GAP).max(640);
    let height = TOP + row * sheet.classes.len() + GAP;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"13\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"#fff\"/>\n"
    );
    text(&mut out, GAP, 22, "font-size=\"15\" font-weight=\"bold\"", &sheet.title);
    text(&mut out, NAMES, 48, "", "support");
    let head =
        format!("queries: taken for class {} (\u{2713} right, \u{2717} wrong)", sheet.after.join(" → "));
    text(&mut out, asked, 48, "", &head);
    for (label, class) in sheet.classes.iter().enumerate() {
        let top = TOP + label * row;
        text(&mut out, GAP, top + IMAGE / 2, "", &format!("{}  {}", label + 1, class.name));
        for (at, png) in class.support.iter().enumerate() {
            image(&mut out, NAMES + at * cell, top, png, "#bbb");
        }
        for (at, query) in class.queries.iter().enumerate() {
            let right = query.answers.last() == Some(&label);
            let (colour, mark) = if right { (RIGHT, '\u{2713}') } else { (WRONG, '\u{2717}') };
            let left = asked + at * cell;
            image(&mut out, left, top, &query.png, colour);
            let given: Vec<String> = query.answers.iter().map(|answer| (answer + 1).to_string()).collect();
            let style = format!("fill=\"{colour}\"");
            text(&mut out, left, top + IMAGE + LINE - 3, &style, &format!("{} {mark}", given.join(" → ")));
        }
    }
    out.push_str("</svg>\n");
    out
}

/// The sheet with what is said of it and with tables.
pub fn page(sheet: &AnswerSheet, said: &[String], tables: &[SheetTable]) -> String {
    let title = escape(&sheet.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{title}</title>\n<style>body{{font:15px/1.5 system-ui,sans-serif;\
         color:#222;max-width:72rem;margin:2rem auto;padding:0 1rem}}svg{{max-width:100%;height:auto}}\
         table{{border-collapse:collapse;margin:1rem 0}}th,td{{padding:.2rem .7rem;text-align:right;border-bottom:1px \
         solid #e6e6e6}}th:first-child,td:first-child{{text-align:left}}</style>\n<h1>{title}</h1>\n{}",
        svg(sheet)
    );
    for line in said {
        let _ = writeln!(page, "<p>{}</p>", escape(line));
    }
    for SheetTable { heading, header, rows } in tables {
        let row = |tag: &str, cells: &[String]| -> String {
            let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)));
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        let body: String = rows.iter().map(|cells| row("td", cells)).collect();
        let _ = writeln!(page, "<h2>{}</h2>\n<table>{}{body}</table>", escape(heading), row("th", header));
    }
    page.push_str("</html>\n");
    page
}

fn text(out: &mut String, x: usize, y: usize, style: &str, text: &str) {
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" {style}>{}</text>", escape(text));
}

fn image(out: &mut String, x: usize, y: usize, png: &[u8], frame: &str) {
    let place = format!("x=\"{x}\" y=\"{y}\" width=\"{IMAGE}\" height=\"{IMAGE}\"");
    let _ = writeln!(
        out,
        "<image {place} style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/><rect {place} fill=\"none\" \
         stroke=\"{frame}\" stroke-width=\"3\"/>",
        base64(png)
    );
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 4648, section 10.
    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn queries_are_marked_by_their_last_answer_and_names_are_escaped() {
        let query = |answers: [usize; 2]| SheetQuery { png: vec![1], answers: answers.to_vec() };
        let class = |name: &str, answers| SheetClass {
            name: name.into(),
            support: vec![vec![0]],
            queries: vec![query(answers)],
        };
        let sheet = AnswerSheet {
            title: "a < b".into(),
            after: vec!["before".into(), "1 step".into()],
            classes: vec![class("x&y", [1, 0]), class("z", [1, 0])],
        };
        let text = page(&sheet, &["<p>".into()], &[]);
        assert!(text.contains("2 → 1 \u{2713}") && text.contains("2 → 1 \u{2717}"), "{text}");
        assert_eq!(text.matches(RIGHT).count(), 2, "frame and caption of the right one");
        assert!(text.contains("x&amp;y") && text.contains("a &lt; b") && text.contains("&lt;p&gt;"));
        assert_eq!(text.matches("<image ").count(), 4);
    }
}
