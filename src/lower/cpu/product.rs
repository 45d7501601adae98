//! Batched matrix products of strided operands.

use super::gemm;
use super::isa::{Isa, dispatch};
use super::kernel::{Access, Address, Bases};
use super::lanes::Lanes;
use std::fmt;
use std::marker::PhantomData;

/// One side: a matrix at `at`, its next row and column so many floats on.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    pub at: Address,
    pub row: usize,
    pub column: usize,
}

/// y[batch] (m × n, row-major, dense) = a[batch] (m × k) · b[batch] (k × n).
#[derive(Clone, Debug)]
pub struct Product {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Side,
    pub b: Side,
    pub to: Address,
    /// Whether the product is added to what `to` holds.
    pub add: bool,
    /// Lengths of the batch axes, and how far each steps in a and b.
    pub batches: Vec<Batch>,
}

#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub length: usize,
    pub a: usize,
    pub b: usize,
}

impl Product {
    pub fn count(&self) -> usize {
        self.batches.iter().map(|batch| batch.length).product()
    }

    pub fn flops(&self) -> u64 {
        2 * (self.m * self.n * self.k * self.count()) as u64
    }

    /// Floats that packed operands take at the start of the scratch memory.
    pub fn register_floats(&self) -> usize {
        gemm::pack_floats(self.m, self.n, self.k)
    }

    /// # Safety
    /// As [`super::kernel::Kernel::run`].
    pub unsafe fn run(&self, isa: Isa, bases: &Bases<'_>) {
        dispatch!(isa, all_batches, (product: &Product = self, bases: &Bases<'_> = bases));
    }

    pub fn addresses(&mut self, visit: &mut dyn FnMut(&mut Address, Access, usize)) {
        let empty = self.m * self.n * self.k * self.count() == 0;
        let reach = |rows: usize, columns: usize, side: Side, step: &dyn Fn(&Batch) -> usize| {
            if empty {
                return 0;
            }
            let batches: usize = self.batches.iter().map(|batch| (batch.length - 1) * step(batch)).sum();
            batches + (rows - 1) * side.row + (columns - 1) * side.column + 1
        };
        let a = reach(self.m, self.k, self.a, &|batch| batch.a);
        let b = reach(self.k, self.n, self.b, &|batch| batch.b);
        let all = self.m * self.n * self.count();
        visit(&mut self.a.at, Access::Read, a);
        visit(&mut self.b.at, Access::Read, b);
        visit(&mut self.to, Access::Write, all);
    }
}

/// # Safety
/// As [`super::kernel::Kernel::run`]; `L`'s instruction set is switched on in the caller.
#[inline(always)]
unsafe fn all_batches<L: Lanes>(_: PhantomData<L>, product: &Product, bases: &Bases<'_>) {
    let Product { m, n, k, a, b, .. } = *product;
    for batch in 0..product.count() {
        let (mut rest, mut step_a, mut step_b) = (batch, 0, 0);
        for axis in product.batches.iter().rev() {
            step_a += rest % axis.length * axis.a;
            step_b += rest % axis.length * axis.b;
            rest /= axis.length;
        }
        // SAFETY: the addresses are valid for the whole of each operand, the result is a buffer of its own, and the
        // start of the scratch memory, base 0, has room for what is packed.
        unsafe {
            let a = gemm::Matrix { start: bases.at(a.at).add(step_a), row: a.row, column: a.column };
            let b = gemm::Matrix { start: bases.at(b.at).add(step_b), row: b.row, column: b.column };
            let to = bases.at(product.to).add(batch * m * n);
            let plus = product.add.then_some(gemm::Plus { from: to.cast_const(), row: n });
            gemm::gemm::<L>([m, n, k], a, b, to, plus, bases.0[0]);
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Product { m, n, k, a, b, to, .. } = self;
        let sign = if self.add { "+=" } else { "=" };
        write!(f, "{to} {sign} product {m}x{k} {}({},{}) ", a.at, a.row, a.column)?;
        write!(f, "by {k}x{n} {}({},{})", b.at, b.row, b.column)?;
        if self.count() == 1 { Ok(()) } else { write!(f, ", {} batches", self.count()) }
    }
}
