//! Frames → an animated GIF.

use super::canvas::{Canvas, FRAME, LETTER, Place, TRAIL, palette};
use super::{Mark, Paint, Pane, Scene, Viewpoint, Window};
use crate::error::{Error, Result};
use gif::{Encoder, Frame, Repeat};

/// A pane's picture in pixels, and what surrounds it.
const WIDTH: usize = 320;
const HEIGHT: usize = 240;
const GAP: usize = 12;
/// Lines above a pane's picture: two of words.
const HEAD: usize = 36;
/// The scene's title.
const TOP: usize = 28;
/// Panes in a row at most.
const COLUMNS: usize = 4;
/// A viewer shows no more than about this many frames a second.
const FRAMES_PER_SECOND: f64 = 25.0;
/// The last frame stays for so long before the film begins again, in hundredths of a second.
const PAUSE: u16 = 150;

impl Scene {
    /// The bytes of the file. The same scene gives the same bytes.
    pub fn gif(&self) -> Result<Vec<u8>> {
        let columns = self.panes.len().clamp(1, COLUMNS);
        let rows = self.panes.len().div_ceil(columns).max(1);
        let width = GAP + columns * (WIDTH + GAP);
        let height = TOP + rows * (HEAD + HEIGHT + GAP);
        let stride = (1.0 / FRAMES_PER_SECOND / self.frame_secs).round().max(1.0) as usize;
        let delay = (stride as f64 * self.frame_secs * 100.0).round().clamp(2.0, 1000.0) as u16;
        let refuse = |error: gif::EncodingError| Error::Run(format!("cannot make the GIF: {error}"));
        let size = |pixels: usize| u16::try_from(pixels).map_err(|_| Error::Run("too many panes".into()));
        let (wide, high) = (size(width)?, size(height)?);
        let mut bytes = vec![];
        let mut encoder = Encoder::new(&mut bytes, wide, high, &palette()).map_err(refuse)?;
        encoder.set_repeat(Repeat::Infinite).map_err(refuse)?;
        let top = self.top_window(WIDTH as f64 / HEIGHT as f64);
        let last = self.length().saturating_sub(1);
        let mut before: Option<Canvas> = None;
        let times = (0..last).step_by(stride).chain([last]);
        for time in times {
            let mut canvas = Canvas::new(width, height);
            canvas.words(&self.title, GAP, (TOP - LETTER) / 2, 1);
            for (number, pane) in self.panes.iter().enumerate() {
                let (column, row) = (number % columns, number / columns);
                let (left, head) = (GAP + column * (WIDTH + GAP), TOP + row * (HEAD + HEIGHT + GAP));
                canvas.words(&pane.title, left, head, 2);
                canvas.words(&pane.caption, left, head + 2 * LETTER + 6, 1);
                let frame = pane.frame(time);
                let window = match self.viewpoint {
                    Viewpoint::Side => Scene::side_window(frame, WIDTH as f64 / HEIGHT as f64),
                    Viewpoint::Top => top,
                };
                let place = Place { left, top: head + HEAD, width: WIDTH, height: HEIGHT, window };
                draw(&mut canvas, pane, frame, time, self.viewpoint, &place);
            }
            let (left, top, width, height) = changed(before.as_ref(), &canvas);
            let rows = canvas.pixels.chunks(canvas.width).skip(top).take(height);
            let buffer: Vec<u8> = rows.flat_map(|row| &row[left..left + width]).copied().collect();
            encoder
                .write_frame(&Frame {
                    delay: if time == last { PAUSE } else { delay },
                    left: size(left)?,
                    top: size(top)?,
                    width: size(width)?,
                    height: size(height)?,
                    buffer: buffer.into(),
                    ..Frame::default()
                })
                .map_err(refuse)?;
            before = Some(canvas);
        }
        drop(encoder);
        Ok(bytes)
    }
}

/// One pane at one time.
fn draw(canvas: &mut Canvas, pane: &Pane, frame: &[Mark], time: usize, viewpoint: Viewpoint, place: &Place) {
    if viewpoint == Viewpoint::Side {
        floor(canvas, place);
    }
    let trail = pane.trails.get(pane.watched).map_or(&[][..], Vec::as_slice);
    let past = &trail[..trail.len().min(time + 1)];
    for pair in past.windows(2) {
        canvas.segment(place.point(pair[0]), place.point(pair[1]), 0.7, TRAIL, place);
    }
    frame.iter().for_each(|mark| canvas.mark(mark, place));
    let Place { left, top, width, height, .. } = *place;
    let corner = |x: usize, y: usize| [(left + x) as f64, (top + y) as f64];
    let corners = [corner(0, 0), corner(width, 0), corner(width, height), corner(0, height)];
    for side in 0..4 {
        canvas.segment(corners[side], corners[(side + 1) % 4], 1.0, FRAME, place);
    }
}

/// The floor of a side view, with a tick at every metre, so that one sees the robot move.
fn floor(canvas: &mut Canvas, place: &Place) {
    let Window { left, width, .. } = place.window;
    let mark = |from: [f32; 2], to: [f32; 2]| Mark { from, to, radius: 0.0, paint: Paint::Ground };
    canvas.mark(&mark([left as f32, 0.0], [(left + width) as f32, 0.0]), place);
    for metre in left.ceil() as i64..=(left + width).floor() as i64 {
        let x = metre as f32;
        canvas.mark(&mark([x, 0.0], [x, -0.06]), place);
        let [at, _] = place.point([x, 0.0]);
        let text = metre.to_string();
        let half = text.len() * LETTER / 2;
        let (low, high) = (place.left + half, place.left + place.width - half);
        if (low as f64..high as f64).contains(&at) {
            canvas.words(&text, at as usize - half, place.top + place.height - LETTER - 3, 1);
        }
    }
}

/// The smallest rectangle (left, top, width, height) outside which two canvases are equal.
fn changed(before: Option<&Canvas>, now: &Canvas) -> (usize, usize, usize, usize) {
    let Some(before) = before else { return (0, 0, now.width, now.height) };
    let (mut low, mut high) = ([now.width, now.height], [0, 0]);
    for (at, _) in before.pixels.iter().zip(&now.pixels).enumerate().filter(|(_, (a, b))| a != b) {
        for (k, place) in [at % now.width, at / now.width].into_iter().enumerate() {
            low[k] = low[k].min(place);
            high[k] = high[k].max(place + 1);
        }
    }
    // A frame has at least one pixel, also when nothing moves.
    if high[0] == 0 { (0, 0, 1, 1) } else { (low[0], low[1], high[0] - low[0], high[1] - low[1]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_written_again() {
        let blank = Canvas::new(10, 6);
        let mut dot = blank.clone();
        dot.pixels[3 * 10 + 4] = 1;
        dot.pixels[4 * 10 + 7] = 1;
        assert_eq!(changed(None, &dot), (0, 0, 10, 6));
        assert_eq!(changed(Some(&blank), &dot), (4, 3, 4, 2));
        assert_eq!(changed(Some(&dot), &dot), (0, 0, 1, 1));
    }
}
