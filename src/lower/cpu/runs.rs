//! Moving a tile between iteration order and a strided tensor, run by run along the innermost axis.

#![allow(unsafe_op_in_unsafe_fn)]

use super::lanes::Lanes;
use super::map::Meet;
use super::tile::maximum;

/// Calls `f(position in the tile, offset in the tensor, length)` for every run of the tile.
///
/// The innermost axis is walked in whole runs, the others by an odometer.
#[inline(always)]
fn each_run(
    lengths: &[usize],
    strides: &[usize],
    start: usize,
    count: usize,
    mut f: impl FnMut(usize, usize, usize),
) {
    let axes = lengths.len();
    let inner = lengths[axes - 1];
    let mut at = [0usize; crate::graph::shape::MAX_RANK];
    let mut rest = start;
    let mut offset = 0;
    for axis in (0..axes).rev() {
        at[axis] = rest % lengths[axis];
        rest /= lengths[axis];
        offset += at[axis] * strides[axis];
    }
    let mut done = 0;
    loop {
        let length = (inner - at[axes - 1]).min(count - done);
        f(done, offset, length);
        done += length;
        if done == count {
            return;
        }
        offset -= at[axes - 1] * strides[axes - 1];
        at[axes - 1] = 0;
        for axis in (0..axes - 1).rev() {
            at[axis] += 1;
            offset += strides[axis];
            if at[axis] < lengths[axis] {
                break;
            }
            offset -= at[axis] * strides[axis];
            at[axis] = 0;
        }
    }
}

/// The blocks of a tile that is made of whole rows: rows that meet in one row of the tensor, because the axis before the
/// innermost does not move in it.
///
/// Blocks are short, often two rows of a pooled image, so finding the next one must not take divisions. Not a function
/// that calls another for each of them: outside the function that switches the instruction set on, a closure's
/// intrinsics would be calls.
struct Blocks<'a> {
    /// The axes before the rows.
    lengths: &'a [usize],
    strides: &'a [usize],
    at: [usize; crate::graph::shape::MAX_RANK],
    rows: usize,
    width: usize,
    /// Rows that are left after this block.
    left: usize,
    /// Position in the tile, offset in the tensor and rows of this block.
    block: (usize, usize, usize),
}

impl<'a> Blocks<'a> {
    #[inline(always)]
    fn of(lengths: &'a [usize], strides: &'a [usize], start: usize, count: usize) -> Blocks<'a> {
        let outer = lengths.len() - 2;
        let (rows, width) = (lengths[outer], lengths[outer + 1]);
        let (row, all) = (start / width, count / width);
        let first = (rows - row % rows).min(all);
        let mut at = [0usize; crate::graph::shape::MAX_RANK];
        let (mut rest, mut offset) = (row / rows, 0);
        for axis in (0..outer).rev() {
            at[axis] = rest % lengths[axis];
            rest /= lengths[axis];
            offset += at[axis] * strides[axis];
        }
        let (lengths, strides) = (&lengths[..outer], &strides[..outer]);
        Blocks { lengths, strides, at, rows, width, left: all - first, block: (0, offset, first) }
    }

    /// Moves to the next block, if there is one.
    #[inline(always)]
    fn advance(&mut self) -> bool {
        let (done, mut offset, rows) = self.block;
        if self.left == 0 {
            return false;
        }
        for axis in (0..self.lengths.len()).rev() {
            self.at[axis] += 1;
            offset += self.strides[axis];
            if self.at[axis] < self.lengths[axis] {
                break;
            }
            offset -= self.lengths[axis] * self.strides[axis];
            self.at[axis] = 0;
        }
        let next = self.rows.min(self.left);
        self.left -= next;
        self.block = (done + rows * self.width, offset, next);
        true
    }
}

/// Whether every tile of a strided tensor reads the same floats: it only moves along axes that fit into a tile a
/// whole number of times.
pub fn repeats(lengths: &[usize], strides: &[usize], tile: usize) -> bool {
    let still = strides.iter().take_while(|s| **s == 0).count();
    let period: usize = lengths[still..].iter().product();
    still > 0 && tile.is_multiple_of(period)
}

