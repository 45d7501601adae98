//! Copies the rows of pickles.

use mamlx_images::pickle::ImageRows;
use mamlx_images::{Cells, Recipe, Result};
use std::path::PathBuf;

/// Rows go from file to file one by one, so a cache of a gigabyte needs no gigabyte of memory.
pub fn copy(parts: &[(&str, PathBuf)], recipe: &Recipe, cells: &mut Cells) -> Result<()> {
    let mut pickles = parts.iter().map(|(_, path)| ImageRows::open(path)).collect::<Result<Vec<_>>>()?;
    let mut groups = vec![];
    for (pickle, (split, path)) in pickles.iter().zip(parts) {
        if pickle.shape != recipe.shape() {
            return Err(format!(
                "{}: its images have the shape {:?}; set `size: {}`",
                path.display(),
                pickle.shape,
                pickle.shape[0]
            ));
        }
        groups
            .extend(pickle.classes.iter().map(|(name, rows)| (format!("{split}/{name}"), rows.len() as u32)));
    }
    cells.begin(recipe.shape(), &groups)?;
    let mut image = vec![0; recipe.bytes()];
    for pickle in &mut pickles {
        for (_, rows) in std::mem::take(&mut pickle.classes) {
            for row in rows {
                pickle.read(row, &mut image)?;
                cells.item(&image)?;
            }
        }
    }
    Ok(())
}
