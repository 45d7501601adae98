//! Matrix products with patches of images that never exist as a whole: convolution and its two gradients.
//!
//! The windows of a few rows of outputs at a time are laid out as patches in scratch memory that the second-level
//! cache holds, multiplied there, and forgotten (or, for the gradient of the images, computed there and added into
//! them). What is saved is the patches' way to memory and back: they are as many times larger than the images as the
//! kernel has taps.

use super::gemm;
use super::isa::{Isa, dispatch};
use super::kernel::{Access, Address, Bases};
use super::lanes::{Apart, Lanes};
use super::product::Side;
use crate::graph::window::{Image, Window};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

/// Floats of patches at a time: 192 KiB, a part of the second-level cache of every processor of interest.
const PATCHES: usize = 49_152;

/// Products of an output that take about as long as to write and read it. On a core of a Xeon (Emerald Rapids) 27 of
/// them, with their patches, took 0.74 ns, and one float's way to or from memory some 0.35.
const SHORT: usize = 32;

/// Which of the three matrices of `outputs = patches · weights` is computed from the other two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// outputs (windows × n) = patches · other, where other is patch × n.
    Outputs,
    /// weights (patch × n) = patchesᵀ · other, where other is windows × n.
    Weights,
    /// images = fold(left · other), where left is windows × n and other is n × patch.
    Images,
}

#[derive(Clone, Debug)]
pub struct Conv {
    pub wanted: Wanted,
    pub window: Window,
    pub image: Image,
    pub images: usize,
    pub n: usize,
    /// The images, read or written.
    pub pictures: Address,
    /// Only where images are wanted.
    pub left: Option<Side>,
    pub other: Side,
    /// A row that is added to every row of outputs, next to each other.
    pub bias: Option<Address>,
    /// Outputs or weights, dense; the images themselves where they are wanted.
    pub to: Address,
    /// Only for weights: whether they are added to what is there.
    pub add: bool,
}

impl Conv {
    /// Windows across, and rows of them in all images.
    pub fn rows(&self) -> (usize, usize) {
        let [down, across] = self.window.count(self.image).unwrap_or([0, 0]);
        (across, down * self.images)
    }

    fn patch(&self) -> usize {
        self.window.patch(self.image)
    }

    fn pixels(&self) -> usize {
        self.image.height * self.image.width * self.image.channels
    }

    /// Rows of windows at a time.
    fn step(&self) -> usize {
        let (across, rows) = self.rows();
        (PATCHES / (across * self.patch()).max(1)).clamp(1, rows.max(1))
    }

    /// Rows, columns and inner length of the product of one step.
    fn product(&self, windows: usize) -> [usize; 3] {
        match self.wanted {
            Wanted::Outputs => [windows, self.n, self.patch()],
            Wanted::Weights => [self.patch(), self.n, windows],
            Wanted::Images => [windows, self.patch(), self.n],
        }
    }

    fn pack_floats(&self) -> usize {
        let [m, n, k] = self.product(self.step() * self.rows().0);
        gemm::pack_floats(m, n, k).next_multiple_of(16)
    }

    /// Floats for packed operands and patches at the start of the scratch memory.
    pub fn register_floats(&self) -> usize {
        self.pack_floats() + self.step() * self.rows().0 * self.patch()
    }

    /// One of so many equal pieces of the images, and how far each address moves to the next piece, in the order of
    /// [`addresses`](Conv::addresses). Weights, in which all pieces meet, must be there.
    pub fn cut(&self, pieces: usize) -> Option<(Conv, Vec<usize>)> {
        if !self.images.is_multiple_of(pieces) {
            return None;
        }
        let images = self.images / pieces;
        let piece = Conv { images, add: self.wanted == Wanted::Weights, ..self.clone() };
        let ((across, rows), pixels) = (piece.rows(), images * self.pixels());
        let windows = across * rows;
        let bias = self.bias.map(|_| 0);
        let steps = match (self.wanted, &self.left) {
            (Wanted::Outputs, _) => vec![0, pixels, windows * self.n],
            (Wanted::Weights, _) => vec![windows * self.other.row, pixels, 0],
            (Wanted::Images, Some(left)) => vec![0, windows * left.row, pixels],
            (Wanted::Images, None) => return None,
        };
        let steps = steps[..1].iter().copied().chain(bias).chain(steps[1..].iter().copied()).collect();
        Some((piece, steps))
    }

