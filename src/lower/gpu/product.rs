//! Matrix products, and convolutions as products of windows that never exist: which axes they have and where their
//! sides lie.
//!
//! With windows (images, down, across), taps (p, q, channel) and n output channels, a convolution is a product of
//! windows × taps by taps × n, its gradient for the weights one of taps × windows by windows × n, and that for the
//! images one of pixels × (p, q, n) by (p, q, n) × channels, where a pixel reads the windows that saw it at each tap.

use super::body::Scope;
use super::kernel::{Access, Slide};
use crate::graph::window::{Image, Window};
use crate::graph::{Op, Shape};
use crate::lower::draft::Step;
use crate::lower::view::View;

/// The axes of a product and its two sides. Both accesses have batch, row, column and inner axes in this order; row
/// axes are missing (stride 0) in `b`, and column axes in `a`.
pub struct Sides {
    pub batch: Vec<usize>,
    pub rows: Vec<usize>,
    pub columns: Vec<usize>,
    pub inner: Vec<usize>,
    pub a: Access,
    pub b: Access,
}

impl Scope<'_> {
    fn place(&self, step: usize) -> (usize, View) {
        self.layout.places[step].expect("what a product reads lies in memory")
    }

    /// The sides of the product `step`.
    pub fn plain(&mut self, step: &Step) -> Sides {
        let Op::MatMul { transpose_a, transpose_b } = step.op else {
            unreachable!("the caller has a product")
        };
        let rank = step.shape.len();
        let (of_a, of_b) = (self.place(step.inputs[0]), self.place(step.inputs[1]));
        let (a, b) = (turned(of_a.1, transpose_a), turned(of_b.1, transpose_b));
        let batches = rank - 2;
        let strides = |side: View, row: usize, column: usize, inner: usize| {
            [&side.strides[..batches], &[row, column, inner]].concat()
        };
        let access = |scope: &mut Self, (owner, view): (usize, View), strides| Access {
            tensor: scope.tensor(owner, false),
            offset: view.offset,
            strides,
            slides: vec![],
        };
        Sides {
            batch: step.shape[..batches].to_vec(),
            rows: vec![step.shape[rank - 2]],
            columns: vec![step.shape[rank - 1]],
            inner: vec![a.shape[rank - 1]],
            a: access(self, of_a, strides(a, a.strides[batches], 0, a.strides[batches + 1])),
            b: access(self, of_b, strides(b, 0, b.strides[batches + 1], b.strides[batches])),
        }
    }

    /// The sides of the product `step` whose left side is the patches that `unfold` would make: convolution, or with the
    /// left side transposed its gradient for the weights. None where the images lie in memory in no fitting order.
    pub fn patches(&mut self, step: &Step, unfold: &Step) -> Option<Sides> {
        let (Op::MatMul { transpose_a, transpose_b }, Op::Unfold(window)) = (step.op, unfold.op) else {
            unreachable!("the layout pairs products with unfolds")
        };
        let from = unfold.inputs[0];
        let (all, image) = Window::image(self.draft.steps[from].shape)?;
        let [down, across] = window.count(image)?;
        let rank = step.shape.len();
        let batch: usize = step.shape[..rank - 2].iter().product();
        let images = all / batch;
        let (n, [p, q]) = (step.shape[rank - 1], window.kernel);
        let (owner, view) = self.place(from);
        let view = view.reshape(Shape::new(&[batch, images, image.height, image.width, image.channels]))?;
        let s = view.strides;
        let (owner_b, view_b) = self.place(step.inputs[1]);
        let tensor = self.tensor(owner, false);
        let slide = |axis: usize, window_axis: usize, tap_axis: usize, length: usize, stride: usize| Slide {
            terms: vec![(window_axis, window.stride[axis] as i64), (tap_axis, 1)],
            add: -(window.before[axis] as i64),
            divide: 1,
            length,
            stride,
        };
        let (rows, inner, windows, taps) = if transpose_a {
            // Kept: batch, p, q, c, n. Reduced: image, i, j.
            (vec![p, q, image.channels], vec![images, down, across], 5, 1)
        } else {
            // Kept: batch, image, i, j, n. Reduced: p, q, c.
            (vec![images, down, across], vec![p, q, image.channels], 1, 5)
        };
        let mut strides = vec![0; 8];
        strides[0] = s[0];
        strides[windows] = s[1];
        strides[taps + 2] = s[4];
        let slides = vec![
            slide(0, windows + 1, taps, image.height, s[2]),
            slide(1, windows + 2, taps + 1, image.width, s[3]),
        ];
        let a = Access { tensor, offset: view.offset, strides, slides };
        let split: Vec<usize> = [&[batch], &inner[..], &[n]].concat();
        let of_b = self.access(owner_b, false, turned(view_b, transpose_b), &split)?;
        let b = [&of_b.strides[..1], &[0, 0, 0, of_b.strides[4]], &of_b.strides[1..4]].concat();
        Some(Sides { batch: vec![batch], rows, columns: vec![n], inner, a, b: Access { strides: b, ..of_b } })
    }

    /// The sides of the fold `step` of a product that does not exist otherwise: the gradient for the images. With windows
    /// that are s pixels apart, only every s-th tap saw a pixel: these are the pixels whose rows and columns leave the
    /// rests `rest` when divided by s, and the taps that saw them.
    pub fn images(&mut self, step: &Step, product: &Step, rest: [usize; 2]) -> Option<Sides> {
        let (Op::Fold(window, _), Op::MatMul { transpose_a, transpose_b }) = (step.op, product.op) else {
            unreachable!("the layout pairs folds with products")
        };
        let (all, image) = Window::image(step.shape)?;
        let Image { height, width, channels } = image;
        let [down, across] = window.count(image)?;
        let rank = product.shape.len();
        let batch: usize = product.shape[..rank - 2].iter().product();
        let images = all / batch;
        let [p, q] = window.kernel;
        let n = self.place(product.inputs[0]).1.shape[if transpose_a { rank - 2 } else { rank - 1 }];
        let side = |scope: &mut Self, input: usize, turn: bool, axes: &[usize]| {
            let (owner, view) = scope.place(input);
            scope.access(owner, false, turned(view, turn), axes)
        };
        // Kept: batch, image, u, v, c. Reduced: p, q, n.
        let left = side(self, product.inputs[0], transpose_a, &[batch, images, down, across, n])?;
        let other = side(self, product.inputs[1], transpose_b, &[batch, n, p, q, channels])?;
        // Pixel s·u + r was seen at tap s·p + t by window u − p + (r + before − t) / s, t = (r + before) mod s.
        let apart = window.stride;
        let first = |axis: usize| (rest[axis] + window.before[axis]) % apart[axis];
        let slide = |axis: usize, pixel: usize, tap: usize, length: usize, stride: usize| Slide {
            terms: vec![(pixel, 1), (tap, -1)],
            add: ((rest[axis] + window.before[axis] - first(axis)) / apart[axis]) as i64,
            divide: 1,
            length,
            stride,
        };
        let l = left.strides.clone();
        let a = Access {
            strides: vec![l[0], l[1], 0, 0, 0, 0, 0, l[4]],
            slides: vec![slide(0, 2, 5, down, l[2]), slide(1, 3, 6, across, l[3])],
            ..left
        };
        let o = other.strides.clone();
        let b = Access {
            offset: other.offset + first(0) * o[2] + first(1) * o[3],
            strides: vec![o[0], 0, 0, 0, o[4], apart[0] * o[2], apart[1] * o[3], o[1]],
            ..other
        };
        let part =
            |length: usize, from: usize, axis: usize| length.saturating_sub(from).div_ceil(apart[axis]);
        let rows = vec![images, part(height, rest[0], 0), part(width, rest[1], 1)];
        let inner = vec![part(p, first(0), 0), part(q, first(1), 1), n];
        Some(Sides { batch: vec![batch], rows, columns: vec![channels], inner, a, b })
    }
}

/// The view with its last two axes exchanged, if asked for.
fn turned(view: View, turn: bool) -> View {
    let rank = view.shape.len();
    let exchange = |mut values: Vec<usize>| {
        if turn {
            values.swap(rank - 2, rank - 1);
        }
        Shape::new(&values)
    };
    View { shape: exchange(view.shape.to_vec()), strides: exchange(view.strides.to_vec()), ..view }
}
