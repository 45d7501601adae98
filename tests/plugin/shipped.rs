//! The plugins of this repository.

use super::load;
use crate::libraries;
use mamlx::plugin::report::{self, Info};
use mamlx::plugin::{self, Outcome, Places, SearchPath};
use std::path::Path;

const SHIPPED: &[&str] = &["ant", "cheetah", "point", "sinusoid", "sinusoid_sequence"];
/// Those whose whole README is generated.
const GENERATED: &[&str] =
    &["imagefolder", "miniimagenet", "omniglot", "point", "sinusoid", "sinusoid_sequence"];

#[test]
fn they_pass_every_check() {
    for name in SHIPPED {
        let findings = plugin::check(&load(name), &Default::default()).unwrap();
        for finding in &findings {
            assert_ne!(finding.outcome, Outcome::Fail, "{name}: {finding}");
        }
        assert!(findings.len() >= 9, "{name} has {} findings", findings.len());
    }
}

/// With MAMLX_BLESS=1 in the environment the pages are written instead of compared.
#[test]
fn their_readme_is_what_info_prints() {
    for name in GENERATED {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins").join(name).join("README.md");
        // Without places to look for data, so that the page does not depend on what this machine has.
        let expected = Info::of(&load(name).with_places(Places::default())).markdown();
        if std::env::var_os("MAMLX_BLESS").is_some() {
            std::fs::write(&page, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&page).unwrap_or_default();
        assert_eq!(found, expected, "{} is stale: MAMLX_BLESS=1 cargo test --release readme", page.display());
    }
}

#[test]
fn info_tells_what_the_descriptor_and_an_instance_say() {
    let path = SearchPath { folders: vec![libraries::folder()], ..Default::default() };
    let info = report::info(&path, "point").unwrap();
    let json = info.json();
    assert_eq!(json["id"], "point");
    assert_eq!(json["kind"], "env");
    assert_eq!(json["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(json["parameters"][0]["choices"][1], "squared_distance");
    assert_eq!(json["action"][0]["low"], -0.1);
    assert_eq!(json["observation"][0]["high"], serde_json::Value::Null);
    assert!(info.text().contains("goal_x"));
}

#[test]
fn list_shows_every_plugin_without_loading_it() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(libloading::library_filename("point"));
    std::fs::copy(libraries::library("point"), &copy).unwrap();
    std::fs::write(folder.path().join(libloading::library_filename("broken")), "not a library").unwrap();
    let path =
        SearchPath { folders: vec![folder.path().to_owned(), libraries::folder()], ..Default::default() };
    let text = report::list_text(&path);
    assert!(text.contains("sinusoid") && text.contains("cannot be used"), "{text}");
    let json = report::list_json(&path);
    let points: Vec<_> = json.as_array().unwrap().iter().filter(|entry| entry["id"] == "point").collect();
    assert_eq!(points.iter().map(|entry| entry["shadowed"] == true).collect::<Vec<_>>(), [false, true]);
    assert_eq!(path.find("point").unwrap(), copy);
}

#[test]
fn folders_are_searched_in_the_documented_order() {
    let variable = std::env::join_paths(["/variable/one", "/variable/two"]).unwrap();
    let path = SearchPath::of(&["/line".into()], Some(variable), Some("/bin/mamlx".into()));
    let folders: Vec<&str> = path.folders.iter().map(|folder| folder.to_str().unwrap()).collect();
    assert_eq!(folders, ["/line", "/variable/one", "/variable/two", "/bin"]);
}

#[test]
fn a_plugin_that_is_not_there_is_answered_with_what_is() {
    let path = SearchPath { folders: vec!["/nowhere".into(), libraries::folder()], ..Default::default() };
    let error = path.find("piont").unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let text = error.to_string();
    for expected in
        ["no plugin `piont`", "/nowhere", "did you mean `point`?", "plugins found:", "--plugin-path"]
    {
        assert!(text.contains(expected), "{expected} is not in: {text}");
    }
}

/// The paper's numbers come through the interface: standing still on the sampled goals of `point`.
#[test]
fn batches_and_episodes_that_are_over_work_through_the_door() {
    let mut env = load("point").env(&Default::default(), 3).unwrap();
    let mut obs = [0.0; 6];
    env.reset(&[0, 1, 2], &[1, 2, 3], &[0.05, 0.0, 0.3, 0.4, -0.1, 0.1], &mut obs).unwrap();
    assert_eq!(obs, [0.0; 6]);
    let (mut rewards, mut terminated) = ([0.0; 3], [9; 3]);
    let actions = [0.05, 0.0, 0.1, 0.1, -0.1, 0.1];
    env.step(&[0, 1, 2], &actions, &mut obs, &mut rewards, &mut terminated).unwrap();
    assert_eq!(terminated, [1, 0, 1]);
    assert!((rewards[1] + (0.2f32 * 0.2 + 0.3 * 0.3).sqrt()).abs() < 1e-6);
    let mut one = [0.0; 2];
    env.step(&[1], &[0.1, 0.1], &mut one, &mut rewards[..1], &mut terminated[..1]).unwrap();
    assert_eq!(one, [0.2, 0.2]);
    let error = env.step(&[0], &[0.0, 0.0], &mut one, &mut rewards[..1], &mut terminated[..1]).unwrap_err();
    assert!(error.to_string().contains("slot 0") && error.to_string().contains("seed 1"), "{error}");
}
