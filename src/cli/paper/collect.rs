//! Run folders and experiment files → the paper's experiments with their runs.

use super::list::Listed;
use crate::cli::runs::settings;
use crate::error::{Error, Result};
use crate::plugin::SearchPath;
use crate::record::folder::{MANIFEST_FILE, SUMMARY_FILE, TIMING_FILE, TRAIN_FILE};
use crate::record::paper::{PaperExperiment, PaperRun, PublishedCurve};
use crate::record::{Manifest, Metric, TimingRow, read};
use crate::run::experiment::Experiment;
use crate::spec::settings::{Settings, differing, settings_of};
use crate::spec::{Spec, Word};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Keys of a spec that change no result, or that the table has a column for.
const BESIDE: [&str; 8] =
    ["name", "seed", "methods", "published", "device", "eval.every", "outer.iterations", "outer.log_every"];
/// Folders below the given one that are looked into.
const DEEPEST: usize = 4;
/// A larger picture is left out of the page.
const LARGEST_PICTURE: u64 = 512 * 1024;

/// Every run folder below a folder, sorted by path.
pub fn run_folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    walk(root, DEEPEST, &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if folder.join(MANIFEST_FILE).is_file() {
        found.push(folder.to_path_buf());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).map_err(Error::io("list the folder", folder))?;
    for entry in entries {
        let path = entry.map_err(Error::io("list the folder", folder))?.path();
        if path.is_dir() {
            walk(&path, depth - 1, found)?;
        }
    }
    Ok(())
}

/// An experiment of the paper with those of the run folders that are its own. `next` brings what is missing.
pub fn collect(
    listed: &Listed,
    spec: &Spec,
    folders: &[PathBuf],
    search: &SearchPath,
    next: String,
) -> Result<PaperExperiment> {
    let shipped = settings_of(&spec.to_yaml(), Path::new(listed.name))?;
    let mut runs = vec![];
    for folder in folders {
        let run = read_run(folder, spec, &shipped, search);
        match run {
            Ok(Some(run)) => runs.push(run),
            Ok(None) => {}
            // One damaged folder must not cost the page.
            Err(error) => eprintln!("mamlx: {} is left out: {error}", folder.display()),
        }
    }
    let published = spec.published.iter().map(|curve| PublishedCurve {
        method: curve.method.word().into(),
        support: curve.support.map(|support| support as u32),
        metric: metric(curve.metric),
        points: curve.steps.iter().zip(&curve.values).map(|(step, value)| (*step as u32, *value)).collect(),
    });
    let all = spec.methods.iter().copied().chain(spec.published.iter().map(|curve| curve.method));
    let planned_otherwise = all
        .filter(|method| method.iterates_otherwise())
        .map(|method| (method.word().to_string(), spec.iterations(method)));
    Ok(PaperExperiment {
        name: spec.name.clone(),
        place: listed.place.into(),
        engine: listed.engine.into(),
        planned: spec.outer.iterations as u64,
        planned_otherwise: planned_otherwise.collect(),
        methods: spec.methods.iter().map(|method| method.word().to_string()).collect(),
        published: published.collect(),
        pictures: pictures(folders, &spec.name)?,
        runs,
        next,
    })
}

fn metric(metric: crate::spec::Metric) -> Metric {
    match metric {
        crate::spec::Metric::Loss => Metric::Loss,
        crate::spec::Metric::Accuracy => Metric::Accuracy,
        crate::spec::Metric::Return => Metric::Return,
    }
}

/// A run folder, if it is of this experiment. One that has only begun has no evaluations yet.
fn read_run(folder: &Path, spec: &Spec, shipped: &Settings, search: &SearchPath) -> Result<Option<PaperRun>> {
    let manifest = Manifest::read(&folder.join(MANIFEST_FILE))?;
    if manifest.experiment != spec.name {
        return Ok(None);
    }
    // Read anew, keys that came later have their defaults, so an older run does not differ for lack of them.
    let (own, unread) = match Experiment::open(&folder.join("spec.yaml"), &[], search) {
        Ok(Experiment { spec, .. }) => (settings_of(&spec.to_yaml(), folder)?, spec.unread()),
        Err(_) => (settings(folder)?, vec![]),
    };
    let summary = folder.join(SUMMARY_FILE);
    let summary = if summary.is_file() { read::read_summary(&summary)? } else { vec![] };
    let mut trained: BTreeMap<String, u64> = BTreeMap::new();
    // A run that is going on may have half a row at the end of these two.
    for row in read::read_train(&folder.join(TRAIN_FILE)).unwrap_or_default() {
        let iteration = trained.entry(row.method).or_default();
        *iteration = row.iteration.max(*iteration);
    }
    let timing = read::read_timing(&folder.join(TIMING_FILE)).unwrap_or_default();
    Ok(Some(PaperRun {
        differs: differs(&own, shipped, &unread),
        manifest,
        summary,
        trained,
        secs: secs(&timing),
    }))
}

/// What a run has otherwise than the file, except for what its methods do not read.
fn differs(own: &Settings, shipped: &Settings, unread: &[String]) -> BTreeMap<String, String> {
    let both = differing(&[own.clone(), shipped.clone()]);
    let below = |path: &str, block: &str| {
        path.strip_prefix(block).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    // A part of the training is on its way; more of it is another experiment.
    let longer = |path: &str, values: &[String]| {
        let iterations = |at: usize| values[at].parse::<u64>().ok();
        path == "outer.iterations" && iterations(0) > iterations(1)
    };
    let beside = |path: &str| BESIDE.contains(&path) || path.starts_with("isolation");
    let read = |path: &str| !unread.iter().any(|block| below(path, block));
    let differing =
        both.into_iter().filter(|(path, values)| (!beside(path) || longer(path, values)) && read(path));
    differing.map(|(path, mut values)| (path, values.swap_remove(0))).collect()
}

/// Seconds of training and evaluation. Not every meta-iteration has a row: those between are taken as long as the mean.
fn secs(rows: &[TimingRow]) -> f64 {
    let mut methods: BTreeMap<&str, (f64, f64, u64)> = BTreeMap::new();
    for row in rows {
        let (sum, count, last) = methods.entry(&row.method).or_default();
        *sum += f64::from(row.total_secs);
        *count += 1.0;
        *last = row.iteration.max(*last);
    }
    let training: f64 = methods.values().map(|(sum, count, last)| sum / count * *last as f64).sum();
    training + rows.iter().filter_map(|row| row.eval_secs).map(f64::from).sum::<f64>()
}

/// Pictures that lie beside an experiment's runs, in the order of their names.
fn pictures(folders: &[PathBuf], experiment: &str) -> Result<Vec<String>> {
    let mut paths = vec![];
    let beside = folders.iter().filter_map(|folder| folder.parent());
    for folder in beside.filter(|folder| folder.file_name().is_some_and(|name| name == experiment)) {
        for entry in std::fs::read_dir(folder).map_err(Error::io("list the folder", folder))? {
            let path = entry.map_err(Error::io("list the folder", folder))?.path();
            let small = path.metadata().is_ok_and(|file| file.is_file() && file.len() <= LARGEST_PICTURE);
            if small && path.extension().is_some_and(|end| end == "svg") && !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let mut pictures = vec![];
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(Error::io("read the picture", &path))?;
        // The page reaches for nothing outside itself.
        if text.starts_with("<svg") && !["<script", "href", "url("].iter().any(|part| text.contains(part)) {
            pictures.push(text);
        }
    }
    Ok(pictures)
}
