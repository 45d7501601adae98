//! Omniglot (Lake, Salakhutdinov and Tenenbaum 2015): 1,623 handwritten characters, 20 drawings of each.
//!
//! The published archives are read in place, or the folders that they extract to. Preparation is that of the MAML
//! paper's code (28 × 28, ink 1, paper 0). Class names are `Alphabet/characterNN`.

mod classes;
mod files;

use classes::split;
use mamlx_images::{Digest, Filter, Recipe, Result, Set, Source, Splits, gather, shared};
use mamlx_plugin::{DataSpaces, Dataset, Descriptor, Parameter, Params};
use std::sync::Arc;

/// An opened Omniglot.
pub struct Omniglot {
    set: Arc<Set>,
    splits: Splits,
}

impl Dataset for Omniglot {
    const DESCRIPTOR: Descriptor = Descriptor {
        id: "omniglot",
        version: env!("CARGO_PKG_VERSION"),
        dynamics_version: 1,
        doc: "Handwritten characters of 50 alphabets (Lake et al. 2015), section 5.2 of the MAML paper: small square \
              images in one channel, ink 1 and paper 0. `mamlx data fetch omniglot` brings the files.",
        parameters: &[
            Parameter::text("images", "full").choices(&["full", "minimal"]).doc(
                "`full`: images_background and images_evaluation, 1623 characters; `minimal`: images_background_small1 \
                 and images_background_small2, 242 characters. Each is a zip archive or an extracted folder.",
            ),
            Parameter::text("split", "shuffled").choices(&["shuffled", "by_file"]).doc(
                "`shuffled`: all characters in a random order, cut into train, val and test; `by_file`: the first file \
                 is train, and the alphabets of the second that are not in the first are test.",
            ),
            Parameter::int("split_seed", 1).at_least(0.0).doc(
                "Decides the random order (released code: seed 1; its order of files cannot be recovered).",
            ),
            Parameter::int("train_classes", 1100).at_least(1.0).doc("Characters for training, when shuffled (released: 1100)."),
            Parameter::int("val_classes", 100).at_least(0.0).doc(
                "Characters for validation, when shuffled (released: 100); the rest is for the test (released: 423).",
            ),
            Parameter::bool("turned_classes", false).doc(
                "Every character turned by 90, 180 and 270 degrees is a class of its own. The paper's tasks turn each of \
                 their classes at random instead: `task.rotate: true`.",
            ),
            Parameter::int("size", 28).range(4.0, 256.0).unit("pixels").doc("Height and width (paper: 28)."),
            Parameter::text("filter", "lanczos").choices(&["lanczos", "nearest"]).doc(
                "How images become smaller. The released code asks for Lanczos; for one-bit images as these Pillow takes \
                 the nearest pixel whatever it is asked for.",
            ),
        ],
    };

    fn create(params: &Params) -> Result<Self> {
        let files = files::find(params.text("images") == "full", params.places())?;
        let side = params.int("size") as u32;
        let filter = if params.text("filter") == "nearest" { Filter::Nearest } else { Filter::Lanczos };
        let recipe = Recipe { height: side, width: side, channels: 1, filter, invert: true };
        let mut digest = Digest::new(&format!("omniglot 1 {recipe:?}"));
        for path in &files {
            Source::digest(path, &mut digest)?;
        }
        let key = format!("omniglot-{}", digest.name());
        let set = shared(params.places().cache.as_deref(), &key, |cells| {
            let mut sources = files.iter().map(|path| Source::open(path)).collect::<Result<Vec<Source>>>()?;
            let groups = classes::groups(&sources)?;
            gather(&mut sources, &groups, &recipe, cells)
        })?;
        let splits = split(&set, params)?;
        Ok(Omniglot { set, splits })
    }

    fn describe(&self) -> DataSpaces {
        self.splits.spaces(&self.set, classes::name)
    }

    fn read(&mut self, split: usize, class: usize, items: &[u32], out: &mut [f32]) -> Result<()> {
        self.splits.read(&self.set, split, class, items, out)
    }
}

mamlx_plugin::export_data!(Omniglot);
