//! Patches of images, written out, and their adjoint. Products with patches need neither (see `conv`); this is for
//! every other reader.

use super::kernel::{Access, Address, Bases};
use crate::graph::window::{Image, Window};
use std::fmt;

#[derive(Clone, Debug)]
pub struct Windows {
    /// From patches to images instead of from images to patches.
    pub fold: bool,
    pub window: Window,
    pub image: Image,
    pub images: usize,
    pub from: Address,
    pub to: Address,
}

impl Windows {
    fn patches(&self) -> usize {
        let count = self.window.count(self.image).map_or(0, |[down, across]| down * across);
        count * self.window.patch(self.image)
    }

    fn pixels(&self) -> usize {
        self.image.height * self.image.width * self.image.channels
    }

    /// # Safety
    /// As [`super::kernel::Kernel::run`].
    pub unsafe fn run(&self, bases: &Bases<'_>) {
        let (pixels, patches) = (self.pixels(), self.patches());
        let (read, written) = if self.fold { (patches, pixels) } else { (pixels, patches) };
        // SAFETY: the addresses are valid for these sizes, and the result is a buffer of its own.
        let (from, to) = unsafe {
            (
                std::slice::from_raw_parts(bases.at(self.from), read * self.images),
                std::slice::from_raw_parts_mut(bases.at(self.to), written * self.images),
            )
        };
        to.fill(0.0);
        for n in 0..self.images {
            let (from, to) = (&from[n * read..][..read], &mut to[n * written..][..written]);
            if self.fold {
                self.window.runs(self.image, |run| {
                    let sums = &mut to[run.image..][..run.length];
                    sums.iter_mut().zip(&from[run.patch..]).for_each(|(sum, x)| *sum += x);
                });
            } else {
                self.window.runs(self.image, |run| {
                    to[run.patch..][..run.length].copy_from_slice(&from[run.image..][..run.length]);
                });
            }
        }
    }

    pub fn addresses(&mut self, visit: &mut dyn FnMut(&mut Address, Access, usize)) {
        let (pixels, patches) = (self.pixels() * self.images, self.patches() * self.images);
        let (read, written) = if self.fold { (patches, pixels) } else { (pixels, patches) };
        visit(&mut self.from, Access::Read, read);
        visit(&mut self.to, Access::Write, written);
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Windows { window, image, images, from, to, .. } = self;
        let name = if self.fold { "fold" } else { "unfold" };
        let Image { height, width, channels } = image;
        write!(f, "{to} = {name} {from} {window}: {images} images {height}x{width}x{channels}")
    }
}
