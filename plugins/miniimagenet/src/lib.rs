//! MiniImagenet (Vinyals et al. 2016) with the splits of Ravi and Larochelle (2017): 64 classes for training, 16 for
//! validation and 20 for the test, 600 images each, in any of the forms in which it is passed around.

mod files;
mod lists;
mod rows;

use files::Layout;
use mamlx_images::{Digest, Filter, Recipe, Result, Set, Source, Splits, gather, shared};
use mamlx_plugin::{DataSpaces, Dataset, Descriptor, Parameter, Params};
use std::sync::Arc;

/// An opened MiniImagenet.
pub struct MiniImagenet {
    set: Arc<Set>,
    splits: Splits,
}

impl Dataset for MiniImagenet {
    const DESCRIPTOR: Descriptor = Descriptor {
        id: "miniimagenet",
        version: env!("CARGO_PKG_VERSION"),
        dynamics_version: 1,
        doc: "Photographs of 100 ImageNet classes, 64 for training, 16 for validation and 20 for the test, section 5.2 \
              of the MAML paper: 84 x 84 pixels in three channels from 0 to 1. Not freely downloadable: bring your \
              copy with `mamlx data import miniimagenet FILE...`.",
        parameters: &[
            Parameter::text("layout", "auto").choices(&["auto", "lists", "folders", "pickles"]).doc(
                "`lists`: a folder or archive `images` with train.csv, val.csv and test.csv (filename,label); \
                 `folders`: train, val and test with one folder a class; `pickles`: mini-imagenet-cache-train.pkl and \
                 so on, or miniImageNet_category_split_train_phase_train.pickle and so on; `auto`: the first of them.",
            ),
            Parameter::int("size", 84).range(8.0, 512.0).unit("pixels").doc(
                "Height and width (paper: 84). Pickles hold images of one size, usually this one.",
            ),
        ],
    };

    fn create(params: &Params) -> Result<Self> {
        let (folders, layout) = (&params.places().folders, params.text("layout"));
        let layout = files::find(folders, layout)?;
        let side = params.int("size") as u32;
        let recipe =
            Recipe { height: side, width: side, channels: 3, filter: Filter::Lanczos, invert: false };
        let mut digest = Digest::new(&format!("miniimagenet 1 {recipe:?}"));
        for path in layout.files() {
            Source::digest(path, &mut digest)?;
        }
        let key = format!("miniimagenet-{}", digest.name());
        let set = shared(params.places().cache.as_deref(), &key, |cells| match &layout {
            Layout::Lists { images, lists } => {
                let source = Source::open(images)?;
                let groups = lists::groups(&source, lists)?;
                gather(&mut [source], &groups, &recipe, cells)
            }
            Layout::Folders(parts) => {
                let mut sources =
                    parts.iter().map(|(_, path)| Source::open(path)).collect::<Result<Vec<_>>>()?;
                let groups = lists::folders(&sources, parts)?;
                gather(&mut sources, &groups, &recipe, cells)
            }
            Layout::Pickles(parts) => rows::copy(parts, &recipe, cells),
        })?;
        let splits = Splits::by_prefix(&set);
        splits.check(&set, class)?;
        Ok(MiniImagenet { set, splits })
    }

    fn describe(&self) -> DataSpaces {
        self.splits.spaces(&self.set, class)
    }

    fn read(&mut self, split: usize, class: usize, items: &[u32], out: &mut [f32]) -> Result<()> {
        self.splits.read(&self.set, split, class, items, out)
    }
}

/// Groups are called `split/class`.
fn class(group: &str) -> String {
    group.split_once('/').map_or(group, |(_, class)| class).to_owned()
}

mamlx_plugin::export_data!(MiniImagenet);
