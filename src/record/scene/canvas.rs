//! Pixels of a small palette: every paint in a few shades towards the white background.

use super::{Mark, Paint, Window};
use font8x8::UnicodeFonts;

/// Shades of a paint; the last one is full.
const SHADES: u8 = 4;
/// Paints: those of marks, then words, the trail, and the frame's lines. Blue, orange and green stay apart for
/// colour-blind readers (Okabe and Ito 2008).
const PAINTS: [[u8; 3]; 7] = [
    [0x00, 0x72, 0xb2],
    [0x4c, 0x9f, 0xd6],
    [0xd5, 0x5e, 0x00],
    [0x88, 0x88, 0x88],
    [0x22, 0x22, 0x22],
    [0x00, 0x9e, 0x73],
    [0xd0, 0xd0, 0xd0],
];
const WORDS: u8 = 4;
pub const TRAIL: u8 = 5;
pub const FRAME: u8 = 6;
/// Half the width of a line that has none, in pixels.
const HAIR: f64 = 0.9;
/// Side of a letter's cell.
pub const LETTER: usize = 8;

/// Red, green and blue of every index.
pub fn palette() -> Vec<u8> {
    let mut palette = vec![0xff; 3];
    for paint in PAINTS {
        for shade in 1..=u32::from(SHADES) {
            let mix = |full: u8| {
                (255 - (255 - u32::from(full)) * shade / u32::from(SHADES)).try_into().unwrap_or(u8::MAX)
            };
            palette.extend(paint.map(mix));
        }
    }
    palette
}

fn paint_of(paint: Paint) -> u8 {
    match paint {
        Paint::Body => 0,
        Paint::Limb => 1,
        Paint::Goal => 2,
        Paint::Ground => 3,
    }
}

/// A picture in indices of [`palette`].
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

/// Where a pane's picture lies on the canvas, and what it shows.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
    pub window: Window,
}

impl Place {
    fn pixels_per_metre(&self) -> f64 {
        self.width as f64 / self.window.width
    }

    /// Pixels of a point, y downward.
    pub fn point(&self, at: [f32; 2]) -> [f64; 2] {
        let scale = self.pixels_per_metre();
        [
            self.left as f64 + (f64::from(at[0]) - self.window.left) * scale,
            self.top as f64 + self.height as f64 - (f64::from(at[1]) - self.window.bottom) * scale,
        ]
    }
}

impl Canvas {
    pub fn new(width: usize, height: usize) -> Canvas {
        Canvas { width, height, pixels: vec![0; width * height] }
    }

    /// Draws a mark, as far as it lies in its place.
    pub fn mark(&mut self, mark: &Mark, place: &Place) {
        let radius = (f64::from(mark.radius) * place.pixels_per_metre()).max(HAIR);
        self.segment(place.point(mark.from), place.point(mark.to), radius, paint_of(mark.paint), place);
    }

    /// Draws a segment with round ends; edges are smooth against the background.
    pub fn segment(&mut self, a: [f64; 2], b: [f64; 2], radius: f64, paint: u8, place: &Place) {
        let reach = radius + 1.0;
        let range = |k: usize, from: usize, size: usize| {
            let (low, high) = (a[k].min(b[k]) - reach, a[k].max(b[k]) + reach);
            let end = from + size;
            (low.clamp(from as f64, end as f64) as usize)
                ..(high.ceil().clamp(from as f64, end as f64) as usize)
        };
        let along = [b[0] - a[0], b[1] - a[1]];
        let squared = along[0] * along[0] + along[1] * along[1];
        for y in range(1, place.top, place.height) {
            for x in range(0, place.left, place.width) {
                let p = [x as f64 + 0.5 - a[0], y as f64 + 0.5 - a[1]];
                let dot = p[0] * along[0] + p[1] * along[1];
                let t = if squared > 0.0 { (dot / squared).clamp(0.0, 1.0) } else { 0.0 };
                let distance = (p[0] - t * along[0]).hypot(p[1] - t * along[1]);
                let shade = ((radius + 0.5 - distance).clamp(0.0, 1.0) * f64::from(SHADES)).round() as u8;
                let pixel = &mut self.pixels[y * self.width + x];
                // Over another paint an edge is hard: the palette has no mixtures of paints.
                if shade > 0 && (*pixel == 0 || 2 * shade >= SHADES) {
                    *pixel = 1 + paint * SHADES + shade - 1;
                }
            }
        }
    }

    /// Writes words from (left, top); letters that the font lacks are left out.
    pub fn words(&mut self, text: &str, left: usize, top: usize, size: usize) {
        let known = text.chars().map(|letter| if letter == '−' { '-' } else { letter });
        for (number, letter) in known.enumerate() {
            let Some(rows) = font8x8::BASIC_FONTS.get(letter) else { continue };
            for (y, row) in rows.iter().enumerate() {
                for x in (0..LETTER).filter(|x| row >> x & 1 == 1) {
                    self.block(left + (number * LETTER + x) * size, top + y * size, size);
                }
            }
        }
    }

    fn block(&mut self, left: usize, top: usize, size: usize) {
        for y in (top..top + size).filter(|y| *y < self.height) {
            for x in (left..left + size).filter(|x| *x < self.width) {
                self.pixels[y * self.width + x] = (WORDS + 1) * SHADES;
            }
        }
    }
}
