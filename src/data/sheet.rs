//! A sampled task as a picture: one row a class, its support images, a gap, its queries.

use crate::error::{Error, Result};
use crate::run::few_shot::sampler::Address;
use crate::run::few_shot::{Episode, Reader};
use crate::run::programs::Points;
use image::{Rgb, RgbImage};
use std::path::Path;

/// Which task is drawn.
pub struct Sheet {
    pub split: usize,
    pub ways: usize,
    pub shots: usize,
    pub queries: usize,
    pub rotate: bool,
    pub seed: u64,
}

/// Pixels between images, and between support and queries.
const GAP: u32 = 2;
const WIDE_GAP: u32 = 12;
const GREY: Rgb<u8> = Rgb([128, 128, 128]);

impl Sheet {
    /// Draws test task 0 of the seed, exactly as an evaluation on this split would.
    ///
    /// # Errors
    /// `Error::Input`: items that are no images, too few classes or items. `Error::Run`: the plugin.
    pub fn draw(&self, reader: &mut Reader) -> Result<RgbImage> {
        let shape = reader.data.spaces().item_shape.clone();
        let (height, width, channels) = image_shape(&shape)?;
        let (counts, points) = (reader.counts(self.split), self.shots + self.queries);
        if counts.len() < self.ways || counts.iter().any(|count| (*count as usize) < points) {
            return Err(Error::Input(format!(
                "a task of {} classes with {points} items each cannot be drawn here",
                self.ways
            )));
        }
        let at = Address::test(self.seed, 0);
        let episode = Episode::draw(at, &counts, self.ways, points, self.rotate);
        let (mut support, mut query) = (Points::default(), Points::default());
        reader.fill(self.split, &episode, 0..self.queries, &mut query)?;
        reader.fill(self.split, &episode, self.queries..points, &mut support)?;
        // Small images are enlarged, so that a person sees them.
        let scale = (64 / height.max(width)).max(1) as u32;
        let (cell_height, cell_width) = (height as u32 * scale + GAP, width as u32 * scale + GAP);
        let mut sheet = RgbImage::from_pixel(
            cell_width * points as u32 + GAP + WIDE_GAP,
            cell_height * self.ways as u32 + GAP,
            GREY,
        );
        let length = height * width * channels;
        for (set, offset, each) in [
            (&support, GAP, self.shots),
            (&query, self.shots as u32 * cell_width + GAP + WIDE_GAP, self.queries),
        ] {
            for (number, pixels) in set.x.chunks_exact(length).enumerate() {
                let (row, column) = ((number / each) as u32, (number % each) as u32);
                let (left, top) = (offset + column * cell_width, GAP + row * cell_height);
                for y in 0..height as u32 * scale {
                    for x in 0..width as u32 * scale {
                        let at = ((y / scale) as usize * width + (x / scale) as usize) * channels;
                        let colour = [0, 1, 2].map(|c| level(pixels[at + if channels == 3 { c } else { 0 }]));
                        sheet.put_pixel(left + x, top + y, Rgb(colour));
                    }
                }
            }
        }
        Ok(sheet)
    }
}

/// One image of this shape, [height, width] or [height, width, 1 or 3] with values from 0 to 1, as PNG.
///
/// # Errors
/// `Error::Input`: an item of another shape. `Error::Run`: it cannot be encoded.
pub fn png(pixels: &[f32], shape: &[usize]) -> Result<Vec<u8>> {
    let (height, width, channels) = image_shape(shape)?;
    let picture = RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let at = (y as usize * width + x as usize) * channels;
        Rgb([0, 1, 2].map(|c| level(pixels[at + if channels == 3 { c } else { 0 }])))
    });
    encoded(&picture)
}

fn image_shape(shape: &[usize]) -> Result<(usize, usize, usize)> {
    match *shape {
        [height, width] => Ok((height, width, 1)),
        [height, width, channels @ (1 | 3)] => Ok((height, width, channels)),
        _ => Err(Error::Input(format!("items of shape {shape:?} are not images"))),
    }
}

fn encoded(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(vec![]);
    let written = picture.write_to(&mut bytes, image::ImageFormat::Png);
    written.map_err(|e| Error::Run(format!("cannot encode the picture: {e}")))?;
    Ok(bytes.into_inner())
}

fn level(pixel: f32) -> u8 {
    (pixel.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// Writes a picture as PNG.
pub fn write(sheet: &RgbImage, path: &Path) -> Result<()> {
    std::fs::write(path, encoded(sheet)?).map_err(Error::io("write", path))
}