/// Copies a tile of a strided tensor into a register.
///
/// # Safety
/// As [`super::kernel::Kernel::run`].
#[inline(always)]
pub unsafe fn gather<L: Lanes>(
    from: *const f32,
    to: *mut f32,
    lengths: &[usize],
    strides: &[usize],
    start: usize,
    count: usize,
) {
    match strides[strides.len() - 1] {
        1 if meets_in_rows(lengths, strides, start, count) => {
            let mut blocks = Blocks::of(lengths, strides, start, count);
            loop {
                let (done, offset, rows) = blocks.block;
                repeat_row::<L>(from.add(offset), to.add(done), rows, blocks.width);
                if !blocks.advance() {
                    break;
                }
            }
        }
        0 => each_run(lengths, strides, start, count, |done, offset, length| {
            let x = L::splat(*from.add(offset));
            let to = to.add(done);
            let mut i = 0;
            while i + L::WIDTH <= length {
                x.store(to.add(i));
                i += L::WIDTH;
            }
            if i < length {
                x.store_first(to.add(i), length - i);
            }
        }),
        1 => each_run(lengths, strides, start, count, |done, offset, length| {
            let (from, to) = (from.add(offset), to.add(done));
            let mut i = 0;
            while i + L::WIDTH <= length {
                L::load(from.add(i)).store(to.add(i));
                i += L::WIDTH;
            }
            if i < length {
                L::load_first(from.add(i), length - i).store_first(to.add(i), length - i);
            }
        }),
        stride => each_run(lengths, strides, start, count, |done, offset, length| {
            for i in 0..length {
                *to.add(done + i) = *from.add(offset + i * stride);
            }
        }),
    }
}

/// What a reduced result holds before anything met in it.
///
/// # Safety
/// As [`super::kernel::Kernel::run`].
pub unsafe fn begin(to: *mut f32, lengths: &[usize], strides: &[usize], meet: Meet) {
    let first = match meet {
        Meet::Store => return,
        Meet::Sum => 0.0,
        Meet::Max => f32::NEG_INFINITY,
    };
    // Only along the axes that move: once per element of the result.
    let mut moving = [1usize; crate::graph::shape::MAX_RANK];
    for (axis, length) in lengths.iter().enumerate() {
        moving[axis] = if strides[axis] == 0 { 1 } else { *length };
    }
    let moving = &moving[..lengths.len()];
    let total: usize = moving.iter().product();
    if total > 0 {
        let stride = strides[strides.len() - 1];
        each_run(moving, strides, 0, total, |_, offset, length| {
            for i in 0..length {
                *to.add(offset + i * stride) = first;
            }
        });
    }
}

/// Brings a tile into a strided result.
///
/// # Safety
/// As [`super::kernel::Kernel::run`].
#[inline(always)]
pub unsafe fn scatter<L: Lanes>(
    from: *const f32,
    to: *mut f32,
    lengths: &[usize],
    strides: &[usize],
    start: usize,
    count: usize,
    meet: Meet,
) {
    let stride = strides[strides.len() - 1];
    match (meet, stride) {
        (Meet::Sum | Meet::Max, 1) if meets_in_rows(lengths, strides, start, count) => {
            let mut blocks = Blocks::of(lengths, strides, start, count);
            loop {
                let (done, offset, rows) = blocks.block;
                let (from, to) = (from.add(done), to.add(offset));
                if meet == Meet::Max {
                    largest_of_rows::<L>(from, to, rows, blocks.width);
                } else {
                    add_rows::<L>(from, to, rows, blocks.width);
                }
                if !blocks.advance() {
                    break;
                }
            }
        }
        (Meet::Sum, 0) => each_run(lengths, strides, start, count, |done, offset, length| {
            *to.add(offset) += sum::<L>(from.add(done), length);
        }),
        (Meet::Sum, 1) => each_run(lengths, strides, start, count, |done, offset, length| {
            combine::<L>(from.add(done), to.add(offset), length, |x, y| y.add(x));
        }),
        (Meet::Max, 0) => each_run(lengths, strides, start, count, |done, offset, length| {
            let to = to.add(offset);
            for i in 0..length {
                *to = larger(*to, *from.add(done + i));
            }
        }),
        (Meet::Max, 1) => each_run(lengths, strides, start, count, |done, offset, length| {
            combine::<L>(from.add(done), to.add(offset), length, |x, y| maximum(y, x));
        }),
        (Meet::Store, 1) => each_run(lengths, strides, start, count, |done, offset, length| {
            combine::<L>(from.add(done), to.add(offset), length, |x, _| x);
        }),
        (meet, stride) => each_run(lengths, strides, start, count, |done, offset, length| {
            for i in 0..length {
                let (to, x) = (to.add(offset + i * stride), *from.add(done + i));
                *to = match meet {
                    Meet::Store => x,
                    Meet::Sum => *to + x,
                    Meet::Max => larger(*to, x),
                };
            }
        }),
    }
}

#[inline(always)]
fn larger(x: f32, y: f32) -> f32 {
    if x > y || x.is_nan() { x } else { y }
}