    /// The same on one of so many bands of rows of the windows, and how far each address moves to it, in the order of
    /// [`addresses`](Conv::addresses). For one image, of which a band sees some rows more. Weights, in which all bands meet,
    /// must be there.
    pub fn band(&self, bands: usize, band: usize) -> Option<(Conv, Vec<usize>)> {
        let [down, across] = self.window.count(self.image)?;
        let meet = self.wanted == Wanted::Weights;
        if self.images != 1
            || !down.is_multiple_of(bands)
            || self.wanted == Wanted::Images
            || meet && !self.add
        {
            return None;
        }
        let (rows, mut piece) = (down / bands, self.clone());
        // Rows are counted from the padding above the image.
        let first = band * rows * self.window.stride[0];
        let last = first + (rows - 1) * self.window.stride[0] + self.window.kernel[0];
        let (above, bottom) = (self.window.before[0], self.window.before[0] + self.image.height);
        let [top, end] = [first, last].map(|row| row.clamp(above, bottom));
        piece.window.before[0] = above.saturating_sub(first).min(last - first);
        piece.window.after[0] = last.saturating_sub(bottom).min(last - first);
        piece.image.height = end - top;
        let (windows, pixels) =
            (band * rows * across, (top - above) * self.image.width * self.image.channels);
        let (other, to) = if meet { (windows * self.other.row, 0) } else { (0, windows * self.n) };
        let moves = [other].into_iter().chain(self.bias.map(|_| 0)).chain([pixels, to]).collect();
        (piece.image.height > 0).then_some((piece, moves))
    }

    /// Whether every output is a sum of so few products that to read it from memory takes as long.
    pub fn is_short(&self) -> bool {
        self.wanted == Wanted::Outputs && self.patch() <= SHORT
    }

    pub fn flops(&self) -> u64 {
        let (across, rows) = self.rows();
        2 * (across * rows * self.patch() * self.n) as u64
    }

    /// # Safety
    /// As [`super::kernel::Kernel::run`].
    pub unsafe fn run(&self, isa: Isa, bases: &Bases<'_>) {
        dispatch!(isa, by_rows, (conv: &Conv = self, bases: &Bases<'_> = bases));
    }

    pub fn addresses(&mut self, visit: &mut dyn FnMut(&mut Address, Access, usize)) {
        let (across, rows) = self.rows();
        let (windows, patch, pixels) = (across * rows, self.patch(), self.pixels() * self.images);
        let reach = |side: &Side, m: usize, n: usize| (m - 1) * side.row + (n - 1) * side.column + 1;
        let other = match self.wanted {
            Wanted::Outputs => reach(&self.other, patch, self.n),
            Wanted::Weights => reach(&self.other, windows, self.n),
            Wanted::Images => reach(&self.other, self.n, patch),
        };
        visit(&mut self.other.at, Access::Read, other);
        if let Some(bias) = &mut self.bias {
            visit(bias, Access::Read, self.n);
        }
        if let Some(left) = &mut self.left {
            let reach = reach(left, windows, self.n);
            visit(&mut left.at, Access::Read, reach);
            visit(&mut self.to, Access::Write, pixels);
        } else {
            visit(&mut self.pictures, Access::Read, pixels);
            let rows = if self.wanted == Wanted::Outputs { windows } else { patch };
            visit(&mut self.to, Access::Write, rows * self.n);
        }
    }
}

/// # Safety
/// As [`super::kernel::Kernel::run`]; `L`'s instruction set is switched on in the caller.
#[inline(always)]
unsafe fn by_rows<L: Lanes>(_: PhantomData<L>, conv: &Conv, bases: &Bases<'_>) {
    let ((across, rows), patch, step) = (conv.rows(), conv.patch(), conv.step());
    let down = rows / conv.images;
    // SAFETY: the addresses are valid for the whole of each operand, the result is a buffer of its own, and the start
    // of the scratch memory, base 0, has room for what is packed and for the patches of one step.
    unsafe {
        let (pack, to) = (bases.0[0], bases.at(conv.to));
        let patches = pack.add(conv.pack_floats());
        let matrix = |side: Side, row: usize| gemm::Matrix {
            start: bases.at(side.at).add(row * side.row).cast_const(),
            row: side.row,
            column: side.column,
        };
        if conv.wanted == Wanted::Images {
            std::slice::from_raw_parts_mut(to, conv.pixels() * conv.images).fill(0.0);
        }
        let mut first = 0;
        while first < rows {
            let count = step.min(rows - first);
            let (shape, begin) = (conv.product(count * across), first * across);
            let picture = |row: usize| (row / down * conv.pixels(), row % down);
            if conv.wanted != Wanted::Images {
                let pictures = bases.at(conv.pictures);
                for row in 0..count {
                    let (at, i) = picture(first + row);
                    let to = patches.add(row * across * patch);
                    for row in TapRow::all(&conv.window, conv.image, i, pictures.add(at), to) {
                        L::apart(Unfold(row));
                    }
                }
            }
            let left = patches.cast_const();
            match (conv.wanted, conv.left) {
                (Wanted::Outputs, _) => {
                    let a = gemm::Matrix { start: left, row: patch, column: 1 };
                    let (b, to) = (matrix(conv.other, 0), to.add(begin * conv.n));
                    let bias = |at| gemm::Plus { from: bases.at(at).cast_const(), row: 0 };
                    gemm::gemm::<L>(shape, a, b, to, conv.bias.map(bias), pack);
                }
                (Wanted::Weights, _) => {
                    let a = gemm::Matrix { start: left, row: 1, column: patch };
                    let b = matrix(conv.other, begin);
                    let sum = gemm::Plus { from: to.cast_const(), row: conv.n };
                    gemm::gemm::<L>(shape, a, b, to, (first > 0 || conv.add).then_some(sum), pack);
                }
                (Wanted::Images, Some(side)) => {
                    let (a, b) = (matrix(side, begin), matrix(conv.other, 0));
                    gemm::gemm::<L>(shape, a, b, patches, None, pack);
                    for row in 0..count {
                        let (at, i) = picture(first + row);
                        let from = patches.add(row * across * patch);
                        for row in TapRow::all(&conv.window, conv.image, i, to.add(at), from) {
                            L::apart(Fold(row));
                        }
                    }
                }
                (Wanted::Images, None) => {}
            }
            first += count;
        }
    }
}

/// Of window `j` of a row: its taps before the image, the column of the first in it, and how many are in it.
#[inline(always)]
fn across_image(window: &Window, width: usize, j: usize) -> (usize, usize, usize) {
    let (across, begin) = (window.kernel[1], j * window.stride[1]);
    let outside = window.before[1].saturating_sub(begin).min(across);
    let x = (begin + outside).saturating_sub(window.before[1]);
    (outside, x, width.saturating_sub(x).min(across - outside))
}

/// One row of taps of each window in a row of windows.
struct TapRow<'a> {
    window: &'a Window,
    image: Image,
    columns: usize,
    /// The windows that have all of these taps in the image; a few at its edges do not.
    whole: Range<usize>,
    /// The row of pixels; none where it lies in the padding.
    pixels: Option<*mut f32>,
    patches: *mut f32,
    /// Floats from one window's taps to the next one's.
    step: usize,
}

/// Copies pixels into the patches.
struct Unfold<'a>(TapRow<'a>);

