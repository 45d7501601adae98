//! Datasets come through the same door.

use super::Params;
use crate::libraries;
use mamlx::plugin::report::Info;
use mamlx::plugin::{self, Outcome};
use mamlx::spec::{ParamValue, PluginKind};

#[test]
fn the_example_dataset_passes_every_check() {
    let plugin = plugin::load(&libraries::example("glyphs")).unwrap();
    assert_eq!(plugin.info.kind, PluginKind::Data);
    for finding in plugin::check(&plugin, &Params::new()).unwrap() {
        assert_eq!(finding.outcome, Outcome::Pass, "{finding}");
    }
}

#[test]
fn items_arrive_where_they_were_asked_for() {
    let plugin = plugin::load(&libraries::example("glyphs")).unwrap();
    let params =
        Params::from([("classes".into(), ParamValue::Int(10)), ("noise".into(), ParamValue::Int(0))]);
    let mut data = plugin.data(&params).unwrap();
    let splits = &data.spaces().splits;
    let sizes: Vec<(&str, usize)> = splits.iter().map(|s| (s.name.as_str(), s.classes.len())).collect();
    assert_eq!(sizes, [("train", 6), ("val", 2), ("test", 2)]);
    assert_eq!(splits[2].classes[1].name, "glyph_9");
    // Without noise all items of a class are its glyph, and another class has another.
    let mut out = vec![f32::NAN; 3 * 64];
    data.read(1, 0, &[4, 0, 19], &mut out).unwrap();
    let mut other = vec![f32::NAN; 64];
    data.read(1, 1, &[4], &mut other).unwrap();
    assert_eq!(out[..64], out[64..128]);
    assert_eq!(out[..64], out[128..]);
    assert_ne!(out[..64], other[..]);
    assert!(out.iter().all(|&pixel| pixel == 0.0 || pixel == 1.0));
}

#[test]
fn info_counts_its_splits() {
    let plugin = plugin::load(&libraries::example("glyphs")).unwrap();
    let info = Info::of(&plugin);
    assert!(info.markdown().contains("| val | 10 | 200 |"), "{}", info.markdown());
    assert_eq!(info.json()["splits"][0]["items"], 600);
    assert!(plugin.env(&Params::new(), 1).err().unwrap().to_string().contains("kind data"));
}
