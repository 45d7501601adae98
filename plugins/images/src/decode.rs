//! From an encoded image to pixels of one size.

use crate::limits::{DECODER_BYTES, SIDE};
use image::imageops::{self, FilterType};
use image::{DynamicImage, GenericImageView, ImageError, ImageReader, Limits};
use std::io::Cursor;

/// How an image becomes smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Windowed sinc of radius 3, stretched to the scale, as Pillow's LANCZOS.
    Lanczos,
    /// Pillow uses this for one-bit images, whatever it is asked for.
    Nearest,
}

/// What is done to every image of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    pub height: u32,
    pub width: u32,
    /// 1: grey; 3: red, green, blue.
    pub channels: u32,
    pub filter: Filter,
    /// Ink becomes 1 and paper 0.
    pub invert: bool,
}

impl Recipe {
    /// Bytes of one decoded image.
    pub fn bytes(&self) -> usize {
        (self.height * self.width * self.channels) as usize
    }

    pub fn shape(&self) -> [usize; 3] {
        [self.height, self.width, self.channels].map(|n| n as usize)
    }

    /// Pixels `[height, width, channels]` of a PNG or JPEG. The header's size is checked before anything is decoded.
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut reader = ImageReader::new(Cursor::new(bytes));
        // `with_guessed_format` reads the first bytes, which cannot fail in memory.
        reader = reader.with_guessed_format().map_err(|e| e.to_string())?;
        if reader.format().is_none() {
            return Err("it is neither a PNG nor a JPEG image".into());
        }
        let mut limits = Limits::no_limits();
        limits.max_image_width = Some(SIDE);
        limits.max_image_height = Some(SIDE);
        limits.max_alloc = Some(DECODER_BYTES);
        reader.limits(limits);
        let image = reader.decode().map_err(|e| match e {
            ImageError::Limits(_) => format!("the image is larger than {SIDE} × {SIDE} pixels"),
            other => format!("it is damaged or cut short: {other}"),
        })?;
        let mut pixels = self.resized(image);
        if self.invert {
            pixels.iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
        }
        Ok(pixels)
    }

    fn resized(&self, image: DynamicImage) -> Vec<u8> {
        let filter = match self.filter {
            Filter::Lanczos => FilterType::Lanczos3,
            Filter::Nearest => FilterType::Nearest,
        };
        let same = image.dimensions() == (self.width, self.height);
        if self.channels == 1 {
            let grey = image.into_luma8();
            let grey = if same { grey } else { imageops::resize(&grey, self.width, self.height, filter) };
            return grey.into_raw();
        }
        let colours = image.into_rgb8();
        let colours =
            if same { colours } else { imageops::resize(&colours, self.width, self.height, filter) };
        colours.into_raw()
    }
}
