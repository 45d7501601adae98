//! From an episode to points: images from the plugin, turned, with one-hot labels.

use super::sampler::{Chosen, Drawn, Episode};
use crate::error::Result;
use crate::plugin::DataInstance;
use crate::run::programs::Points;
use mamlx_images::turned;

/// A thread's instance of a data set, and a buffer for images on their way.
pub struct Reader {
    pub data: DataInstance,
    upright: Vec<f32>,
}

impl Reader {
    pub fn new(data: DataInstance) -> Reader {
        Reader { data, upright: vec![] }
    }

    /// Numbers of items of every class of a split.
    pub fn counts(&self, split: usize) -> Vec<u32> {
        self.data.spaces().splits[split].classes.iter().map(|class| class.items).collect()
    }

    /// Fills `points` with `range` of every class's items: all of the first class, then all of the second, and so on.
    pub fn fill(
        &mut self,
        split: usize,
        episode: &Episode,
        range: std::ops::Range<usize>,
        points: &mut Points,
    ) -> Result<()> {
        let (length, ways, each) = (self.data.spaces().item_length(), episode.classes.len(), range.len());
        points.x.resize(ways * each * length, 0.0);
        points.y.clear();
        points.y.resize(ways * each * ways, 0.0);
        let classes = episode.classes.iter().zip(&episode.items);
        for (label, ((chosen, items), x)) in classes.zip(points.x.chunks_exact_mut(each * length)).enumerate()
        {
            self.read(split, *chosen, &items[range.clone()], x)?;
            for point in label * each..(label + 1) * each {
                points.y[point * ways + label] = 1.0;
            }
        }
        Ok(())
    }

    /// Fills `points` with a batch of all `classes` classes of a split; where they are turned, each turn of a class is a
    /// class of its own (Santoro et al. 2016, whose augmentation of Omniglot the paper follows), the `turns` of a class
    /// one behind the other.
    pub fn fill_batch(
        &mut self,
        split: usize,
        batch: &[Drawn],
        (classes, turns): (usize, usize),
        points: &mut Points,
    ) -> Result<()> {
        let (length, outputs) = (self.data.spaces().item_length(), classes * turns);
        points.x.resize(batch.len() * length, 0.0);
        points.y.clear();
        points.y.resize(batch.len() * outputs, 0.0);
        let places = points.x.chunks_exact_mut(length).zip(points.y.chunks_exact_mut(outputs));
        for (drawn, (x, y)) in batch.iter().zip(places) {
            self.read(split, drawn.chosen, &[drawn.item], x)?;
            y[drawn.chosen.class * turns + drawn.chosen.quarters as usize] = 1.0;
        }
        Ok(())
    }

    /// Items of one class, turned as it is, into `x [items, item]`.
    fn read(&mut self, split: usize, chosen: Chosen, items: &[u32], x: &mut [f32]) -> Result<()> {
        if chosen.quarters == 0 {
            return self.data.read(split, chosen.class, items, x);
        }
        let (side, channels) = square(&self.data.spaces().item_shape);
        self.upright.resize(x.len(), 0.0);
        self.data.read(split, chosen.class, items, &mut self.upright)?;
        let length = x.len() / items.len();
        let images = self.upright.chunks_exact(length).zip(x.chunks_exact_mut(length));
        images.for_each(|(upright, out)| turned(upright, side, channels, chosen.quarters, out));
        Ok(())
    }
}

/// Side and channels of [side, side, channels] or [side, side].
fn square(shape: &[usize]) -> (usize, usize) {
    (shape[0], shape.get(2).copied().unwrap_or(1))
}

/// Whether images of this shape can be turned by quarters.
pub fn is_square(shape: &[usize]) -> bool {
    matches!(shape, [height, width] | [height, width, _] if height == width)
}
