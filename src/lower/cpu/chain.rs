//! Several kernels run piece by piece, an image or a few at a time, so that what they hand on stays in the cache.

use super::isa::Isa;
use super::kernel::{Access, Address, Bases, Kernel};
use std::fmt;

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

    /// Tensors by the buffers they begin, of as many floats, of which the second may lie where the first does: a piece of
    /// the first is not read any more once the same piece of the second is written.
    pub fn takeovers(&mut self) -> Vec<(u32, u32, usize)> {
        // The first and the last kernel at each door.
        let mut spans: Vec<Option<(usize, usize)>> = vec![None; self.doors.len()];
        for (number, kernel) in self.kernels.iter_mut().enumerate() {
            kernel.addresses(&mut |address, _, _| {
                if let Some(span) = (address.base as usize).checked_sub(1).map(|door| &mut spans[door]) {
                    span.get_or_insert((number, number)).1 = number;
                }
            });
        }
        let alone =
            |door: &Door| self.doors.iter().filter(|other| other.at.base == door.at.base).count() == 1;
        let whole = |door: &Door| door.at.offset == 0 && door.reach == door.step && alone(door);
        let at_doors = self.doors.iter().zip(&spans).filter(|(door, _)| door.step > 0 && whole(door));
        let (written, read): (Vec<_>, Vec<_>) = at_doors.partition(|(door, _)| door.access == Access::Write);
        let mut pairs: Vec<(u32, u32, usize)> = Vec::new();
        for (to, begins) in written {
            let leaf = read.iter().find(|(from, ends)| {
                let apart = matches!((begins, ends), (Some((first, _)), Some((_, last))) if last < first);
                apart && from.step == to.step && pairs.iter().all(|(taken, ..)| *taken != from.at.base)
            });
            pairs.extend(leaf.map(|(from, _)| (from.at.base, to.at.base, self.pieces * to.step)));
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
            write!(f, "{} {kernel}", if i > 0 { ";" } else { "" })?;
        }
        Ok(())
    }
}
