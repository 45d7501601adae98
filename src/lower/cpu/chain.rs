//! Several kernels run piece by piece, an image or a few at a time, so that what they hand on stays in the cache.

use super::isa::Isa;
use super::kernel::{Access, Address, Bases, Kernel};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// Addresses of a chain's kernels; the start of the scratch memory comes before them.
pub const MAX_DOORS: usize = 127;

/// A place that a kernel of the chain reads or writes, and how far it moves from one piece to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Door {
    pub at: Address,
    pub step: usize,
    pub access: Access,
    /// One past the last float touched after the place, in one piece.
    pub reach: usize,
}

#[derive(Clone, Debug)]
pub struct Chain {
    pub pieces: usize,
    /// At most [`MAX_DOORS`].
    pub doors: Vec<Door>,
    /// Each does one piece. Base 0 is the start of the scratch memory, base i + 1 is door i.
    pub kernels: Vec<Kernel>,
    /// Which of them are the same few in so many bands, one band after the other (see `bands`).
    pub bands: Vec<(Range<usize>, usize)>,
}

impl Chain {
    /// # Safety
    /// As [`Kernel::run`].
    pub unsafe fn run(&self, isa: Isa, bases: &Bases<'_>) {
        let mut local = [std::ptr::null_mut::<f32>(); MAX_DOORS + 1];
        local[0] = bases.0[0];
        for piece in 0..self.pieces {
            // SAFETY: every address was checked against its memory for all pieces, and kernels that share memory run
            // one after the other.
            unsafe {
                for (base, door) in local[1..].iter_mut().zip(&self.doors) {
                    *base = bases.at(door.at).add(piece * door.step);
                }
                for kernel in &self.kernels {
                    kernel.run(isa, &Bases(&local));
                }
            }
        }
    }

    pub fn addresses(&mut self, visit: &mut dyn FnMut(&mut Address, Access, usize)) {
        for door in &mut self.doors {
            let reach = if door.reach == 0 { 0 } else { (self.pieces - 1) * door.step + door.reach };
            visit(&mut door.at, door.access, reach);
        }
    }

    /// Tensors by the buffers they begin, of as many floats, of which the second may lie where the first does: no kernel
    /// reads of the first what this one or one before it has written of the second.
    pub fn takeovers(&mut self) -> Vec<(u32, u32, usize)> {
        // Which kernels touch what of each tensor.
        let mut touched: BTreeMap<u32, Vec<(usize, Range<usize>)>> = BTreeMap::new();
        for (number, kernel) in self.kernels.iter_mut().enumerate() {
            kernel.addresses(&mut |address, _, reach| {
                if let Some(door) = (address.base as usize).checked_sub(1).map(|door| &self.doors[door]) {
                    let place = address.offset..address.offset + reach;
                    touched.entry(door.at.base).or_default().push((number, place));
                }
            });
        }
        // Tensors that are written or read as a whole, each piece once, with how large that is.
        let whole = |base: u32| {
            let mut doors = self.doors.iter().filter(|door| door.at.base == base);
            let step = doors.clone().next()?.step;
            let all = doors.all(|door| door.at.offset == 0 && door.reach == step && door.step == step);
            (all && step > 0).then_some(step)
        };
        let is_written =
            |base: u32| self.doors.iter().any(|door| door.at.base == base && door.access == Access::Write);
        let tensors = touched.into_iter().filter_map(|(base, all)| Some((base, whole(base)?, all)));
        let (written, read): (Vec<_>, Vec<_>) = tensors.partition(|(base, ..)| is_written(*base));
        let mut pairs: Vec<(u32, u32, usize)> = Vec::new();
        for (to, step, writes) in written {
            let leaf = read.iter().find(|(from, other, reads)| {
                let mut all = reads.iter().flat_map(|read| writes.iter().map(move |write| (read, write)));
                let apart = all.all(|((reader, from), (writer, to))| {
                    reader < writer || from.end <= to.start || to.end <= from.start
                });
                apart && *other == step && pairs.iter().all(|(taken, ..)| taken != from)
            });
            pairs.extend(leaf.map(|(from, ..)| (*from, to, self.pieces * step)));
        }
        pairs
    }

    pub fn register_floats(&self) -> usize {
        self.kernels.iter().map(Kernel::register_floats).max().unwrap_or(0)
    }

    pub fn flops(&self) -> u64 {
        self.pieces as u64 * self.kernels.iter().map(Kernel::flops).sum::<u64>()
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pieces with", self.pieces)?;
        for (i, door) in self.doors.iter().enumerate() {
            write!(f, " m{}={}", i + 1, door.at)?;
            if door.step > 0 {
                write!(f, "+{}i", door.step)?;
            }
        }
        f.write_str(" of")?;
        for (i, kernel) in self.kernels.iter().enumerate() {
            let run = self.bands.iter().find(|(kernels, _)| kernels.contains(&i));
            match run.map(|(kernels, bands)| (i - kernels.start, kernels.len() / bands, bands)) {
                Some((at, different, _)) if at >= different => {}
                Some((_, _, bands)) => write!(f, "\n    in {bands} bands, the first: {kernel}")?,
                None => write!(f, "\n    {kernel}")?,
            }
        }
        Ok(())
    }
}
