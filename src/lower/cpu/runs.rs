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
        (Meet::Sum, 1) if columns_sum(lengths, strides, start, count) => {
            let (rows, width) = (lengths[lengths.len() - 2], lengths[lengths.len() - 1]);
            let outer = &lengths[..lengths.len() - 2];
            let (mut row, mut done) = (start / width, 0);
            while done < count {
                let block = (rows - row % rows).min((count - done) / width);
                let mut rest = row / rows;
                let mut offset = 0;
                for axis in (0..outer.len()).rev() {
                    offset += rest % outer[axis] * strides[axis];
                    rest /= outer[axis];
                }
                add_rows::<L>(from.add(done), to.add(offset), block, width);
                row += block;
                done += block * width;
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

/// Whether a tile is made of whole rows that meet in their columns.
#[inline(always)]
fn columns_sum(lengths: &[usize], strides: &[usize], start: usize, count: usize) -> bool {
    let width = lengths[lengths.len() - 1];
    let whole = start.is_multiple_of(width) && count.is_multiple_of(width);
    lengths.len() >= 2 && strides[lengths.len() - 2] == 0 && whole
}

/// Adds rows of `width` floats to one, register by register down the rows: the running sums stay in registers.
#[inline(always)]
unsafe fn add_rows<L: Lanes>(from: *const f32, to: *mut f32, rows: usize, width: usize) {
    let mut i = 0;
    while i < width {
        let left = width - i;
        let whole = left >= L::WIDTH;
        let load = |at: *const f32| if whole { L::load(at) } else { L::load_first(at, left) };
        let (mut a, mut b) = (load(to.add(i)), L::splat(0.0));
        let from = from.add(i);
        let mut row = 0;
        while row + 2 <= rows {
            a = a.add(load(from.add(row * width)));
            b = b.add(load(from.add((row + 1) * width)));
            row += 2;
        }
        if row < rows {
            a = a.add(load(from.add(row * width)));
        }
        let sum = a.add(b);
        if whole {
            sum.store(to.add(i));
        } else {
            sum.store_first(to.add(i), left);
        }
        i += L::WIDTH;
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
