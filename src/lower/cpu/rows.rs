//! Rows of a table by number: gather and scatter.

use super::kernel::{Access, Address, Bases};
use std::fmt;

/// `rows` rows of `width` floats lie in the table. Indices and their rows number `count`.
#[derive(Clone, Debug)]
pub struct Rows {
    pub scatter: bool,
    /// Gather: the table. Scatter: the rows to add.
    pub from: Address,
    pub index: Address,
    pub to: Address,
    pub rows: usize,
    pub count: usize,
    pub width: usize,
}

impl Rows {
    /// An index outside the table reads zeros and adds nowhere, as the rows `gather` and `scatter` of the op table
    /// say; a NaN is outside.
    ///
    /// # Safety
    /// As [`super::kernel::Kernel::run`].
    pub unsafe fn run(&self, bases: &Bases<'_>) {
        let (width, count) = (self.width, self.count);
        let (from_rows, to_rows) = if self.scatter { (count, self.rows) } else { (self.rows, count) };
        // SAFETY: the addresses are valid for these sizes, and the result is a buffer of its own.
        let (from, index, to) = unsafe {
            (
                std::slice::from_raw_parts(bases.at(self.from), from_rows * width),
                std::slice::from_raw_parts(bases.at(self.index), count),
                std::slice::from_raw_parts_mut(bases.at(self.to), to_rows * width),
            )
        };
        let row = |x: f32| (x >= 0.0 && x < self.rows as f32).then_some(x as usize);
        if self.scatter {
            to.fill(0.0);
        }
        for (i, x) in index.iter().enumerate() {
            match (self.scatter, row(*x)) {
                (false, Some(at)) => {
                    to[i * width..][..width].copy_from_slice(&from[at * width..][..width]);
                }
                (false, None) => to[i * width..][..width].fill(0.0),
                (true, Some(at)) => {
                    let sums = &mut to[at * width..][..width];
                    sums.iter_mut().zip(&from[i * width..]).for_each(|(sum, x)| *sum += x);
                }
                (true, None) => {}
            }
        }
    }

    pub fn addresses(&mut self, visit: &mut dyn FnMut(&mut Address, Access, usize)) {
        let (from_rows, to_rows) =
            if self.scatter { (self.count, self.rows) } else { (self.rows, self.count) };
        visit(&mut self.from, Access::Read, from_rows * self.width);
        visit(&mut self.index, Access::Read, self.count);
        visit(&mut self.to, Access::Write, to_rows * self.width);
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.scatter { "scatter" } else { "gather" };
        let Rows { from, index, to, rows, count, width, .. } = self;
        write!(f, "{to} = {name} {from} at {index}: table {rows} x {width}, {count} indices")
    }
}
