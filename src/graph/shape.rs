//! Run-time shapes of at most six axes (luminal's trackers have six slots).

use std::fmt;
use std::ops::Deref;

/// luminal 0.2.0's `ShapeTracker` holds six axes and asserts on the seventh.
pub const MAX_RANK: usize = 6;

/// Axis lengths, outermost first; also used for axis lists, offsets and paddings. Rank 0 is a scalar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Shape {
    axes: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// # Panics
    /// Above six axes: shapes come from our own model code, never directly from user input.
    pub fn new(axes: &[usize]) -> Self {
        assert!(axes.len() <= MAX_RANK, "a tensor has at most {MAX_RANK} axes, not {}", axes.len());
        let mut shape = Shape { axes: [0; MAX_RANK], rank: axes.len() as u8 };
        shape.axes[..axes.len()].copy_from_slice(axes);
        shape
    }

    pub fn scalar() -> Self {
        Shape::new(&[])
    }

    /// Number of elements.
    pub fn size(&self) -> usize {
        self.iter().product()
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> Shape {
        let mut strides = *self;
        let mut step = 1;
        for axis in (0..self.len()).rev() {
            strides.axes[axis] = step;
            step *= self[axis];
        }
        strides
    }

    /// The same shape with one axis changed.
    pub fn with(&self, axis: usize, length: usize) -> Shape {
        let mut shape = *self;
        shape.axes[axis] = length;
        shape
    }

    /// Splits a flat row-major index into one coordinate per axis.
    pub fn coordinates(&self, mut flat: usize) -> Shape {
        let mut at = *self;
        for axis in (0..self.len()).rev() {
            at.axes[axis] = flat % self[axis];
            flat /= self[axis];
        }
        at
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.axes[..self.rank as usize]
    }
}

impl From<&[usize]> for Shape {
    fn from(axes: &[usize]) -> Self {
        Shape::new(axes)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[")?;
        for (i, n) in self.iter().enumerate() {
            write!(f, "{}{n}", if i > 0 { "," } else { "" })?;
        }
        write!(f, "]")
    }
}
