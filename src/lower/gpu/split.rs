//! Sums that too few groups of threads would share, in two kernels: parts of the sum in the first, their sum in the
//! second.
//!
//! The images of a batch's statistics, or of a convolution's gradient for its weights, are many while the results are
//! few: a device of a hundred multiprocessors would do such a kernel with ten of them. A factor of one of the reduced
//! axes becomes an axis of the results, a buffer holds these, and a second kernel adds them up and does what was to be
//! done with the total. The order of every sum is fixed, as everywhere.

use super::kernel::{Access, Expr, Kernel, Reduce, Schedule, Store, TILE_DEPTH, Tensor};
use super::simplify::{self, GROUPS, MULTIPROCESSORS};

/// The fewest points that a part of a sum has, for each thread that shares it.
const FEWEST: usize = 16;
/// So many times more groups than products want keep the memory busy, whose answers take long.
const ON_THEIR_WAY: usize = 4;
/// The fewest points of a part of a product.
const FEWEST_OF_PRODUCT: usize = 96;
/// What a group of a product takes beside its sum, and the second kernel, in parts of [`TILE_DEPTH`] points: measured on
/// an H200.
const BESIDE: usize = 4;
const SECOND: usize = 5;

/// The kernel, or the two that do its work over a buffer of their own; `buffer` is a number that no other has.
pub fn kernel(kernel: Kernel, buffer: usize) -> Vec<Kernel> {
    match factor(&kernel) {
        Some((axis, parts)) => split(kernel, buffer, axis, parts),
        None => vec![kernel],
    }
}

/// Which reduced axis to part, and into how many.
fn factor(kernel: &Kernel) -> Option<(usize, usize)> {
    kernel.reduce?;
    let ((groups, _), points) = (kernel.groups(), kernel.reduced());
    let axes = (kernel.kept..kernel.lengths.len()).filter(|axis| !coordinate(kernel, *axis));
    let choices = axes.flat_map(|axis| {
        let length = kernel.lengths[axis];
        (2..=length).filter(move |parts| length.is_multiple_of(*parts)).map(move |parts| (axis, parts))
    });
    match kernel.schedule {
        Schedule::Flat => None,
        // As many parts as there is room for, or somewhat fewer.
        Schedule::Lanes { lanes, .. } => {
            let wanted = (ON_THEIR_WAY * GROUPS).div_ceil(groups).min(points / (lanes * FEWEST));
            let fits = choices.filter(|(_, parts)| (wanted.div_ceil(2)..=wanted).contains(parts));
            let best = fits.max_by_key(|(axis, parts)| (*parts, std::cmp::Reverse(*axis)));
            best.filter(|_| wanted >= 2)
        }
        // Groups run in rounds, of which the last may be nearly empty.
        Schedule::Tiled { tile, .. } => {
            let time = |parts: usize| {
                let rounds = (groups * parts).div_ceil(tile.together() * MULTIPROCESSORS);
                let second = if parts > 1 { SECOND } else { 0 };
                rounds * ((points / parts).div_ceil(TILE_DEPTH) + BESIDE) + second
            };
            let fits = choices.filter(|(_, parts)| points / parts >= FEWEST_OF_PRODUCT);
            let best = fits.min_by_key(|(axis, parts)| (time(*parts), *axis));
            // A gain that is not worth a buffer is none.
            best.filter(|(_, parts)| 10 * time(*parts) < 9 * time(1))
        }
    }
}

/// Whether the inner expression reads the coordinate itself.
fn coordinate(kernel: &Kernel, axis: usize) -> bool {
    kernel.inner.contains(&Expr::Coordinate(axis))
}

fn split(kernel: Kernel, buffer: usize, axis: usize, parts: usize) -> Vec<Kernel> {
    let (kept, rest) = (kernel.kept, kernel.lengths[axis] / parts);
    let reduce = kernel.reduce.expect("only sums are parted");
    // The part is the first axis, and what is left of the parted one stays in its place.
    let mut first = kernel.clone();
    first.lengths[axis] = rest;
    first.lengths.insert(0, parts);
    first.kept = kept + 1;
    let moved = |access: &mut Access| {
        let stride = access.strides.get(axis).map_or(0, |stride| stride * rest);
        access.strides.insert(0, stride);
        for slide in &mut access.slides {
            let part: Vec<(usize, i64)> = slide
                .terms
                .iter()
                .filter(|(at, _)| *at == axis)
                .map(|(_, factor)| (0, factor * rest as i64))
                .collect();
            slide.terms.iter_mut().for_each(|(at, _)| *at += 1);
            slide.terms.extend(part);
        }
    };
    for expr in &mut first.inner {
        match expr {
            Expr::Load(access, _) => moved(access),
            Expr::Coordinate(at) => *at += 1,
            _ => {}
        }
    }
    if let Schedule::Tiled { rows, columns, .. } = &mut first.schedule {
        (*rows, *columns) = (*rows + 1, *columns + 1);
    }
    let row_major = |lengths: &[usize]| {
        let mut strides = vec![1; lengths.len()];
        (1..lengths.len()).rev().for_each(|at| strides[at - 1] = strides[at] * lengths[at]);
        strides
    };
    let strides = row_major(&first.lengths[..first.kept]);
    first.tensors.push(Tensor { buffer, written: true });
    let place = |tensor: usize, strides: Vec<usize>| Access { tensor, offset: 0, strides, slides: vec![] };
    first.outer = vec![Expr::Total];
    first.stores = vec![Store { access: place(first.tensors.len() - 1, strides.clone()), value: 0 }];
    // Kept axes as before, then the parts.
    let mut second = kernel;
    second.lengths.truncate(kept);
    second.lengths.push(parts);
    second.tensors.push(Tensor { buffer, written: false });
    let of_parts = [&strides[1..], &strides[..1]].concat();
    second.inner = vec![Expr::Load(place(second.tensors.len() - 1, of_parts), None)];
    second.reduce = Some(Reduce { meet: reduce.meet, value: 0 });
    second.schedule = Schedule::Flat;
    // Tensors that only one of the two touches go from the other, and an axis that was parted into points.
    [&mut first, &mut second].into_iter().for_each(simplify::tidy);
    vec![first, second]
}
