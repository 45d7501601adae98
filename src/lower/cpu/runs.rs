//! Moving a tile between iteration order and a strided tensor, run by run along the innermost axis.

#![allow(unsafe_op_in_unsafe_fn)]

use super::lanes::Lanes;
use super::map::Meet;
use super::tile::maximum;
use crate::graph::shape::MAX_RANK;

/// A way through a strided tensor in iteration order, which a tile takes up where the one before it stopped: to find the
/// place again would take more divisions than a short tile has registers.
#[derive(Clone, Copy)]
pub struct Walk<'a> {
    /// The axes before a stretch.
    lengths: &'a [usize],
    strides: &'a [usize],
    at: [usize; MAX_RANK],
    /// Where the stretch begins in the tensor.
    offset: usize,
    /// Units of a whole stretch, and those of it that are behind: floats of the innermost axis, or rows of the axis
    /// before it that meet in one row of the tensor.
    units: usize,
    within: usize,
    /// Whether units are rows, and the floats of one.
    rows: bool,
    width: usize,
    /// From one float of the tensor to the next in a stretch.
    stride: usize,
    /// Whether all tiles touch the same floats: the tensor only moves along axes that fit into a tile a whole number of
    /// times.
    pub repeats: bool,
}

/// Units of a stretch that lie in one tile, after those that are behind.
struct Stretch {
    offset: usize,
    behind: usize,
    units: usize,
}

impl<'a> Walk<'a> {
    /// From the first element, in tiles of so many floats.
    #[inline(always)]
    pub fn begin(lengths: &'a [usize], strides: &'a [usize], tile: usize) -> Walk<'a> {
        let inner = lengths.len() - 1;
        let (width, stride) = (lengths[inner], strides[inner]);
        let still = strides.iter().take_while(|stride| **stride == 0).count();
        let repeats = still > 0 && tile.is_multiple_of(lengths[still..].iter().product());
        let meet = inner > 0 && strides[inner - 1] == 0 && lengths[inner - 1] > 1;
        let rows = meet && stride == 1 && tile.is_multiple_of(width);
        let (axes, units) = if rows { (inner - 1, lengths[inner - 1]) } else { (inner, width) };
        let (lengths, strides) = (&lengths[..axes], &strides[..axes]);
        Walk {
            lengths,
            strides,
            at: [0; MAX_RANK],
            offset: 0,
            units,
            within: 0,
            rows,
            width,
            stride,
            repeats,
        }
    }

    /// The next stretch, of at most so many units. Rows are gone through by loops of the callers' own: outside the function
    /// that switches the instruction set on, intrinsics of a closure as long as theirs would be calls.
    #[inline(always)]
    fn next(&mut self, most: usize) -> Stretch {
        let units = (self.units - self.within).min(most);
        let stretch = Stretch { offset: self.offset, behind: self.within, units };
        self.within += units;
        if self.within == self.units {
            self.within = 0;
            for axis in (0..self.lengths.len()).rev() {
                self.at[axis] += 1;
                self.offset += self.strides[axis];
                if self.at[axis] < self.lengths[axis] {
                    break;
                }
                self.offset -= self.lengths[axis] * self.strides[axis];
                self.at[axis] = 0;
            }
        }
        stretch
    }

    /// Calls `f(position in the tile, offset in the tensor, length)` for every stretch of a tile, which is one of floats.
    #[inline(always)]
    fn each_run(&mut self, count: usize, mut f: impl FnMut(usize, usize, usize)) {
        let mut done = 0;
        while done < count {
            let stretch = self.next(count - done);
            f(done, stretch.offset + stretch.behind * self.stride, stretch.units);
            done += stretch.units;
        }
    }
}

/// Copies a tile of a strided tensor into a register.
///
/// # Safety
/// As [`super::kernel::Kernel::run`].
#[inline(always)]
pub unsafe fn gather<L: Lanes>(from: *const f32, to: *mut f32, walk: &mut Walk<'_>, count: usize) {
    match walk.stride {
        1 if walk.rows => {
            let (width, mut done) = (walk.width, 0);
            while done < count {
                let rows = walk.next((count - done) / width);
                repeat_row::<L>(from.add(rows.offset), to.add(done), rows.units, width);
                done += rows.units * width;
            }
        }
        0 => walk.each_run(count, |done, offset, length| {
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
        1 => walk.each_run(count, |done, offset, length| {
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
        stride => walk.each_run(count, |done, offset, length| {
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
    let mut moving = [1usize; MAX_RANK];
    for (axis, length) in lengths.iter().enumerate() {
        moving[axis] = if strides[axis] == 0 { 1 } else { *length };
    }
    let moving = &moving[..lengths.len()];
    let total: usize = moving.iter().product();
    if total > 0 {
        let mut walk = Walk::begin(moving, strides, total);
        let stride = walk.stride;
        walk.each_run(total, |_, offset, length| {
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
    walk: &mut Walk<'_>,
    count: usize,
    meet: Meet,
) {
    match (meet, walk.stride) {
        (Meet::Sum | Meet::Max, 1) if walk.rows => {
            let (width, mut done) = (walk.width, 0);
            while done < count {
                let rows = walk.next((count - done) / width);
                let (from, to) = (from.add(done), to.add(rows.offset));
                if meet == Meet::Max {
                    largest_of_rows::<L>(from, to, rows.units, width);
                } else {
                    add_rows::<L>(from, to, rows.units, width);
                }
                done += rows.units * width;
            }
        }
        (Meet::Sum, 0) => walk.each_run(count, |done, offset, length| {
            *to.add(offset) += sum::<L>(from.add(done), length);
        }),
        (Meet::Sum, 1) => walk.each_run(count, |done, offset, length| {
            combine::<L>(from.add(done), to.add(offset), length, |x, y| y.add(x));
        }),
        (Meet::Max, 0) => walk.each_run(count, |done, offset, length| {
            let to = to.add(offset);
            for i in 0..length {
                *to = larger(*to, *from.add(done + i));
            }
        }),
        (Meet::Max, 1) => walk.each_run(count, |done, offset, length| {
            combine::<L>(from.add(done), to.add(offset), length, |x, y| maximum(y, x));
        }),
        (Meet::Store, 1) => walk.each_run(count, |done, offset, length| {
            combine::<L>(from.add(done), to.add(offset), length, |x, _| x);
        }),
        (meet, stride) => walk.each_run(count, |done, offset, length| {
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
