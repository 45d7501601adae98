//! Your own images, with no code: a folder or zip archive with `split/class/image`.

use mamlx_images::{
    Digest, Filter, Group, Item, Missing, Recipe, Result, Set, Source, Splits, find, gather, shared,
};
use mamlx_plugin::{DataSpaces, Dataset, Descriptor, Parameter, Params};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// An opened folder.
pub struct ImageFolder {
    set: Arc<Set>,
    splits: Splits,
}

impl Dataset for ImageFolder {
    const DESCRIPTOR: Descriptor = Descriptor {
        id: "imagefolder",
        version: env!("CARGO_PKG_VERSION"),
        dynamics_version: 1,
        doc: "PNG and JPEG images of your own, in a folder or zip archive, as split/class/image: say \
              birds/train/robin/0001.jpg. Splits are usually called train, val and test, and share no class.",
        parameters: &[
            Parameter::text("folder", "images").doc(
                "Name of the folder, or of the archive without `.zip`, in one of the data folders; or a path.",
            ),
            Parameter::int("height", 84).range(1.0, 1024.0).unit("pixels").doc("Height of every image."),
            Parameter::int("width", 84).range(1.0, 1024.0).unit("pixels").doc("Width of every image."),
            Parameter::text("colours", "rgb").choices(&["rgb", "grey"]).doc("Three channels or one."),
            Parameter::text("filter", "lanczos").choices(&["lanczos", "nearest"]).doc("How images change their size."),
            Parameter::bool("invert", false).doc("White becomes 0 and black 1."),
        ],
    };

    fn create(params: &Params) -> Result<Self> {
        let path = path(params)?;
        let filter = if params.text("filter") == "nearest" { Filter::Nearest } else { Filter::Lanczos };
        let recipe = Recipe {
            height: params.int("height") as u32,
            width: params.int("width") as u32,
            channels: if params.text("colours") == "grey" { 1 } else { 3 },
            filter,
            invert: params.bool("invert"),
        };
        let mut digest = Digest::new(&format!("imagefolder 1 {recipe:?}"));
        Source::digest(&path, &mut digest)?;
        let key = format!("imagefolder-{}", digest.name());
        let set = shared(params.places().cache.as_deref(), &key, |cells| {
            let source = Source::open(&path)?;
            let groups = groups(&source)?;
            gather(&mut [source], &groups, &recipe, cells)
        })?;
        let splits = Splits::by_prefix(&set);
        splits.check(&set, class)?;
        Ok(ImageFolder { set, splits })
    }

    fn describe(&self) -> DataSpaces {
        self.splits.spaces(&self.set, class)
    }

    fn read(&mut self, split: usize, class: usize, items: &[u32], out: &mut [f32]) -> Result<()> {
        self.splits.read(&self.set, split, class, items, out)
    }
}

fn path(params: &Params) -> Result<PathBuf> {
    let (name, folders) = (params.text("folder"), &params.places().folders);
    let candidates = [name.to_owned(), format!("{name}.zip")];
    find(folders, "imagefolder", &candidates).ok_or_else(|| {
        let what = format!("folder {name} or archive {name}.zip");
        let advice =
            "run `mamlx data import imagefolder FOLDER`, or name the folder above it with `--data-dir`";
        Missing { what: &what, looked_in: folders, advice }.to_string()
    })
}

fn class(group: &str) -> String {
    group.split_once('/').map_or(group, |(_, class)| class).to_owned()
}

/// The last two folders of an image's name are its split and its class.
fn groups(source: &Source) -> Result<Vec<Group>> {
    let mut groups: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for (member, entry) in source.members().iter().enumerate().filter(|(_, entry)| entry.is_image()) {
        let mut parts = entry.name.rsplit('/').skip(1);
        let (Some(class), Some(split)) = (parts.next(), parts.next()) else {
            return Err(format!("{}: an image must lie in split/class/", source.place(member)));
        };
        groups.entry(format!("{split}/{class}")).or_default().push(Item { source: 0, member });
    }
    if groups.is_empty() {
        return Err(format!(
            "there are no images split/class/image.png (or .jpg) in {}",
            source.path().display()
        ));
    }
    Ok(groups.into_iter().map(|(name, items)| Group { name, items }).collect())
}

mamlx_plugin::export_data!(ImageFolder);
