//! A page → its pictures as files of their own, SVG and PNG.

use super::{disk, raster};
use crate::error::Result;
use std::path::Path;

/// Longest file name made of a title.
const LONGEST: usize = 60;

/// Writes every picture of a page into a folder, as `NN_title.svg` and `.png`, in the order of the page; returns their number.
///
/// # Errors
/// Those of [`raster::png`], and [`crate::error::Error::Io`].
pub fn write(page: &str, folder: &Path) -> Result<usize> {
    disk::make_folder(folder)?;
    let pictures = pictures(page);
    for (at, svg) in pictures.iter().enumerate() {
        let name = format!("{:02}_{}", at + 1, slug(title(svg)));
        disk::replace(&folder.join(format!("{name}.svg")), svg.as_bytes())?;
        disk::replace(&folder.join(format!("{name}.png")), &raster::png(svg)?)?;
    }
    Ok(pictures.len())
}

/// The outermost SVGs.
fn pictures(page: &str) -> Vec<&str> {
    const END: &str = "</svg>";
    let (mut found, mut depth, mut start) = (vec![], 0, 0);
    let tags = page.match_indices("<svg").chain(page.match_indices(END));
    let mut tags: Vec<(usize, bool)> = tags.map(|(at, tag)| (at, tag == END)).collect();
    tags.sort_unstable();
    for (at, ends) in tags {
        match (ends, depth) {
            (false, outside) => {
                start = if outside == 0 { at } else { start };
                depth += 1;
            }
            (true, 1) => {
                found.push(&page[start..at + END.len()]);
                depth = 0;
            }
            (true, inside) => depth = usize::saturating_sub(inside, 1),
        }
    }
    found
}

/// The first text of a picture.
fn title(svg: &str) -> &str {
    let text = svg.split_once("<text").and_then(|(_, rest)| rest.split_once('>'));
    text.and_then(|(_, rest)| rest.split_once('<')).map_or("", |(title, _)| title)
}

fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.map(str::to_lowercase).collect::<Vec<_>>().join("_");
    slug.get(..LONGEST).unwrap_or(&slug).trim_end_matches('_').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_within_pictures_stay_inside_and_names_are_plain() {
        let page = "<p></p><svg a><text x=\"1\">Ant, 1 step: -6.8</text><svg b></svg></svg></svg><svg c/><svg d></svg>";
        let found = pictures(page);
        assert_eq!(found[0], "<svg a><text x=\"1\">Ant, 1 step: -6.8</text><svg b></svg></svg>");
        assert_eq!(slug(title(found[0])), "ant_1_step_6_8");
        assert_eq!(slug(&"ab ".repeat(40)).len(), 59);
    }
}
