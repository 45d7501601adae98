//! The last look at a kernel: what nothing needs goes, axes that every access crosses in one step merge, and the
//! schedule is chosen.

use super::kernel::{Access, Expr, Kernel, Schedule, Tile};
use super::print::MAX_THREADS;
use std::cmp::Reverse;
use std::ops::Range;

/// So many points or fewer are reduced by one thread.
const ALONE: usize = 48;
/// A product with a side narrower than this is a plain reduction.
const NARROW: usize = 4;
/// A product of so few points is one, too: tiles would be written to shared memory for nothing.
const SHALLOW: usize = 8;
/// Multiprocessors of a large device: an H200's.
pub const MULTIPROCESSORS: usize = 132;
/// A device has room for about so many groups at a time.
pub const GROUPS: usize = 2 * MULTIPROCESSORS;

pub fn kernel(mut kernel: Kernel) -> Kernel {
    dead(&mut kernel);
    if let Schedule::Tiled { rows, columns, .. } = kernel.schedule {
        let size = |axes: &[usize]| axes.iter().product::<usize>();
        let (m, n) = (size(&kernel.lengths[rows..columns]), size(&kernel.lengths[columns..kernel.kept]));
        if kernel.reduce.is_none() || m.min(n) < NARROW || kernel.reduced() <= SHALLOW {
            kernel.schedule = Schedule::Flat;
        } else {
            let tile = tile(size(&kernel.lengths[..rows]), m, n);
            kernel.schedule = Schedule::Tiled { rows, columns, tile };
        }
    }
    finish(&mut kernel);
    kernel
}

/// As [`kernel`], for one whose schedule is settled but for how a plain sum is shared.
pub fn tidy(kernel: &mut Kernel) {
    dead(kernel);
    finish(kernel);
}

fn finish(kernel: &mut Kernel) {
    axes(kernel);
    if kernel.schedule == Schedule::Flat && kernel.reduce.is_some() && kernel.reduced() > ALONE {
        kernel.schedule = lanes(kernel);
    }
}

/// For `batch` products of `m` rows and `n` columns each.
fn tile(batch: usize, m: usize, n: usize) -> Tile {
    // Few rows or columns are beside the tiles' last ones, and few tiles are needed; of equal ones the larger.
    let side = |length: usize, most: usize| match length {
        ..=16 => (16, 4),
        17..=32 => (32, 4),
        _ => {
            let cost = |tile: usize| (length.div_ceil(tile) * (tile + 8), Reverse(tile));
            ((40..=most).step_by(8).min_by_key(|tile| cost(*tile)).expect("there are tiles"), 8)
        }
    };
    let (rows, columns) = (side(m, 64), side(n, 104));
    let mut tile = Tile { size: [rows.0, columns.0], each: [rows.1, columns.1], slices: 4 };
    // Where there are many groups, or many threads in one, fewer need to meet at the end.
    let groups = batch * m.div_ceil(tile.size[0]) * n.div_ceil(tile.size[1]);
    while tile.threads() > MAX_THREADS || (groups > 4 * GROUPS && tile.slices > 2) {
        tile.slices /= 2;
    }
    tile
}

/// Neighbouring threads read neighbouring floats: of one result where the reduced axis runs fastest in memory, of
/// neighbouring results elsewhere.
fn lanes(kernel: &Kernel) -> Schedule {
    let along = kernel.inner.iter().any(|expr| match expr {
        Expr::Load(access, _) => access.strides.last() == Some(&1),
        _ => false,
    });
    if along || kernel.results() < 16 {
        Schedule::Lanes { width: 1, lanes: if kernel.reduced() > 1024 { MAX_THREADS } else { 64 } }
    } else {
        // Few results: more threads for each, in groups that still read whole sectors of memory.
        let width = if kernel.results() < 16 * GROUPS { 8 } else { 16 };
        Schedule::Lanes { width, lanes: MAX_THREADS / width }
    }
}

fn accesses(kernel: &mut Kernel) -> impl Iterator<Item = &mut Access> {
    let loads = kernel.inner.iter_mut().chain(&mut kernel.outer).filter_map(|expr| match expr {
        Expr::Load(access, _) => Some(access),
        _ => None,
    });
    loads.chain(kernel.stores.iter_mut().map(|store| &mut store.access))
}