/// Adds the patches into the pixels, window after window.
struct Fold<'a>(TapRow<'a>);

impl<'a> TapRow<'a> {
    /// The rows of taps of row `i` of the windows on an image.
    ///
    /// # Safety
    /// The image and the patches are valid.
    unsafe fn all(
        window: &'a Window,
        image: Image,
        i: usize,
        pixels: *mut f32,
        patches: *mut f32,
    ) -> impl Iterator<Item = TapRow<'a>> {
        let [down, across] = window.kernel;
        let columns = window.count(image).map_or(0, |[_, columns]| columns);
        let (before, step) = (window.before[1], window.stride[1]);
        let first = before.div_ceil(step).min(columns);
        let behind = (image.width + before).checked_sub(across).map_or(0, |last| last / step + 1);
        let whole = first..behind.clamp(first, columns);
        let run = across * image.channels;
        (0..down).map(move |p| {
            let row = window.position(0, i, p, image.height);
            // SAFETY: the row lies in the image, and the taps in the patches.
            let at = |row: usize| unsafe { pixels.add(row * image.width * image.channels) };
            let (pixels, whole) = (row.map(at), whole.clone());
            let patches = unsafe { patches.add(p * run) };
            TapRow { window, image, columns, whole, pixels, patches, step: down * run }
        })
    }

    fn run(&self) -> usize {
        self.window.kernel[1] * self.image.channels
    }

    /// Floats of window `j` before the image, the first of those in it, and how many these are.
    #[inline(always)]
    fn edge(&self, j: usize) -> (usize, usize, usize) {
        let (outside, x, inside) = across_image(self.window, self.image.width, j);
        let channels = self.image.channels;
        if inside == 0 { (self.run(), 0, 0) } else { (outside * channels, x * channels, inside * channels) }
    }

    /// The first whole window's pixels, counted from the row's, and how far the next one's are.
    #[inline(always)]
    fn first(&self) -> (usize, usize) {
        let [begin, step] = [self.whole.start, 1].map(|n| n * self.window.stride[1]);
        (begin.saturating_sub(self.window.before[1]) * self.image.channels, step * self.image.channels)
    }
}

