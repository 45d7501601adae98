//! Strided windows on a buffer: how `reshape`, `permute`, `expand` and `slice` cost nothing.

use crate::graph::{Op, Shape};

/// Element `i` (one coordinate per axis) lies at `offset + Σ i[axis] · strides[axis]` floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct View {
    pub offset: usize,
    pub shape: Shape,
    pub strides: Shape,
}

impl View {
    /// All of a buffer in row-major order.
    pub fn whole(shape: Shape) -> View {
        View { offset: 0, shape, strides: shape.strides() }
    }

    /// Whether the elements lie one after the other in row-major order.
    pub fn contiguous(&self) -> bool {
        let dense = self.shape.strides();
        self.shape.size() == 0
            || (0..self.shape.len()).all(|i| self.shape[i] == 1 || self.strides[i] == dense[i])
    }

    /// The view of an op's result on the view of its input; none where the op has to move elements.
    pub fn apply(&self, op: &Op, to: Shape) -> Option<View> {
        match op {
            Op::Reshape(_) => self.reshape(to),
            Op::Permute(order) => Some(View {
                offset: self.offset,
                shape: to,
                strides: Shape::new(&order.iter().map(|axis| self.strides[*axis]).collect::<Vec<_>>()),
            }),
            Op::Expand(_) => Some(self.expand(to)),
            Op::Slice { start, .. } => {
                let offset = (0..to.len()).map(|i| start[i] * self.strides[i]).sum::<usize>();
                Some(View { offset: self.offset + offset, shape: to, strides: self.strides })
            }
            _ => None,
        }
    }

    /// Axes of length 1 repeated.
    pub fn expand(&self, to: Shape) -> View {
        let stride = |i: usize| if self.shape[i] == to[i] { self.strides[i] } else { 0 };
        let strides: Vec<usize> = (0..to.len()).map(stride).collect();
        View { offset: self.offset, shape: to, strides: Shape::new(&strides) }
    }

    /// The same elements under another shape, if one stride per new axis can say where they lie.
    pub fn reshape(&self, to: Shape) -> Option<View> {
        if to.size() == 0 {
            return Some(View { offset: self.offset, shape: to, strides: to.strides() });
        }
        let old: Vec<(usize, usize)> = (0..self.shape.len())
            .filter(|i| self.shape[*i] != 1)
            .map(|i| (self.shape[i], self.strides[i]))
            .collect();
        let mut strides = vec![0; to.len()];
        // Walk both shapes from the right, matching the smallest groups of axes with equal size.
        let (mut i, mut j) = (old.len(), to.len());
        while j > 0 {
            if to[j - 1] == 1 {
                j -= 1;
                continue;
            }
            i = i.checked_sub(1)?;
            let (mut length, step) = old[i];
            let mut first_new = j - 1;
            let mut new_length = to[first_new];
            while length != new_length {
                if length < new_length {
                    i = i.checked_sub(1)?;
                    // Old axes only merge where the outer one steps over the whole inner one.
                    if old[i].1 != step * length {
                        return None;
                    }
                    length *= old[i].0;
                } else {
                    first_new = first_new.checked_sub(1)?;
                    new_length *= to[first_new];
                }
            }
            let mut stride = step;
            for axis in (first_new..j).rev() {
                strides[axis] = stride;
                stride *= to[axis];
            }
            j = first_new;
        }
        Some(View { offset: self.offset, shape: to, strides: Shape::new(&strides) })
    }
}

/// Merges neighbouring axes that every view crosses in one step; axes of length 1 go. Views share one shape.
/// Returns the axis lengths, outermost first, and the strides of each view along them.
pub fn collapse(shape: Shape, views: &[Shape]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut lengths: Vec<usize> = Vec::new();
    let mut strides: Vec<Vec<usize>> = vec![Vec::new(); views.len()];
    for axis in (0..shape.len()).filter(|axis| shape[*axis] != 1) {
        let merges = !lengths.is_empty()
            && views.iter().zip(&strides).all(|(view, s)| s.last() == Some(&(view[axis] * shape[axis])));
        if merges {
            if let Some(last) = lengths.last_mut() {
                *last *= shape[axis];
            }
            views.iter().zip(&mut strides).for_each(|(view, s)| {
                s.pop();
                s.push(view[axis]);
            });
        } else {
            lengths.push(shape[axis]);
            views.iter().zip(&mut strides).for_each(|(view, s)| s.push(view[axis]));
        }
    }
    if lengths.is_empty() {
        lengths.push(1);
        strides.iter_mut().for_each(|s| s.push(0));
    }
    (lengths, strides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_keeps_the_elements() {
        // A transposed [4, 6] buffer: axes can split, but not merge across the transpose.
        let turned = View { offset: 3, shape: Shape::new(&[6, 4]), strides: Shape::new(&[1, 6]) };
        let split = turned.reshape(Shape::new(&[2, 3, 1, 4])).map(|v| v.strides);
        assert_eq!(split, Some(Shape::new(&[3, 1, 0, 6])));
        assert_eq!(turned.reshape(Shape::new(&[24])), None);
        let flat = View::whole(Shape::new(&[2, 3, 4])).reshape(Shape::new(&[6, 4]));
        assert_eq!(flat.map(|v| v.strides), Some(Shape::new(&[4, 1])));
    }

    #[test]
    fn collapse_merges_what_every_view_allows() {
        let shape = Shape::new(&[2, 3, 1, 4]);
        let dense = shape.strides();
        assert_eq!(collapse(shape, &[dense, dense]).0, [24]);
        let row = Shape::new(&[0, 0, 0, 1]);
        assert_eq!(collapse(shape, &[dense, row]), (vec![6, 4], vec![vec![4, 1], vec![0, 1]]));
    }
}
