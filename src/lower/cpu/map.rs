//! Fused elementwise work, with reductions and strided results: the kernel that most of a program is.
//!
//! A map walks one iteration space in tiles small enough for the first-level cache. For each tile it runs a short
//! list of instructions, each of them a vectorised loop over the tile; intermediate values live in tile registers.
//! Leaves and results that lie in iteration order are read and written where they are; others are gathered into a
//! register before the instructions, or scattered (stored, added, or maximised) from one after them. A sum is a
//! result whose strides along the summed axes are 0.

use super::isa::{Isa, dispatch};
use super::kernel::{Access, Address, Bases};
use super::tile;
use std::fmt;

/// What an instruction computes from its arguments a, b, c.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    Copy,
    Neg,
    Recip,
    Sqrt,
    Exp,
    Log,
    Sin,
    Tanh,
    Relu,
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Less,
    Select,
    /// a · b + c
    MulAdd,
    /// a · b - c
    MulSub,
    /// c - a · b
    SubMul,
}

/// Where an instruction finds an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    /// A tile: a register, a leaf or a result.
    Tile(u8),
    /// One number for the whole kernel.
    Scalar(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instr {
    pub code: Code,
    pub to: u8,
    pub args: [Arg; 3],
}

/// A number for the whole kernel.
#[derive(Clone, Copy, Debug)]
pub enum Scalar {
    Number(f32),
    At(Address),
}

/// A tensor that lies in iteration order: its tile needs no copy. Also a result that does.
#[derive(Clone, Copy, Debug)]
pub struct Direct {
    pub at: Address,
    pub slot: u8,
}

/// A tensor that does not, one stride for every axis of the iteration space.
#[derive(Clone, Debug)]
pub struct Strided {
    pub at: Address,
    pub strides: Vec<usize>,
    /// Leaves: the register it is gathered into. Results: the slot it is scattered from.
    pub slot: u8,
    /// Results in which elements meet: whether they meet what it holds, too.
    pub begun: bool,
}

/// What happens where several elements of the iteration space meet in one element of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meet {
    /// They do not.
    Store,
    Sum,
    Max,
}

/// Slots there are: tile registers first, then leaves and results that lie in order.
pub const MAX_SLOTS: usize = 64;
pub const MAX_SCALARS: usize = 64;
/// Leaves that are gathered and results that are scattered.
pub const MAX_STRIDED: usize = 64;

#[derive(Clone, Debug, Default)]
pub struct Map {
    /// Axis lengths of the iteration space, outermost first, as few as the strides allow.
    pub lengths: Vec<usize>,
    pub tile: usize,
    pub registers: u8,
    pub scalars: Vec<Scalar>,
    pub leaves: Vec<Direct>,
    pub gathered: Vec<Strided>,
    pub code: Vec<Instr>,
    pub results: Vec<Direct>,
    pub scattered: Vec<(Strided, Meet)>,
}

impl Map {
    pub fn total(&self) -> usize {
        self.lengths.iter().product()
    }

    /// Floats from one tile register to the next: a whole number of cache lines.
    pub fn register_stride(&self) -> usize {
        self.tile.next_multiple_of(16)
    }

    pub fn register_floats(&self) -> usize {
        usize::from(self.registers) * self.register_stride()
    }

    /// Leaves and results, by the buffers they begin, of so many floats, that may share their memory: an element of the
    /// leaf is not read any more once that of the result is written. Each is named once at most.
    pub fn takeovers(&mut self) -> Vec<(u32, u32, usize)> {
        let mut named: Vec<u32> = Vec::new();
        self.addresses(&mut |address, _, _| named.push(address.base));
        let once = |at: Address| named.iter().filter(|base| **base == at.base).count() == 1;
        let mut pairs: Vec<(u32, u32, usize)> = Vec::new();
        for result in &self.results {
            let written = self.code.iter().position(|instr| instr.to == result.slot);
            let leaf = self.leaves.iter().find(|leaf| {
                let reads = |instr: &Instr| instr.args.contains(&Arg::Tile(leaf.slot));
                let read = self.code.iter().rposition(reads);
                leaf.at.offset == 0
                    && once(leaf.at)
                    && read <= written
                    && pairs.iter().all(|(taken, ..)| *taken != leaf.at.base)
                    && self.scattered.iter().all(|(scattered, _)| scattered.slot != leaf.slot)
            });
            if let (Some(leaf), 0, true) = (leaf, result.at.offset, once(result.at)) {
                pairs.push((leaf.at.base, result.at.base, self.total()));
            }
        }
        pairs
    }

