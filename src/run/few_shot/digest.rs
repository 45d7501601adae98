//! Which data a run has seen: a hash of the data set as its plugin hands it out.
//!
//! So it does not matter in which of its forms the set lay on the disk, or whether it came from a cache.

use crate::error::Result;
use crate::plugin::DataInstance;
use crate::record::DataRecord;
use sha2::{Digest, Sha256};

/// Bytes of items that are hashed at most, so that no run waits for it: all items of Omniglot, some of MiniImagenet.
const MOST_BYTES: usize = 128 << 20;

/// SHA-256 of the shape of an item, the names of splits and classes, their numbers of items, and every `every`-th item
/// of each class, as little-endian f32.
///
/// # Errors
/// `Error::Run`: the plugin.
pub fn digest(data: &mut DataInstance) -> Result<DataRecord> {
    let spaces = data.spaces().clone();
    let length = spaces.item_length();
    let classes = || spaces.splits.iter().flat_map(|split| &split.classes);
    let items: usize = classes().map(|class| class.items as usize).sum();
    let every = (items * length * 4).div_ceil(MOST_BYTES).max(1);
    let mut hash = Sha256::new();
    hash.update(format!("mamlx data 1\n{:?}\n{every}\n", spaces.item_shape));
    let (mut read, mut bytes) = (0, Vec::with_capacity(length * 4));
    for (split, of) in spaces.splits.iter().enumerate() {
        for (class, of_class) in of.classes.iter().enumerate() {
            hash.update(format!("{}\n{}\n{}\n", of.name, of_class.name, of_class.items));
            let wanted: Vec<u32> = (0..of_class.items).step_by(every).collect();
            let mut x = vec![0.0; wanted.len() * length];
            data.read(split, class, &wanted, &mut x)?;
            bytes.clear();
            bytes.extend(x.iter().flat_map(|pixel| pixel.to_le_bytes()));
            hash.update(&bytes);
            read += wanted.len();
        }
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(DataRecord { sha256, items: items as u64, hashed: read as u64 })
}