/// Drops expressions that lead to no store, and tensors that nothing touches.
fn dead(kernel: &mut Kernel) {
    let mut wanted: Vec<usize> = kernel.stores.iter().map(|store| store.value).collect();
    let moved = sweep(&mut kernel.outer, &mut wanted);
    kernel.stores.iter_mut().for_each(|store| store.value = moved[store.value]);
    if !kernel.outer.contains(&Expr::Total) {
        kernel.reduce = None;
        kernel.inner.clear();
        kernel.lengths.truncate(kernel.kept);
    } else if let Some(reduce) = &mut kernel.reduce {
        let moved = sweep(&mut kernel.inner, &mut vec![reduce.value]);
        reduce.value = moved[reduce.value];
    }
    let mut used = vec![false; kernel.tensors.len()];
    accesses(kernel).for_each(|access| used[access.tensor] = true);
    let place = |at: usize| used[..at].iter().filter(|used| **used).count();
    accesses(kernel).for_each(|access| access.tensor = place(access.tensor));
    let mut keep = used.iter();
    kernel.tensors.retain(|_| keep.next() == Some(&true));
}

/// Keeps what `wanted` leads to; returns where each expression went.
fn sweep(exprs: &mut Vec<Expr>, wanted: &mut Vec<usize>) -> Vec<usize> {
    let mut alive = vec![false; exprs.len()];
    while let Some(at) = wanted.pop() {
        if !std::mem::replace(&mut alive[at], true) {
            match &exprs[at] {
                Expr::Op(_, args) => wanted.extend(args),
                Expr::Load(_, Some(row)) => wanted.push(row.index),
                _ => {}
            }
        }
    }
    let moved: Vec<usize> = (0..exprs.len()).map(|at| alive[..at].iter().filter(|x| **x).count()).collect();
    let mut at = 0;
    exprs.retain_mut(|expr| {
        match expr {
            Expr::Op(_, args) => args.iter_mut().for_each(|arg| *arg = moved[*arg]),
            Expr::Load(_, Some(row)) => row.index = moved[row.index],
            _ => {}
        }
        at += 1;
        alive[at - 1]
    });
    moved
}

/// Drops axes of length 1 and merges neighbours of one group that every access crosses in one step.
fn axes(kernel: &mut Kernel) {
    let (kept, all) = (kernel.kept, kernel.lengths.len());
    let groups: Vec<Range<usize>> = match kernel.schedule {
        Schedule::Tiled { rows, columns, .. } => vec![0..rows, rows..columns, columns..kept, kept..all],
        _ => vec![0..kept, kept..all],
    };
    let lengths = kernel.lengths.clone();
    let mut pinned = vec![false; all];
    for access in accesses(kernel) {
        let terms = access.slides.iter().flat_map(|slide| &slide.terms);
        terms.for_each(|(axis, _)| pinned[*axis] = true);
    }
    for expr in kernel.inner.iter().chain(&kernel.outer) {
        if let Expr::Coordinate(axis) = expr {
            pinned[*axis] = true;
        }
    }
    let strides: Vec<Vec<usize>> = accesses(kernel).map(|access| access.strides.clone()).collect();
    // The new axis of every old one; the last old axis of a new one gives it its strides.
    let mut to: Vec<Option<usize>> = vec![None; all];
    let (mut new, mut last): (Vec<usize>, Vec<usize>) = (vec![], vec![]);
    let mut ends = vec![];
    for group in groups {
        let first = new.len();
        for axis in group.filter(|axis| lengths[*axis] != 1) {
            let merges = new.len() > first && {
                let before = last[new.len() - 1];
                let step = |s: &Vec<usize>| s.len() <= axis || s[before] == s[axis] * lengths[axis];
                !pinned[axis] && !pinned[before] && strides.iter().all(step)
            };
            if merges {
                let end = new.len() - 1;
                new[end] *= lengths[axis];
                last[end] = axis;
            } else {
                new.push(lengths[axis]);
                last.push(axis);
            }
            to[axis] = Some(new.len() - 1);
        }
        ends.push(new.len());
    }
    for access in accesses(kernel) {
        let old = std::mem::take(&mut access.strides);
        access.strides = last.iter().filter_map(|axis| old.get(*axis).copied()).collect();
        for slide in &mut access.slides {
            slide.terms =
                slide.terms.iter().filter_map(|(axis, factor)| Some((to[*axis]?, *factor))).collect();
        }
    }
    for expr in kernel.inner.iter_mut().chain(&mut kernel.outer) {
        if let Expr::Coordinate(axis) = expr {
            *expr = to[*axis].map_or(Expr::Number(0), Expr::Coordinate);
        }
    }
    kernel.lengths = new;
    match &mut kernel.schedule {
        Schedule::Tiled { rows, columns, .. } => {
            (*rows, *columns, kernel.kept) = (ends[0], ends[1], ends[2]);
        }
        _ => kernel.kept = ends[0],
    }
}