#[inline(always)]
unsafe fn combine<L: Lanes>(from: *const f32, to: *mut f32, n: usize, f: impl Fn(L, L) -> L) {
    let mut i = 0;
    while i + L::WIDTH <= n {
        f(L::load(from.add(i)), L::load(to.add(i))).store(to.add(i));
        i += L::WIDTH;
    }
    if i < n {
        f(L::load_first(from.add(i), n - i), L::load_first(to.add(i), n - i)).store_first(to.add(i), n - i);
    }
}

/// Whether a tile is made of whole rows, several of which meet in one row of the tensor.
#[inline(always)]
fn meets_in_rows(lengths: &[usize], strides: &[usize], start: usize, count: usize) -> bool {
    let width = lengths[lengths.len() - 1];
    let whole = || start.is_multiple_of(width) && count.is_multiple_of(width);
    lengths.len() >= 2 && strides[lengths.len() - 2] == 0 && whole()
}

/// Writes a row of `width` floats several times, one after the other.
#[inline(always)]
unsafe fn repeat_row<L: Lanes>(from: *const f32, to: *mut f32, rows: usize, width: usize) {
    let mut i = 0;
    while i + L::WIDTH <= width {
        let (x, mut to) = (L::load(from.add(i)), to.add(i));
        for _ in 0..rows {
            x.store(to);
            to = to.add(width);
        }
        i += L::WIDTH;
    }
    if i < width {
        let (x, mut to) = (L::load_first(from.add(i), width - i), to.add(i));
        for _ in 0..rows {
            x.store_first(to, width - i);
            to = to.add(width);
        }
    }
}

/// Adds rows of `width` floats to one, register by register down the rows: the running sums stay in registers.
#[inline(always)]
unsafe fn add_rows<L: Lanes>(from: *const f32, to: *mut f32, rows: usize, width: usize) {
    let zero = L::splat(0.0);
    let mut i = 0;
    while i + L::WIDTH <= width {
        let (mut a, mut b, mut from) = (L::load(to.add(i)), zero, from.add(i));
        for _ in 0..rows / 2 {
            a = a.add(L::load(from));
            b = b.add(L::load(from.add(width)));
            from = from.add(2 * width);
        }
        if rows % 2 == 1 {
            a = a.add(L::load(from));
        }
        a.add(b).store(to.add(i));
        i += L::WIDTH;
    }
    if i < width {
        let left = width - i;
        let (mut a, mut b, mut from) = (L::load_first(to.add(i), left), zero, from.add(i));
        for _ in 0..rows / 2 {
            a = a.add(L::load_first(from, left));
            b = b.add(L::load_first(from.add(width), left));
            from = from.add(2 * width);
        }
        if rows % 2 == 1 {
            a = a.add(L::load_first(from, left));
        }
        a.add(b).store_first(to.add(i), left);
    }
}

/// The largest of rows of `width` floats and of what is there.
#[inline(always)]
unsafe fn largest_of_rows<L: Lanes>(from: *const f32, to: *mut f32, rows: usize, width: usize) {
    let mut i = 0;
    while i + L::WIDTH <= width {
        let (mut largest, mut from) = (L::load(to.add(i)), from.add(i));
        for _ in 0..rows {
            largest = maximum(largest, L::load(from));
            from = from.add(width);
        }
        largest.store(to.add(i));
        i += L::WIDTH;
    }
    if i < width {
        let left = width - i;
        let (mut largest, mut from) = (L::load_first(to.add(i), left), from.add(i));
        for _ in 0..rows {
            largest = maximum(largest, L::load_first(from, left));
            from = from.add(width);
        }
        largest.store_first(to.add(i), left);
    }
}

/// The sum of a run: four accumulators, then one fixed tree.
#[inline(always)]
unsafe fn sum<L: Lanes>(from: *const f32, n: usize) -> f32 {
    let zero = L::splat(0.0);
    let (mut a, mut b, mut c, mut d) = (zero, zero, zero, zero);
    let (mut i, w) = (0, L::WIDTH);
    while i + 4 * w <= n {
        a = a.add(L::load(from.add(i)));
        b = b.add(L::load(from.add(i + w)));
        c = c.add(L::load(from.add(i + 2 * w)));
        d = d.add(L::load(from.add(i + 3 * w)));
        i += 4 * w;
    }
    while i + w <= n {
        a = a.add(L::load(from.add(i)));
        i += w;
    }
    if i < n {
        b = b.add(L::load_first(from.add(i), n - i));
    }
    a.add(b).add(c.add(d)).total()
}
