//! Decodes the images of a set on all processors, a batch at a time, so that memory stays bounded.

use crate::{Cells, Recipe, Result, Source};
use std::thread;

/// One class: its name, and where its images are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub items: Vec<Item>,
}

/// An image: number of its source and its member there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    pub source: usize,
    pub member: usize,
}

/// Encoded bytes that are held at a time.
const BATCH_BYTES: usize = 32 << 20;
const BATCH_ITEMS: usize = 2048;

/// Reads, decodes and stores every image, group by group.
pub fn gather(sources: &mut [Source], groups: &[Group], recipe: &Recipe, cells: &mut Cells) -> Result<()> {
    let list: Vec<(String, u32)> =
        groups.iter().map(|group| (group.name.clone(), group.items.len() as u32)).collect();
    cells.begin(recipe.shape(), &list)?;
    let mut items = groups.iter().flat_map(|group| &group.items).peekable();
    while items.peek().is_some() {
        let (mut batch, mut bytes) = (vec![], 0);
        while let Some(item) = items.next_if(|_| batch.len() < BATCH_ITEMS && bytes < BATCH_BYTES) {
            let read = sources[item.source].read(item.member)?;
            bytes += read.len();
            batch.push((*item, read));
        }
        for pixels in decoded(&batch, recipe, sources)? {
            cells.item(&pixels)?;
        }
    }
    Ok(())
}

/// Pixels of a share of a batch, or the image that is damaged and why.
type Decoded = std::result::Result<Vec<Vec<u8>>, (Item, String)>;

fn decoded(batch: &[(Item, Vec<u8>)], recipe: &Recipe, sources: &[Source]) -> Result<Vec<Vec<u8>>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = batch.len().div_ceil(threads).max(1);
    let one = |(item, bytes): &(Item, Vec<u8>)| recipe.decode(bytes).map_err(|why| (*item, why));
    let parts: Vec<Decoded> = thread::scope(|scope| {
        let spawn = |part: &'_ [(Item, Vec<u8>)]| {
            let part: Vec<&(Item, Vec<u8>)> = part.iter().collect();
            part.into_iter().map(one).collect()
        };
        let running: Vec<_> = batch.chunks(share).map(|part| scope.spawn(move || spawn(part))).collect();
        // A decoder that panics has met an image that it was not written for: an error of the data.
        let damaged = || Err((batch[0].0, "the decoder gave up near this image".to_owned()));
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| damaged())).collect()
    });
    let mut pixels = Vec::with_capacity(batch.len());
    for part in parts {
        let part =
            part.map_err(|(item, why)| format!("{}: {why}", sources[item.source].place(item.member)))?;
        pixels.extend(part);
    }
    Ok(pixels)
}