impl Apart for Unfold<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (row, run) = (&self.0, self.0.run());
        // SAFETY: the taps inside lie in the image, and all of them in the patches.
        unsafe {
            let Some(pixels) = row.pixels else {
                for j in 0..row.columns {
                    zero::<L>(row.patches.add(j * row.step), run);
                }
                return;
            };
            for j in (0..row.whole.start).chain(row.whole.end..row.columns) {
                let ((before, x, inside), to) = (row.edge(j), row.patches.add(j * row.step));
                zero::<L>(to, before);
                copy::<L>(pixels.add(x), to.add(before), inside);
                zero::<L>(to.add(before + inside), run - before - inside);
            }
            let (first, step) = row.first();
            let (mut from, mut to) =
                (pixels.wrapping_add(first), row.patches.wrapping_add(row.whole.start * row.step));
            // Not by `copy`, whose conditions would be looked at for every window.
            let registers = run - run % L::WIDTH;
            for _ in row.whole.clone() {
                let mut n = 0;
                while n < registers {
                    L::load(from.add(n)).store(to.add(n));
                    n += L::WIDTH;
                }
                if registers < run {
                    let rest = run - registers;
                    L::load_first(from.add(registers), rest).store_first(to.add(registers), rest);
                }
                (from, to) = (from.wrapping_add(step), to.wrapping_add(row.step));
            }
        }
    }
}

impl Apart for Fold<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (row, run) = (&self.0, self.0.run());
        let Some(pixels) = row.pixels else { return };
        // SAFETY: the taps inside lie in the image, and all of them in the patches.
        unsafe {
            for j in 0..row.whole.start {
                let (before, x, inside) = row.edge(j);
                accumulate::<L>(row.patches.add(j * row.step + before), pixels.add(x), inside);
            }
            let (first, step) = row.first();
            let (mut to, mut from) =
                (pixels.wrapping_add(first), row.patches.wrapping_add(row.whole.start * row.step));
            for _ in row.whole.clone() {
                accumulate::<L>(from, to, run);
                (from, to) = (from.wrapping_add(row.step), to.wrapping_add(step));
            }
            for j in row.whole.end..row.columns {
                let (before, x, inside) = row.edge(j);
                accumulate::<L>(row.patches.add(j * row.step + before), pixels.add(x), inside);
            }
        }
    }
}

/// # Safety
/// As [`copy`].
#[inline(always)]
unsafe fn accumulate<L: Lanes>(from: *const f32, to: *mut f32, count: usize) {
    let mut n = 0;
    // SAFETY: the caller's.
    unsafe {
        while n + L::WIDTH <= count {
            L::load(from.add(n)).add(L::load(to.add(n))).store(to.add(n));
            n += L::WIDTH;
        }
        if n < count {
            let left = count - n;
            let sum = L::load_first(from.add(n), left).add(L::load_first(to.add(n), left));
            sum.store_first(to.add(n), left);
        }
    }
}

/// # Safety
/// Both are valid for `count` floats, and the instruction set of `L` is switched on.
#[inline(always)]
unsafe fn copy<L: Lanes>(from: *const f32, to: *mut f32, count: usize) {
    let mut n = 0;
    // SAFETY: the caller's.
    unsafe {
        while n + L::WIDTH <= count {
            L::load(from.add(n)).store(to.add(n));
            n += L::WIDTH;
        }
        if n < count {
            L::load_first(from.add(n), count - n).store_first(to.add(n), count - n);
        }
    }
}

/// # Safety
/// As [`copy`].
#[inline(always)]
unsafe fn zero<L: Lanes>(to: *mut f32, count: usize) {
    let mut n = 0;
    // SAFETY: the caller's.
    unsafe {
        while n + L::WIDTH <= count {
            L::splat(0.0).store(to.add(n));
            n += L::WIDTH;
        }
        if n < count {
            L::splat(0.0).store_first(to.add(n), count - n);
        }
    }
}

impl fmt::Display for Conv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conv { window, image, images, n, pictures, other, to, .. } = self;
        let Image { height, width, channels } = image;
        let matrix = |side: &Side| format!("{}({},{})", side.at, side.row, side.column);
        match (self.wanted, &self.left) {
            (Wanted::Outputs, _) => {
                write!(f, "{to} = patches {pictures} by {}", matrix(other))?;
                if let Some(bias) = self.bias {
                    write!(f, " + {bias}")?;
                }
            }
            (Wanted::Weights, _) => write!(f, "{to} = patches' {pictures} by {}", matrix(other))?,
            (Wanted::Images, left) => {
                let left = left.as_ref().map_or(String::new(), matrix);
                write!(f, "{to} = images of {left} by {}", matrix(other))?;
            }
        }
        let (across, rows) = self.rows();
        let patch = self.patch();
        write!(f, ": {window}, {images} images {height}x{width}x{channels}, {}x{patch}x{n}", across * rows)
    }
}
