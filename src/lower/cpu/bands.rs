//! Chains whose pieces are too large for the caches near a core: a few rows of an image at a time.
//!
//! A convolution reads a few rows more of its image than it writes, so kernels between convolutions can be cut finer than
//! into images: those that read an image which is there as a whole and hand each other what they make of it. What only
//! they use is one band large.

use super::chain::Chain;
use super::conv::Wanted;
use super::kernel::{Access, Kernel};
use super::pieces::{greatest_divisor, pieces_of};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// The largest tensor of a band is so many times smaller than what is large: 128 KiB, several of which the second-level
/// cache of a core holds.
const SHARE: usize = 8;

/// What a kernel does to a buffer: where in it, and how far from there.
struct Touch {
    buffer: usize,
    door: usize,
    offset: usize,
    access: Access,
    reach: usize,
}

/// Kernels of a chain, next to each other, that run band by band.
struct Run {
    kernels: Range<usize>,
    bands: usize,
    /// What only these kernels use.
    own: BTreeSet<usize>,
}

/// Runs the kernels of a chain in bands where that helps, from so many floats on that are large. Buffers of single pieces
/// have these sizes.
pub fn band(chain: &mut Chain, sizes: &mut HashMap<usize, usize>, large: usize) {
    sink(chain);
    let mut at = 0;
    let mut kernels = vec![];
    while at < chain.kernels.len() {
        match longest(chain, at, sizes, large / SHARE) {
            Some(run) => {
                let first = kernels.len();
                kernels.extend(in_bands(chain, &run));
                chain.bands.push((first..kernels.len(), run.bands));
                for buffer in &run.own {
                    shrink(chain, *buffer, run.bands, sizes);
                }
                at = run.kernels.end;
            }
            None => {
                kernels.push(chain.kernels[at].clone());
                at += 1;
            }
        }
    }
    chain.kernels = kernels;
}

fn touches(chain: &Chain, kernel: &Kernel) -> Vec<Touch> {
    let mut all = vec![];
    kernel.clone().addresses(&mut |address, access, reach| {
        let door = address.base as usize - 1;
        let at = chain.doors[door].at;
        all.push(Touch { buffer: at.base as usize, door, offset: at.offset + address.offset, access, reach });
    });
    all
}

/// Moves convolutions to where their results are wanted.
fn sink(chain: &mut Chain) {
    for at in (0..chain.kernels.len()).rev() {
        let is_outputs = matches!(&chain.kernels[at], Kernel::Conv(conv) if conv.wanted == Wanted::Outputs);
        if !is_outputs {
            continue;
        }
        let of = touches(chain, &chain.kernels[at]);
        let conflicts = |kernel: &Kernel| {
            let both = |a: &Touch, b: &Touch| {
                a.buffer == b.buffer && (a.access == Access::Write || b.access == Access::Write)
            };
            touches(chain, kernel).iter().any(|a| of.iter().any(|b| both(a, b)))
        };
        if let Some(next) = chain.kernels[at + 1..].iter().position(conflicts) {
            chain.kernels[at..at + 1 + next].rotate_left(1);
        }
    }
}

/// The most kernels from here on that can run in bands, if something large passes between them.
fn longest(chain: &Chain, first: usize, sizes: &HashMap<usize, usize>, most: usize) -> Option<Run> {
    let (mut common, mut largest, mut best) = (0, 0, None);
    for end in first + 1..=chain.kernels.len() {
        let kernel = &chain.kernels[end - 1];
        let rows = rows_of(kernel);
        common = greatest_divisor(common, rows);
        largest = largest.max(floats_of(kernel));
        if rows == 0 || common < 2 {
            break;
        }
        let fits = |bands: &usize| common.is_multiple_of(*bands) && largest / bands <= most;
        let bands = (2..=common).find(fits).unwrap_or(common);
        let Some(own) = own(chain, first..end, bands, sizes) else { break };
        if own.iter().any(|buffer| sizes[buffer] > most) {
            best = Some(Run { kernels: first..end, bands, own });
        }
    }
    best
}

