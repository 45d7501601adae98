//! Convolution and max-pooling of images `[lead…, n, height, width, channels]`.

use super::block::role;
use super::init::Draw;
use super::layout::{Entry, Start};
use crate::graph::window::Image;
use crate::graph::{Var, Window};

/// What lies around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// TensorFlow's SAME, which the released code uses: ⌈size / stride⌉ windows, the odd row of zeros behind.
    Same,
    /// Windows lie wholly in the image.
    Valid,
    /// So many rows and columns of zeros on every side (PyTorch's `padding=`).
    Around(usize),
}

/// `filters` correlations with a square kernel, plus a bias each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv {
    pub filters: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: Padding,
    pub bias: bool,
    pub draw: Option<Draw>,
    pub adapted: bool,
}

/// The largest value of every square of pixels; squares lie side by side and an incomplete one is left out
/// (TensorFlow's VALID, protocol A.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    pub size: usize,
}

impl Conv {
    /// Its windows on an image of this size.
    pub fn window(&self, height: usize, width: usize) -> Window {
        let (kernel, stride) = (self.kernel, self.stride);
        let [down, across] = [height, width].map(|size| match self.padding {
            Padding::Valid => [0, 0],
            Padding::Around(rows) => [rows, rows],
            Padding::Same => {
                let covered = (size.div_ceil(stride).max(1) - 1) * stride + kernel;
                let total = covered.saturating_sub(size);
                [total / 2, total - total / 2]
            }
        });
        Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            before: [down[0], across[0]],
            after: [down[1], across[1]],
        }
    }

    pub(super) fn shape(&self, height: usize, width: usize) -> Result<Vec<usize>, String> {
        let count = self.window(height, width).count(Image { height, width, channels: 1 });
        match count {
            Some([down, across]) => Ok(vec![down, across, self.filters]),
            None => {
                let kernel = self.kernel;
                Err(format!("has a {kernel}x{kernel} kernel, but gets images of {height}x{width} pixels"))
            }
        }
    }

    /// `weight [kernel, kernel, channels, filters]` and `bias [filters]`.
    pub(super) fn entries(&self, channels: usize, number: usize) -> Vec<Entry> {
        let Conv { filters, kernel, draw, .. } = *self;
        let taps = kernel * kernel;
        // TensorFlow's Xavier initialiser for convolutions counts every tap (protocol A.2).
        let start = Start::Weight { fan_in: taps * channels, fan_out: taps * filters, draw };
        let shape = vec![kernel, kernel, channels, filters];
        let mut entries = super::block::affine(&format!("layer{number}."), shape, start, role(self.adapted));
        entries.truncate(if self.bias { 2 } else { 1 });
        entries
    }

    /// `y[…, i, j, f] = Σ x[…, i s + p - before, j s + q - before, c] W[p, q, c, f] + b[f]`, as a matrix product.
    pub(super) fn forward<'t>(&self, params: &[Var<'t>], lead: usize, x: Var<'t>) -> Var<'t> {
        let (lead, image) = (&x.shape[..lead + 1], &x.shape[lead + 1..]);
        let patches = x.unfold(self.window(image[0], image[1]));
        let patch = &patches.shape[lead.len()..];
        let (tasks, rows) = (&lead[..lead.len() - 1], lead[lead.len() - 1] * patch[0] * patch[1]);
        let weight = params[0].reshape(&[tasks, &[patch[2], self.filters]].concat());
        let mut y = patches.reshape(&[tasks, &[rows, patch[2]]].concat()).matmul(weight);
        if let Some(bias) = params.get(1) {
            y = y + bias.reshape(&[tasks, &[1, self.filters]].concat());
        }
        y.reshape(&[lead, &[patch[0], patch[1], self.filters]].concat())
    }
}

impl Pool {
    pub(super) fn shape(&self, height: usize, width: usize, channels: usize) -> Result<Vec<usize>, String> {
        let size = self.size;
        if height < size || width < size {
            return Err(format!(
                "pools {size}x{size} pixels into one, but gets images of {height}x{width}: nothing would be left"
            ));
        }
        Ok(vec![height / size, width / size, channels])
    }

    pub(super) fn forward<'t>(&self, lead: usize, x: Var<'t>) -> Var<'t> {
        let (size, axis) = (self.size, lead + 1);
        let (down, across) = (x.shape[axis] / size, x.shape[axis + 1] / size);
        let (points, channels) = (x.shape[..axis].iter().product(), x.shape[axis + 2]);
        let whole = |x: Var<'t>, axis: usize, length: usize| {
            if x.shape[axis] == length { x } else { x.slice(axis, 0, length) }
        };
        let whole = whole(whole(x, axis, down * size), axis + 1, across * size);
        let squares = whole.reshape(&[points, down, size, across, size, channels]);
        let y = squares.max_keep(&[2, 4]);
        y.reshape(&[&x.shape[..axis], &[down, across, channels]].concat())
    }
}
