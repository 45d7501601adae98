//! The neutral form of a GPU kernel: what it computes, without a word of any shading language.
//!
//! A kernel walks an iteration space. Its first `kept` axes are outputs, one result each; over the others the value of
//! `inner` is summed, or its largest taken. `outer` turns that total into the results, which are stored. Tensors are
//! read and written through accesses: a stride for every axis and, for windows of images, positions that slide and may
//! lie outside, where zero is read. Maps, reductions, batched matrix products, convolutions with both gradients,
//! paddings and row look-ups are all of this form; a [`Schedule`] says how threads share the work.

use crate::graph::Op;
use std::fmt;

/// A tensor that a kernel touches: the number of a buffer of the program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tensor {
    pub buffer: usize,
    pub written: bool,
}

/// A position along one axis of a tensor that depends on several axes of the kernel, such as that of a window's tap:
/// (Σ coordinate · factor + add) / divide. Where the division leaves a rest, or the result is not in 0..length, the
/// element does not exist.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Slide {
    /// Axes of the kernel with their factors.
    pub terms: Vec<(usize, i64)>,
    pub add: i64,
    pub divide: usize,
    pub length: usize,
    /// Floats from one position to the next.
    pub stride: usize,
}

/// Where in a tensor each point of the iteration space lies: offset + Σ coordinate · stride + Σ position · stride.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Access {
    /// Index into [`Kernel::tensors`].
    pub tensor: usize,
    pub offset: usize,
    /// One for every axis: of the kept ones in `outer` and stores, of all in `inner`.
    pub strides: Vec<usize>,
    pub slides: Vec<Slide>,
}

/// A row number that is data: the value of an expression, truncated. Outside 0..rows nothing is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Row {
    pub index: usize,
    pub rows: usize,
    pub stride: usize,
}

/// One scalar; arguments are indices of earlier expressions of the same list.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Expr {
    /// An element of a tensor; 0 where there is none.
    Load(Access, Option<Row>),
    /// The bits of an f64.
    Number(u64),
    /// The coordinate along an axis.
    Coordinate(usize),
    /// What the reduced axes came to; only in `outer`.
    Total,
    /// An elementwise row of the op table.
    Op(Op, Vec<usize>),
}

/// How the points of the reduced axes meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Meet {
    Sum,
    Max,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reduce {
    pub meet: Meet,
    /// Index into [`Kernel::inner`].
    pub value: usize,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Store {
    pub access: Access,
    /// Index into [`Kernel::outer`].
    pub value: usize,
}

/// How threads share the work. Whichever it is, every sum has one fixed order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Schedule {
    /// One thread for every result.
    Flat,
    /// `lanes` threads for every result, each with every `lanes`th point, joined by a tree. A group has `width`
    /// neighbouring results.
    Lanes { width: usize, lanes: usize },
    /// A group computes a tile of the results of a matrix product from parts of both sides in shared memory. Kept axes
    /// before `rows` are batches, then rows of the result up to `columns`, then its columns. The inner value is a product
    /// of one side without column axes and one without row axes.
    Tiled { rows: usize, columns: usize, tile: Tile },
}

/// How a group shares a tile of a matrix product.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tile {
    /// Rows and columns of the tile.
    pub size: [usize; 2],
    /// Rows and columns of a thread's own results, multiples of 4.
    pub each: [usize; 2],
    /// So many threads share every result: each adds up its own slice of every part's inner length.
    pub slices: usize,
}

impl Tile {
    /// Threads along the rows and along the columns of the tile.
    pub fn sides(&self) -> [usize; 2] {
        [self.size[0] / self.each[0], self.size[1] / self.each[1]]
    }

    pub fn threads(&self) -> usize {
        self.sides()[0] * self.sides()[1] * self.slices
    }

    /// Groups that a multiprocessor should have room for: as many as have registers, which a thread with few results of
    /// its own needs fewer of.
    pub fn together(&self) -> usize {
        let threads = if self.each[0] * self.each[1] > 32 { 512 } else { 768 };
        (threads / self.threads()).max(1)
    }
}

/// Inner length of the parts of a tiled product.
pub const TILE_DEPTH: usize = 16;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Kernel {
    /// Where in the model it was written.
    pub label: String,
    pub tensors: Vec<Tensor>,
    /// Axis lengths; the last of the kept and of the reduced ones run fastest.
    pub lengths: Vec<usize>,
    pub kept: usize,
    pub inner: Vec<Expr>,
    pub reduce: Option<Reduce>,
    pub outer: Vec<Expr>,
    pub stores: Vec<Store>,
    pub schedule: Schedule,
}