/// How often a kernel can be cut along the first axis of its piece.
fn rows_of(kernel: &Kernel) -> usize {
    match kernel {
        Kernel::Conv(conv) => conv.rows().1,
        other => pieces_of(other),
    }
}

fn floats_of(kernel: &Kernel) -> usize {
    match kernel {
        Kernel::Map(map) => map.total(),
        Kernel::Conv(conv) => {
            let (across, rows) = conv.rows();
            across * rows * conv.n
        }
        _ => 0,
    }
}

/// A kernel on one band, and how far its addresses move to get there.
fn on_band(kernel: &Kernel, bands: usize, band: usize) -> Option<(Kernel, Vec<usize>)> {
    match kernel {
        Kernel::Map(map) => {
            let (piece, steps) = map.cut(bands)?;
            // What all bands meet in must have begun before the first.
            let mut results = piece.scattered.iter().zip(&map.scattered);
            let same = results.all(|((band, _), (whole, _))| band.begun == whole.begun);
            let moves = steps.iter().map(|step| step * band).collect();
            same.then_some((Kernel::Map(piece), moves))
        }
        Kernel::Conv(conv) => {
            conv.band(bands, band).map(|(conv, moves)| (Kernel::Conv(Box::new(conv)), moves))
        }
        _ => None,
    }
}

/// What only the kernels of a run use, if a band of each needs no more than the same band of those before it.
fn own(
    chain: &Chain,
    run: Range<usize>,
    bands: usize,
    sizes: &HashMap<usize, usize>,
) -> Option<BTreeSet<usize>> {
    // What the run writes: where, and how far it is to the next band.
    let mut written: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    let mut own = BTreeSet::new();
    for at in run.clone() {
        let kernel = &chain.kernels[at];
        let (piece, steps) = on_band(kernel, bands, 1)?;
        let pictures = match kernel {
            Kernel::Conv(conv) => Some(conv.pictures),
            _ => None,
        };
        let (whole, parts) = (touches(chain, kernel), touches(chain, &piece));
        for ((touch, part), step) in whole.iter().zip(&parts).zip(&steps) {
            let here = (touch.offset, *step);
            match (written.get(&touch.buffer), touch.access) {
                (None, Access::Write) => {
                    written.insert(touch.buffer, here);
                    if *step >= part.reach && sizes.contains_key(&touch.buffer) {
                        own.insert(touch.buffer);
                    }
                }
                (Some(_), Access::Write) => return None,
                (Some(there), Access::Read) => {
                    let rows = pictures.is_some_and(|at| at.base as usize == touch.door + 1);
                    if *there != here || part.reach > *step || rows {
                        return None;
                    }
                }
                (None, Access::Read) => {}
            }
        }
    }
    let others = chain.kernels.iter().enumerate().filter(|(at, _)| !run.contains(at));
    for touch in others.flat_map(|(_, kernel)| touches(chain, kernel)) {
        own.remove(&touch.buffer);
    }
    Some(own)
}

fn in_bands(chain: &Chain, run: &Run) -> Vec<Kernel> {
    let mut kernels = vec![];
    for band in 0..run.bands {
        for kernel in &chain.kernels[run.kernels.clone()] {
            let Some((mut piece, moves)) = on_band(kernel, run.bands, band) else { continue };
            let mut moves = moves.into_iter();
            piece.addresses(&mut |address, _, _| {
                let by = moves.next().unwrap_or(0);
                let buffer = chain.doors[address.base as usize - 1].at.base as usize;
                address.offset += if run.own.contains(&buffer) { 0 } else { by };
            });
            kernels.push(piece);
        }
    }
    kernels
}

/// Leaves one band of a buffer.
fn shrink(chain: &mut Chain, buffer: usize, bands: usize, sizes: &mut HashMap<usize, usize>) {
    let Some(size) = sizes.get_mut(&buffer) else { return };
    *size /= bands;
    for door in chain.doors.iter_mut().filter(|door| door.at.base as usize == buffer) {
        door.reach = door.reach.min(*size);
    }
}
