//! The data of a workload: named arrays of another framework's, or synthetic ones of the same shapes.

use crate::error::{Error, Result};
use crate::nn::Layout;
use crate::nn::init::{Draw, initial};
use crate::random::{Purpose, Stream, stream};
use crate::record::weights::Weights;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use std::path::Path;

/// Named f32 tensors; what is not among them is drawn.
#[derive(Default)]
pub struct Arrays(Weights);

/// What an array is drawn from where nothing is given.
#[derive(Clone, Copy)]
pub enum Like {
    /// Uniform in this range.
    Uniform(f32, f32),
    /// Standard normal.
    Normal,
    /// One-hot rows of this width, class after class.
    OneHot(usize),
}

impl Arrays {
    /// Reads a safetensors file: the parameters by their names in the layout, and the data by their ports'.
    ///
    /// Errors: those of [`Weights::read`].
    pub fn read(path: &Path) -> Result<Arrays> {
        Ok(Arrays(Weights::read(path)?))
    }

    fn given(&self, name: &str, size: usize) -> Result<Option<Vec<f32>>> {
        if self.0.tensors.is_empty() {
            return Ok(None);
        }
        let names = || self.0.tensors.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", ");
        match self.0.get(name) {
            Some(tensor) if tensor.values.len() == size => Ok(Some(tensor.values.clone())),
            Some(tensor) => Err(Error::Input(format!(
                "the data's tensor {name} has {} numbers (shape {:?}); expected {size}",
                tensor.values.len(),
                tensor.shape
            ))),
            None => Err(Error::Input(format!("the data have no tensor {name}; they have {}", names()))),
        }
    }

    /// `tasks` rows of `size` numbers each, flat in the array called `name`.
    pub fn rows(&self, name: &str, tasks: usize, size: usize, like: Like) -> Result<Vec<Vec<f32>>> {
        let flat = match self.given(name, tasks * size)? {
            Some(values) => values,
            None => like.draw(&mut source(name), tasks * size),
        };
        Ok(flat.chunks(size).map(<[f32]>::to_vec).collect())
    }

    /// Initial parameters, tensor by tensor.
    pub fn parameters(&self, layout: &Layout) -> Result<Vec<f32>> {
        let mut theta = initial(layout, Draw::Xavier, &mut source("parameters"));
        for (name, shape, range) in layout.parts() {
            if let Some(values) = self.given(&name, shape.size())? {
                theta[range].copy_from_slice(&values);
            }
        }
        Ok(theta)
    }
}

impl Like {
    pub(super) fn draw(self, stream: &mut Stream, size: usize) -> Vec<f32> {
        match self {
            Like::Uniform(low, high) => (0..size).map(|_| stream.random_range(low..high)).collect(),
            Like::Normal => (0..size).map(|_| StandardNormal.sample(stream)).collect(),
            Like::OneHot(width) => {
                (0..size).map(|i| if i % width == i / width % width { 1.0 } else { 0.0 }).collect()
            }
        }
    }
}

/// A stream of its own for every name.
fn source(name: &str) -> Stream {
    let number = name.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    stream(0, Purpose::Certificate, number, 0, 0)
}
