//! SVG → PNG, for programs that take no vectors. Text is drawn in DejaVu Sans Condensed, which the program carries: the
//! same picture gives the same bytes on every machine, whatever fonts it has.

use crate::error::{Error, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, roxmltree};
use std::fmt::Write;
use ttf_parser::{Face, OutlineBuilder};

/// Pixels of the PNG for each of the SVG: sharp in print and on dense screens.
const SCALE: f32 = 2.0;
/// A larger side is a picture that nobody can open.
const LONGEST: f32 = 20_000.0;
const FONT_SIZE: f32 = 16.0;

/// The bytes of a PNG of one of our pictures.
///
/// # Errors
/// [`Error::Run`] for text that is no SVG, or a picture of no size or too large a one. Images inside are left out.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let failed = |what: &str| Error::Run(format!("cannot draw the picture: {what}"));
    let outlined = outlined(svg).map_err(|error| failed(&error))?;
    let tree = Tree::from_str(&outlined, &Options::default()).map_err(|error| failed(&error.to_string()))?;
    let (width, height) = (SCALE * tree.size().width(), SCALE * tree.size().height());
    if width.max(height) > LONGEST {
        return Err(failed(&format!("{width:.0} × {height:.0} pixels are too many")));
    }
    let pixels = Pixmap::new(width.ceil() as u32, height.ceil() as u32);
    let mut pixels = pixels.ok_or_else(|| failed("it has no size"))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| failed(&error.to_string()))
}

/// The same SVG with paths in the place of its texts.
fn outlined(svg: &str) -> std::result::Result<String, String> {
    let document = roxmltree::Document::parse(svg).map_err(|error| error.to_string())?;
    let mut out = String::with_capacity(2 * svg.len());
    let mut from = 0;
    for node in document.descendants().filter(|node| node.has_tag_name("text")) {
        out.push_str(&svg[from..node.range().start]);
        out.push_str(&path(node)?);
        from = node.range().end;
    }
    out.push_str(&svg[from..]);
    Ok(out)
}

/// One text as a path. It keeps those attributes that say how it is painted.
fn path(node: roxmltree::Node) -> std::result::Result<String, String> {
    let inherited = |name: &str| node.ancestors().find_map(|node| node.attribute(name));
    let number = |text: Option<&str>, otherwise: f32| {
        text.map_or(Ok(otherwise), |text| text.parse().map_err(|_| format!("`{text}` is not a number")))
    };
    let [x, y] = ["x", "y"].map(|name| number(node.attribute(name), 0.0));
    let bold = inherited("font-weight").is_some_and(|weight| weight == "bold" || weight >= "600");
    let font = if bold { dejavu::sans_condensed::bold() } else { dejavu::sans_condensed::regular() };
    let face = Face::parse(font, 0).map_err(|error| error.to_string())?;
    let mut pen = Pen {
        path: String::new(),
        x: x?,
        y: y?,
        scale: number(inherited("font-size"), FONT_SIZE)? / f32::from(face.units_per_em()),
    };
    let text = node.text().unwrap_or("");
    let glyphs: Vec<_> = text.chars().map(|char| face.glyph_index(char).unwrap_or_default()).collect();
    let advance = |glyph| f32::from(face.glyph_hor_advance(glyph).unwrap_or(0));
    let width = pen.scale * glyphs.iter().copied().map(advance).sum::<f32>();
    pen.x -= match inherited("text-anchor") {
        Some("middle") => width / 2.0,
        Some("end") => width,
        _ => 0.0,
    };
    for glyph in glyphs {
        face.outline_glyph(glyph, &mut pen);
        pen.x += pen.scale * advance(glyph);
    }
    let mut element = String::from("<path");
    for name in ["transform", "fill", "opacity"] {
        if let Some(value) = node.attribute(name) {
            let _ = write!(element, " {name}=\"{}\"", super::picture::escape(value));
        }
    }
    let _ = write!(element, " d=\"{}\"/>", pen.path);
    Ok(element)
}

/// Writes outlines, given in font units with y upwards, as path data.
struct Pen {
    path: String,
    x: f32,
    y: f32,
    /// Pixels of a font unit.
    scale: f32,
}

impl Pen {
    fn put(&mut self, command: char, points: &[(f32, f32)]) {
        self.path.push(command);
        for (x, y) in points {
            let (x, y) = (self.x + self.scale * x, self.y - self.scale * y);
            // Writing to a String cannot fail.
            let _ = write!(self.path, "{x:.2} {y:.2} ");
        }
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.put('M', &[(x, y)]);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.put('L', &[(x, y)]);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.put('Q', &[(x1, y1), (x, y)]);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.put('C', &[(x1, y1), (x2, y2), (x, y)]);
    }

    fn close(&mut self) {
        self.path.push('Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Picture, Series};

    fn pixels(svg: &str) -> Pixmap {
        Pixmap::decode_png(&png(svg).unwrap()).unwrap()
    }

    #[test]
    fn a_picture_has_its_size_its_text_and_its_curve() {
        let mut picture = Picture::new("a < b", "steps", "loss");
        picture.series.push(Series::line("maml", vec![0.0, 1.0], vec![1.0, 0.5]));
        let with = pixels(&picture.svg());
        assert_eq!((with.width(), with.height()), (1520, 880));
        let curve =
            with.pixels().iter().filter(|p| (p.red(), p.green(), p.blue()) == (0, 0x72, 0xb2)).count();
        assert!(curve > 1000, "{curve} pixels of the curve");
        picture.title.clear();
        let without = pixels(&picture.svg());
        let differ = with.pixels().iter().zip(without.pixels()).filter(|(a, b)| a != b).count();
        assert!((200..4000).contains(&differ), "{differ} pixels of the title");
    }

    #[test]
    fn the_middle_and_the_end_of_a_text_lie_where_they_are_asked_for() {
        let inked = |anchor: &str| {
            let svg = format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"200\" height=\"40\" font-size=\"20\"><text x=\"100\" \
                 y=\"30\" text-anchor=\"{anchor}\">HHHH</text></svg>"
            );
            let pixels = pixels(&svg);
            let columns = (0..pixels.width()).filter(|x| {
                (0..pixels.height()).any(|y| pixels.pixel(*x, y).is_some_and(|p| p.alpha() > 128))
            });
            let columns: Vec<u32> = columns.collect();
            (columns[0], columns[columns.len() - 1])
        };
        let (start, middle, end) = (inked("start"), inked("middle"), inked("end"));
        assert!(start.0 >= 200 && end.1 <= 200, "{start:?} {end:?}");
        assert!((middle.0 + middle.1).abs_diff(400) <= 2, "{middle:?}");
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        assert!(png("<svg").is_err());
        assert!(png("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1e9\" height=\"2\"/>").is_err());
    }
}