    /// One of so many equal pieces along the first axis, and how far each address moves to the next piece, in the order
    /// of [`addresses`](Map::addresses). What all pieces meet in must have begun.
    pub fn cut(&self, pieces: usize) -> Option<(Map, Vec<usize>)> {
        let length = self.lengths.first().copied().filter(|length| length.is_multiple_of(pieces))?;
        let mut piece = self.clone();
        piece.lengths[0] = length / pieces;
        let (dense, along) =
            (self.total() / pieces, |strided: &Strided| strided.strides[0] * length / pieces);
        for (result, meet) in &mut piece.scattered {
            result.begun |= along(result) == 0;
            if result.begun && *meet == Meet::Store {
                return None;
            }
        }
        let numbers = self.scalars.iter().filter(|scalar| matches!(scalar, Scalar::At(_))).map(|_| 0);
        let steps = numbers
            .chain(self.leaves.iter().map(|_| dense))
            .chain(self.gathered.iter().map(along))
            .chain(self.results.iter().map(|_| dense))
            .chain(self.scattered.iter().map(|(result, _)| along(result)));
        let steps = steps.collect();
        Some((piece, steps))
    }

    /// # Safety
    /// As [`super::kernel::Kernel::run`].
    pub unsafe fn run(&self, isa: Isa, bases: &Bases<'_>) {
        dispatch!(isa, tile::execute, (map: &Map = self, bases: &Bases<'_> = bases));
    }

    pub fn addresses(&mut self, visit: &mut dyn FnMut(&mut Address, Access, usize)) {
        let total = self.total();
        let lengths = self.lengths.clone();
        let reach = |strides: &[usize]| {
            if total == 0 {
                0
            } else {
                lengths.iter().zip(strides).map(|(n, s)| (n - 1) * s).sum::<usize>() + 1
            }
        };
        for scalar in &mut self.scalars {
            if let Scalar::At(at) = scalar {
                visit(at, Access::Read, 1);
            }
        }
        self.leaves.iter_mut().for_each(|leaf| visit(&mut leaf.at, Access::Read, total));
        self.gathered.iter_mut().for_each(|leaf| visit(&mut leaf.at, Access::Read, reach(&leaf.strides)));
        self.results.iter_mut().for_each(|result| visit(&mut result.at, Access::Write, total));
        self.scattered.iter_mut().for_each(|(s, _)| visit(&mut s.at, Access::Write, reach(&s.strides)));
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "map {:?} by {}:", self.lengths, self.tile)?;
        for leaf in &self.leaves {
            write!(f, " t{}={}", leaf.slot, leaf.at)?;
        }
        for leaf in &self.gathered {
            write!(f, " t{}={}{:?}", leaf.slot, leaf.at, leaf.strides)?;
        }
        for (i, scalar) in self.scalars.iter().enumerate() {
            match scalar {
                Scalar::Number(x) => write!(f, " s{i}={x:?}")?,
                Scalar::At(at) => write!(f, " s{i}={at}")?,
            }
        }
        f.write_str(" |")?;
        for instr in &self.code {
            write!(f, " t{}={:?}(", instr.to, instr.code)?;
            for (i, arg) in instr.args.iter().take(instr.code.arguments()).enumerate() {
                let comma = if i > 0 { "," } else { "" };
                match arg {
                    Arg::Tile(slot) => write!(f, "{comma}t{slot}")?,
                    Arg::Scalar(scalar) => write!(f, "{comma}s{scalar}")?,
                }
            }
            f.write_str(")")?;
        }
        f.write_str(" |")?;
        for result in &self.results {
            write!(f, " {}=t{}", result.at, result.slot)?;
        }
        for (result, meet) in &self.scattered {
            let sign = match meet {
                Meet::Store => "=",
                Meet::Sum => "+=",
                Meet::Max => "max=",
            };
            let more = if result.begun { "more " } else { "" };
            write!(f, " {more}{}{:?}{sign}t{}", result.at, result.strides, result.slot)?;
        }
        Ok(())
    }
}

impl Code {
    pub fn arguments(self) -> usize {
        use Code::*;
        match self {
            Copy | Neg | Recip | Sqrt | Exp | Log | Sin | Tanh | Relu => 1,
            Add | Sub | Mul | Div | Max | Less => 2,
            Select | MulAdd | MulSub | SubMul => 3,
        }
    }
}
