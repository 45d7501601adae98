//! Batched matrix products of strided operands.

use super::isa::Isa;
use super::kernel::{Access, Address, Bases};
use std::fmt;

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

    /// # Safety
    /// As [`super::kernel::Kernel::run`].
    pub unsafe fn run(&self, _isa: Isa, bases: &Bases<'_>) {
        let (m, n, k) = (self.m, self.n, self.k);
        for batch in 0..self.count() {
            let (mut rest, mut a, mut b) = (batch, 0, 0);
            for axis in self.batches.iter().rev() {
                a += rest % axis.length * axis.a;
                b += rest % axis.length * axis.b;
                rest /= axis.length;
            }
            // SAFETY: the addresses are valid for the whole of each operand; the result is a buffer of its own.
            unsafe {
                let to = bases.at(self.to).add(batch * m * n);
                gemm::gemm(
                    m,
                    n,
                    k,
                    to,
                    1,
                    n as isize,
                    false,
                    bases.at(self.a.at).add(a).cast_const(),
                    self.a.column as isize,
                    self.a.row as isize,
                    bases.at(self.b.at).add(b).cast_const(),
                    self.b.column as isize,
                    self.b.row as isize,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
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

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Product { m, n, k, a, b, to, .. } = self;
        write!(f, "{to} = product {m}x{k} {}({},{}) ", a.at, a.row, a.column)?;
        write!(f, "by {k}x{n} {}({},{})", b.at, b.row, b.column)?;
        if self.count() == 1 { Ok(()) } else { write!(f, ", {} batches", self.count()) }
    }
}
