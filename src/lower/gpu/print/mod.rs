//! Printers of kernels: WGSL for wgpu (Vulkan, Metal), CUDA C for NVRTC.
//!
//! A [`Dialect`] says how a language spells a declaration, a choice or an element of a tensor; the shape of the three
//! schedules and the expressions are written once, over any dialect. Where a tensor begins is no part of the text, so
//! kernels that differ in nothing else share one text, and one compilation.

mod cuda;
mod expression;
mod schedules;
mod tiled;
mod wgsl;

pub use cuda::{PRELUDE as CUDA_PRELUDE, cuda};
pub use wgsl::wgsl;

use super::kernel::Kernel;
use super::memory::Memory;

/// Threads that a group may have.
pub const MAX_THREADS: usize = 256;

/// Bytes of memory that the threads of a group may share.
pub const MAX_SHARED: usize = 4 * 64 * 104;

/// Where tensors may begin: entries of the table that every launch is given.
pub const MAX_TENSORS: usize = 32;

/// The memory in which each tensor of a kernel lies.
pub fn memories(kernel: &Kernel, memory: &Memory) -> Vec<usize> {
    kernel.tensors.iter().map(|tensor| memory.places[&tensor.buffer].memory).collect()
}

/// Where in its memory each tensor of a kernel begins, in floats.
pub fn offsets(kernel: &Kernel, memory: &Memory) -> Vec<usize> {
    kernel.tensors.iter().map(|tensor| memory.places[&tensor.buffer].offset).collect()
}

/// The kinds of scalars there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Float,
    /// Coordinates and offsets: 32 bits, not negative.
    Index,
    /// Positions that may lie outside: 32 bits, signed.
    Position,
}

/// How a language spells what kernels need; everything else is common to both: numbers, operators, blocks, `if`.
trait Dialect {
    /// A name for a value that does not change.
    fn fixed(&self, kind: Kind, name: &str, value: &str) -> String;

    /// A float that does.
    fn variable(&self, name: &str, value: &str) -> String;

    /// The head of a loop over an index.
    fn each(&self, name: &str, from: &str, to: &str, step: &str) -> String;

    fn convert(&self, kind: Kind, value: &str) -> String;

    fn choose(&self, condition: &str, yes: &str, no: &str) -> String;

    fn sqrt(&self, value: &str) -> String;

    /// An element of a tensor of the kernel, to be written.
    fn element(&self, tensor: usize, index: &str) -> String;

    /// The value of an element that the kernel does not write.
    fn read(&self, tensor: usize, index: &str) -> String {
        self.element(tensor, index)
    }

    fn barrier(&self) -> &'static str;

    /// The wish that the loop below be laid out several times.
    fn unroll(&self, _times: usize) -> Option<String> {
        None
    }

    /// Whether [`load_wide`](Dialect::load_wide) is known.
    fn wide(&self) -> bool {
        false
    }

    /// Sets four variables to neighbouring elements, the first at a multiple of four floats.
    fn load_wide(&self, tensor: usize, index: &str, names: &[String]) -> String {
        let one = |(i, name): (usize, &String)| {
            format!("{name} = {};", self.read(tensor, &format!("{index} + {i}u")))
        };
        names.iter().enumerate().map(one).collect::<Vec<_>>().join(" ")
    }

    /// Names four neighbours in shared memory, the first at a multiple of four floats.
    fn load_shared(&self, index: &str, names: &[String]) -> String {
        let one =
            |(i, name): (usize, &String)| self.fixed(Kind::Float, name, &format!("part[{index} + {i}u]"));
        names.iter().enumerate().map(one).collect::<Vec<_>>().join(" ")
    }

    /// Writes four neighbours in shared memory, the first at a multiple of four floats.
    fn store_shared(&self, index: &str, values: &[String]) -> String {
        let one = |(i, value): (usize, &String)| format!("part[{index} + {i}u] = {value};");
        values.iter().enumerate().map(one).collect::<Vec<_>>().join(" ")
    }
}

/// Text under construction.
struct Writer<'a> {
    dialect: &'a dyn Dialect,
    kernel: &'a Kernel,
    text: String,
    depth: usize,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(&"  ".repeat(self.depth + 1));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn open(&mut self, head: &str) {
        self.line(&format!("{head} {{"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }

    fn index(&mut self, name: &str, value: &str) {
        let line = self.dialect.fixed(Kind::Index, name, value);
        self.line(&line);
    }

    /// Names the coordinates `i axis` of some axes, of which `flat` counts the points, last axis fastest.
    fn coordinates(&mut self, axes: std::ops::Range<usize>, flat: &str) {
        self.coordinates_named(axes, flat, "i");
    }

    /// As [`coordinates`](Self::coordinates), with another prefix.
    fn coordinates_named(&mut self, axes: std::ops::Range<usize>, flat: &str, prefix: &str) {
        let lengths = self.kernel.lengths.clone();
        let mut below: usize = lengths[axes.clone()].iter().product();
        let first = axes.start;
        for axis in axes {
            below /= lengths[axis].max(1);
            let over = if below == 1 { flat.to_string() } else { format!("{flat} / {below}u") };
            let value = if axis == first { over } else { format!("({over}) % {}u", lengths[axis]) };
            self.index(&format!("{prefix}{axis}"), &value);
        }
    }
}

/// The body of a kernel's entry: `group` and `thread` are in scope, and `shared` arrays as [`shared`] says.
fn body(kernel: &Kernel, dialect: &dyn Dialect) -> String {
    let mut writer = Writer { dialect, kernel, text: String::new(), depth: 0 };
    writer.schedule();
    writer.text
}

/// The arrays that threads of a group share, with their lengths.
fn shared(kernel: &Kernel) -> Vec<(&'static str, usize)> {
    use super::kernel::Schedule;
    let floats = match kernel.schedule {
        Schedule::Flat => return vec![],
        Schedule::Lanes { width, lanes } => width * lanes,
        Schedule::Tiled { tile, .. } => tiled::shared(tile),
    };
    assert!(4 * floats <= MAX_SHARED, "a group has {floats} floats of shared memory: {kernel}");
    vec![("part", floats)]
}

/// Whether the kernel calls one of the functions that are longer than a line.
fn calls_functions(kernel: &Kernel) -> bool {
    use super::kernel::Expr;
    use crate::graph::Op;
    let calls = |expr: &Expr| matches!(expr, Expr::Op(Op::Exp | Op::Log | Op::Sin | Op::Tanh, _));
    kernel.inner.iter().chain(&kernel.outer).any(calls)
}
