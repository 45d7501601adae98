//! The kernels of a program, and how they find their memory.

use super::chain::Chain;
use super::conv::Conv;
use super::fill::Fill;
use super::isa::Isa;
use super::map::Map;
use super::product::Product;
use super::rows::Rows;
use super::windows::Windows;
use std::fmt;

/// A place in one of the memories of a run. While kernels are built, `base` is the number of a buffer; once memory
/// is planned it is an index into [`Bases`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Address {
    pub base: u32,
    pub offset: usize,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}+{}", self.base, self.offset)
    }
}

/// Where each memory of one run begins: scratch, kept, the input ports, the output ports.
pub struct Bases<'a>(pub &'a [*mut f32]);

impl Bases<'_> {
    /// # Safety
    /// The address belongs to the program of this run.
    #[inline(always)]
    pub unsafe fn at(&self, address: Address) -> *mut f32 {
        // SAFETY: the lowering checked every address against the size of its memory.
        unsafe { self.0.get_unchecked(address.base as usize).add(address.offset) }
    }
}

/// What a kernel does at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    Write,
}

/// One step of a program.
#[derive(Clone, Debug)]
pub enum Kernel {
    Map(Map),
    Product(Product),
    Conv(Box<Conv>),
    Rows(Rows),
    Windows(Windows),
    Fill(Fill),
    Chain(Box<Chain>),
}

impl Kernel {
    /// # Safety
    /// `isa` is available, every address is valid in `bases` for what the kernel touches, and no two threads run
    /// kernels on the same writable memory.
    pub unsafe fn run(&self, isa: Isa, bases: &Bases<'_>) {
        // SAFETY: passed on.
        unsafe {
            match self {
                Kernel::Map(map) => map.run(isa, bases),
                Kernel::Product(product) => product.run(isa, bases),
                Kernel::Conv(conv) => conv.run(isa, bases),
                Kernel::Rows(rows) => rows.run(bases),
                Kernel::Windows(windows) => windows.run(bases),
                Kernel::Fill(fill) => fill.run(bases),
                Kernel::Chain(chain) => chain.run(isa, bases),
            }
        }
    }

    /// Visits every address, with what is done there and one past the last float touched after it.
    pub fn addresses(&mut self, visit: &mut dyn FnMut(&mut Address, Access, usize)) {
        match self {
            Kernel::Map(map) => map.addresses(visit),
            Kernel::Product(product) => product.addresses(visit),
            Kernel::Conv(conv) => conv.addresses(visit),
            Kernel::Rows(rows) => rows.addresses(visit),
            Kernel::Windows(windows) => windows.addresses(visit),
            Kernel::Fill(fill) => visit(&mut fill.to, Access::Write, fill.count),
            Kernel::Chain(chain) => chain.addresses(visit),
        }
    }

    /// Floats for tile registers or packed operands that the kernel needs at the start of the scratch memory.
    pub fn register_floats(&self) -> usize {
        match self {
            Kernel::Map(map) => map.register_floats(),
            Kernel::Product(product) => product.register_floats(),
            Kernel::Conv(conv) => conv.register_floats(),
            Kernel::Chain(chain) => chain.register_floats(),
            Kernel::Rows(_) | Kernel::Windows(_) | Kernel::Fill(_) => 0,
        }
    }

    /// Operations of matrix products, 2 per multiply-add.
    pub fn flops(&self) -> u64 {
        match self {
            Kernel::Product(product) => product.flops(),
            Kernel::Conv(conv) => conv.flops(),
            Kernel::Chain(chain) => chain.flops(),
            _ => 0,
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kernel::Map(map) => write!(f, "{map}"),
            Kernel::Product(product) => write!(f, "{product}"),
            Kernel::Conv(conv) => write!(f, "{conv}"),
            Kernel::Rows(rows) => write!(f, "{rows}"),
            Kernel::Windows(windows) => write!(f, "{windows}"),
            Kernel::Fill(fill) => write!(f, "{} = {} x {}", fill.to, fill.count, fill.value),
            Kernel::Chain(chain) => write!(f, "{chain}"),
        }
    }
}
