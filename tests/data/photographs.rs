//! MiniImagenet as images, and folders of one's own.

use super::generated::{Entry, encoded, entry, photograph, write};
use super::{Params, every_check_passes, params, plugin_in, refusal, splits, text};
use image::ImageFormat;
use mamlx::spec::ParamValue;
use std::path::Path;

fn jpeg(colour: [u8; 3]) -> Vec<u8> {
    encoded(photograph(50, 40, colour).into(), ImageFormat::Jpeg)
}

/// `images/<name>.jpg` and the lists of Ravi and Larochelle: a class of each colour.
fn lists(root: &Path) {
    let mut images: Vec<Entry> = vec![];
    for (split, class, level) in [
        ("train", "n01", 10),
        ("train", "n02", 60),
        ("val", "n03", 110),
        ("test", "n04", 160),
        ("test", "n05", 210),
    ] {
        let list = root.join(format!("{split}.csv"));
        let before = std::fs::read_to_string(&list).unwrap_or("filename,label\n".into());
        let names = [1, 2, 3].map(|i| format!("{class}{i:05}.jpg"));
        images
            .extend(names.iter().map(|name| entry(&format!("images/{name}"), jpeg([level, 0, 255 - level]))));
        let lines: String = names.iter().map(|name| format!("{name},{class}\n")).collect();
        std::fs::create_dir_all(root).unwrap();
        std::fs::write(list, before + &lines).unwrap();
    }
    write(&images, &root.join("images"), true);
}

#[test]
fn lists_decide_splits_and_classes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("mini-imagenet");
    lists(&root);
    let plugin = plugin_in("miniimagenet", folder.path());
    let mut data = plugin.data(&Params::new()).unwrap();
    assert_eq!(splits(&data), [("train".into(), 2), ("val".into(), 1), ("test".into(), 2)]);
    assert_eq!(data.spaces().item_shape, [84, 84, 3]);
    assert_eq!(data.spaces().splits[2].classes[1].name, "n05");
    let mut out = vec![0.0; 84 * 84 * 3];
    data.read(2, 1, &[0], &mut out).unwrap();
    // JPEG is exact to a level or two on a plain colour.
    for (pixel, expected) in out.iter().zip([210.0, 0.0, 45.0].into_iter().cycle()) {
        assert!((pixel * 255.0 - expected).abs() < 4.0, "{pixel} {expected}");
    }
    every_check_passes(&plugin, &Params::new());
    std::fs::write(root.join("val.csv"), "filename,label\nn99.jpg,n99\n").unwrap();
    let why = refusal(&plugin, &Params::new());
    assert!(why.contains("val.csv") && why.contains("line 2") && why.contains("n99.jpg"), "{why}");
    std::fs::write(root.join("val.csv"), "filename,label\n../../etc/passwd,n99\n").unwrap();
    let why = refusal(&plugin, &Params::new());
    assert!(why.contains("leaves its folder"), "{why}");
    std::fs::write(root.join("val.csv"), "filename,label\nn0100001.jpg,n01\n").unwrap();
    let why = refusal(&plugin, &Params::new());
    assert!(why.contains("class `n01` is in `train` and in `val`"), "{why}");
}

/// train, val and test with one folder a class, for both plugins that read it.
#[test]
fn folders_are_read_in_colour_and_grey() {
    let folder = tempfile::tempdir().unwrap();
    for plugin in ["miniimagenet", "pictures"] {
        let images: Vec<Entry> = [("train", "a"), ("train", "b"), ("val", "c"), ("test", "d")]
            .iter()
            .flat_map(|(split, class)| {
                [1, 2].map(|i| {
                    entry(&format!("{plugin}/{split}/{class}/{i}.png"), {
                        encoded(photograph(30, 20, [255, 255, 255 * (i - 1)]).into(), ImageFormat::Png)
                    })
                })
            })
            .collect();
        write(&images, &folder.path().join(plugin), true);
    }
    let expected = [("train".to_owned(), 2), ("val".to_owned(), 1), ("test".to_owned(), 1)];
    let plugin = plugin_in("miniimagenet", folder.path());
    assert_eq!(splits(&plugin.data(&Params::new()).unwrap()), expected);
    let plugin = plugin_in("imagefolder", folder.path());
    let wanted = params(&[
        ("folder", text("pictures")),
        ("height", ParamValue::Int(10)),
        ("width", ParamValue::Int(12)),
        ("colours", text("grey")),
        ("invert", ParamValue::Bool(true)),
    ]);
    let mut data = plugin.data(&wanted).unwrap();
    assert_eq!(splits(&data), expected);
    assert_eq!(data.spaces().item_shape, [10, 12, 1]);
    let mut out = vec![9.0; 2 * 120];
    data.read(0, 0, &[1, 0], &mut out).unwrap();
    assert!(out[..120].iter().all(|x| *x == 0.0), "white inverted is 0");
    assert!(out[120..].iter().all(|x| (0.01..0.2).contains(x)), "yellow is nearly as light as white");
    every_check_passes(&plugin, &wanted);
    let why = refusal(&plugin, &Params::new());
    assert!(
        why.contains("folder images or archive images.zip") && why.contains("mamlx data import"),
        "{why}"
    );
}