impl Kernel {
    /// Number of results.
    pub fn results(&self) -> usize {
        self.lengths[..self.kept].iter().product()
    }

    /// Points that meet in one result.
    pub fn reduced(&self) -> usize {
        self.lengths[self.kept..].iter().product()
    }

    /// Groups of threads and threads in a group.
    pub fn groups(&self) -> (usize, usize) {
        match self.schedule {
            Schedule::Flat => (self.results().div_ceil(self.flat_threads()), self.flat_threads()),
            Schedule::Lanes { width, lanes } => (self.results().div_ceil(width), width * lanes),
            Schedule::Tiled { rows, columns, tile } => {
                let size = |axes: &[usize]| axes.iter().product::<usize>();
                let tiles = size(&self.lengths[rows..columns]).div_ceil(tile.size[0])
                    * size(&self.lengths[columns..self.kept]).div_ceil(tile.size[1]);
                (size(&self.lengths[..rows]) * tiles, tile.threads())
            }
        }
    }

    /// Threads of a group of a flat kernel: few where there are few results, so that they spread over the device.
    pub fn flat_threads(&self) -> usize {
        if self.results() < 1 << 16 { 64 } else { 256 }
    }

    /// Operations of a matrix product, 2 per multiply-add; 0 for everything else.
    pub fn flops(&self) -> u64 {
        match self.schedule {
            Schedule::Tiled { .. } => 2 * (self.results() * self.reduced()) as u64,
            _ => 0,
        }
    }

    /// Every access, with one past the last float it reaches.
    pub fn reaches(&self) -> Vec<(usize, usize)> {
        let loads = |exprs: &[Expr]| -> Vec<(usize, usize)> {
            let reach = |expr: &Expr| match expr {
                Expr::Load(access, row) => {
                    let rows = row.map_or(0, |row| (row.rows - 1) * row.stride);
                    Some((access.tensor, self.reach(access) + rows))
                }
                _ => None,
            };
            exprs.iter().filter_map(reach).collect()
        };
        let stores = self.stores.iter().map(|store| (store.access.tensor, self.reach(&store.access)));
        loads(&self.inner).into_iter().chain(loads(&self.outer)).chain(stores).collect()
    }

    fn reach(&self, access: &Access) -> usize {
        let axes = self.lengths.iter().zip(&access.strides).map(|(n, s)| n.saturating_sub(1) * s);
        let slides = access.slides.iter().map(|slide| slide.length.saturating_sub(1) * slide.stride);
        access.offset + axes.sum::<usize>() + slides.sum::<usize>() + 1
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}[{}", self.tensor, self.offset)?;
        for (axis, stride) in self.strides.iter().enumerate().filter(|(_, stride)| **stride > 0) {
            write!(f, "+{stride}·i{axis}")?;
        }
        for slide in &self.slides {
            write!(f, "+{}·(", slide.stride)?;
            slide.terms.iter().try_for_each(|(axis, factor)| write!(f, "{factor:+}·i{axis}"))?;
            write!(f, "{:+})/{}<{}", slide.add, slide.divide, slide.length)?;
        }
        f.write_str("]")
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} over {:?} {:?}:",
            self.lengths.split_at(self.kept).0,
            self.lengths.split_at(self.kept).1,
            self.schedule
        )?;
        for (i, tensor) in self.tensors.iter().enumerate() {
            write!(f, " t{i}=%{}{}", tensor.buffer, if tensor.written { "!" } else { "" })?;
        }
        let list = |f: &mut fmt::Formatter<'_>, name: &str, exprs: &[Expr]| {
            for (i, expr) in exprs.iter().enumerate() {
                write!(f, " {name}{i}=")?;
                match expr {
                    Expr::Load(access, None) => write!(f, "{access}")?,
                    Expr::Load(access, Some(row)) => write!(f, "{access} row {name}{}", row.index)?,
                    Expr::Number(bits) => write!(f, "{:?}", f64::from_bits(*bits))?,
                    Expr::Coordinate(axis) => write!(f, "i{axis}")?,
                    Expr::Total => f.write_str("total")?,
                    Expr::Op(op, args) => {
                        let args: Vec<String> = args.iter().map(|i| format!("{name}{i}")).collect();
                        write!(f, "{op}({})", args.join(","))?;
                    }
                }
            }
            Ok(())
        };
        f.write_str(" |")?;
        list(f, "a", &self.inner)?;
        if let Some(Reduce { meet, value }) = self.reduce {
            write!(f, " | {meet:?} a{value} |")?;
        }
        list(f, "b", &self.outer)?;
        f.write_str(" |")?;
        self.stores.iter().try_for_each(|store| write!(f, " {}=b{}", store.access, store.value))
    }
}
