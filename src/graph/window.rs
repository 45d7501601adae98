//! Windows that slide over an image: the geometry that convolution shares between its op, its adjoint and every
//! lowering.

use super::Shape;
use std::fmt;

/// Windows over the two axes before the last of `[…, height, width, channels]`. Pairs are (down, across).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Rows and columns of zeros around the image.
    pub before: [usize; 2],
    pub after: [usize; 2],
}

/// One image of a batch, or one patch tensor of it: what the windows slide over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Image {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

/// Floats of an image and of its patches that are the same ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    pub patch: usize,
    pub image: usize,
    pub length: usize,
}

impl Window {
    /// The images in `[…, height, width, channels]` and how many there are.
    pub fn image(shape: Shape) -> Option<(usize, Image)> {
        let (lead, image) = shape.split_at(shape.len().checked_sub(3)?);
        let [height, width, channels] = *image else { return None };
        Some((lead.iter().product(), Image { height, width, channels }))
    }

    /// How many windows there are down and across, if one fits at all.
    pub fn count(&self, image: Image) -> Option<[usize; 2]> {
        let along = |axis: usize, length: usize| {
            let room = self.before[axis] + length + self.after[axis];
            let slack = room.checked_sub(self.kernel[axis]).filter(|_| self.kernel[axis] > 0)?;
            slack.checked_div(self.stride[axis]).map(|steps| steps + 1)
        };
        Some([along(0, image.height)?, along(1, image.width)?])
    }

    /// Floats of one patch.
    pub fn patch(&self, image: Image) -> usize {
        self.kernel[0] * self.kernel[1] * image.channels
    }

    /// The position in the image that window `at` sees at `tap` along an axis of `length`; none in the padding.
    pub fn position(&self, axis: usize, at: usize, tap: usize, length: usize) -> Option<usize> {
        (at * self.stride[axis] + tap).checked_sub(self.before[axis]).filter(|x| *x < length)
    }

    /// Every run of floats that an image and its patches `[down, across, patch]` share, in the order of the patches.
    pub fn runs(&self, image: Image, mut visit: impl FnMut(Run)) {
        let Some([down, across]) = self.count(image) else { return };
        let Image { height, width, channels } = image;
        for i in 0..down {
            for j in 0..across {
                // The taps across that lie in the image are neighbours there, as they are in the patch.
                let inside = |q: &usize| self.position(1, j, *q, width).is_some();
                let Some(first) = (0..self.kernel[1]).find(inside) else { continue };
                let taps = (first..self.kernel[1]).take_while(inside).count();
                let Some(x) = self.position(1, j, first, width) else { continue };
                for p in 0..self.kernel[0] {
                    let Some(y) = self.position(0, i, p, height) else { continue };
                    let tap = ((i * across + j) * self.kernel[0] + p) * self.kernel[1] + first;
                    visit(Run {
                        patch: tap * channels,
                        image: (y * width + x) * channels,
                        length: taps * channels,
                    });
                }
            }
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Window { kernel, stride, before, after } = self;
        write!(f, "{}x{} by {}x{}", kernel[0], kernel[1], stride[0], stride[1])?;
        write!(f, " padded {}+{} {}+{}", before[0], after[0], before[1], after[1])
    }
}
