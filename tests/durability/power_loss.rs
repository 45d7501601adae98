//! A power cut takes what was not synced: any writes, names and cuts since the last sync of their file or folder, whole
//! or in part, in any mixture. Whatever it takes, the run finds a completed meta-iteration afterwards, never an older
//! one than it had gone on from, and ends with the bytes of an undisturbed run.
//!
//! The calls of real runs are recorded once and cut in memory: a new run, runs that go on after a cut, and a run that
//! starts over in the folder of a finished one. Without strace these tests say so and end.

use super::journal::{Journal, Step, Tree, plant, record, tree_of};
use crate::faults::{SPEC, TINY, strace_is_here, undisturbed};
use crate::run::{assert_same, run};
use mamlx::random::{Purpose, Stream, stream};
use mamlx::record::folder::{EVAL_FILE, SPEC_FILE, SUMMARY_FILE, TIMING_FILE, TRAIN_FILE, WEIGHTS_FILE};
use mamlx::record::row::{EVAL_HEADER, TASK_PREFIX};
use mamlx::record::{Checkpoint, Identity, Manifest, RunFolder, Status, Weights};
use rand::RngExt;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::OnceLock;

/// The run folder, below two that are new as well.
const OUT: &str = "results/tiny/run";
const HISTORIES: u64 = 10_000;
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

fn checkpoint_number(name: &str) -> Option<u64> {
    name.strip_prefix(OUT)?.strip_prefix("/checkpoint.")?.parse().ok()
}

fn in_run(name: &str) -> String {
    format!("{OUT}/{name}")
}

/// A change of a file that its next sync makes durable.
enum Change<'a> {
    Write(usize, &'a [u8]),
    Cut(usize),
}

/// What a name stands for: nothing, a folder, a numbered file.
#[derive(Clone, Copy)]
enum Entry {
    Nothing,
    Folder,
    File(usize),
}

/// What is on the disk for certain, and what may be.
struct Disk<'a> {
    files: Vec<(Vec<u8>, Vec<Change<'a>>)>,
    names: BTreeMap<String, (Entry, Vec<Entry>)>,
}

/// How much of what was not synced a cut leaves.
#[derive(Clone, Copy)]
enum Leaves {
    Nothing,
    Everything,
    /// Each change with this probability, and writes in part.
    Some(f64),
}

impl<'a> Disk<'a> {
    fn after(base: &Tree, steps: &'a [Step]) -> Disk<'a> {
        let mut disk = Disk { files: vec![], names: BTreeMap::new() };
        for (name, bytes) in base {
            let entry = match bytes {
                None => Entry::Folder,
                Some(bytes) => {
                    disk.files.push((bytes.clone(), vec![]));
                    Entry::File(disk.files.len() - 1)
                }
            };
            disk.names.insert(name.clone(), (entry, vec![]));
        }
        steps.iter().for_each(|step| disk.take(step));
        disk
    }

    fn take(&mut self, step: &'a Step) {
        match step {
            Step::Folder(name) => self.name(name, Entry::Folder),
            Step::Create { name, file } => {
                assert_eq!(*file, self.files.len());
                self.files.push((vec![], vec![]));
                self.name(name, Entry::File(*file));
            }
            Step::Write { file, at, bytes } => self.files[*file].1.push(Change::Write(*at, bytes)),
            Step::Cut { file, length } => self.files[*file].1.push(Change::Cut(*length)),
            Step::Rename { from, to } => {
                let (settled, since) = &self.names[from];
                let entry = *since.last().unwrap_or(settled);
                // A cut may leave both names, or neither.
                self.name(to, entry);
                self.name(from, Entry::Nothing);
            }
            Step::Remove(name) => self.name(name, Entry::Nothing),
            Step::SyncFile { file, .. } => {
                let (settled, since) = &mut self.files[*file];
                since.drain(..).for_each(|change| apply(settled, &change, None));
            }
            Step::SyncFolder(folder) => {
                for (name, (settled, since)) in &mut self.names {
                    if parent(name) == folder {
                        *settled = since.drain(..).next_back().unwrap_or(*settled);
                    }
                }
            }
        }
    }

    fn name(&mut self, name: &str, entry: Entry) {
        self.names.entry(name.to_string()).or_insert((Entry::Nothing, vec![])).1.push(entry);
    }

    /// What may be there when the power is back.
    fn cut(&self, leaves: Leaves, random: &mut Stream) -> Tree {
        let stays = |random: &mut Stream| match leaves {
            Leaves::Nothing => false,
            Leaves::Everything => true,
            Leaves::Some(share) => random.random_bool(share),
        };
        let mut tree = Tree::new();
        for (name, (settled, since)) in &self.names {
            let entry = since.iter().rfind(|_| stays(random)).unwrap_or(settled);
            let folder = parent(name);
            let reachable = folder.is_empty() || tree.contains_key(folder);
            match entry {
                Entry::Folder if reachable => {
                    tree.insert(name.clone(), None);
                }
                Entry::File(file) if reachable => {
                    let (settled, since) = &self.files[*file];
                    let mut bytes = settled.clone();
                    for change in since {
                        if stays(random) {
                            let torn = matches!(leaves, Leaves::Some(_)).then_some(&mut *random);
                            apply(&mut bytes, change, torn);
                        }
                    }
                    tree.insert(name.clone(), Some(bytes));
                }
                _ => {}
            }
        }
        tree
    }
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Does a change to the bytes of a file: whole, or torn at any byte, sector by sector, or with rubbish between.
fn apply(file: &mut Vec<u8>, change: &Change, torn: Option<&mut Stream>) {
    let (at, bytes) = match change {
        Change::Cut(length) => return file.resize(*length, 0),
        Change::Write(at, bytes) => (*at, *bytes),
    };
    let mut put = |from: usize, to: usize| {
        if file.len() < at + to {
            file.resize(at + to, 0);
        }
        file[at + from..at + to].copy_from_slice(&bytes[from..to]);
    };
    let Some(random) = torn else { return put(0, bytes.len()) };
    match random.random_range(0..4) {
        0 => put(0, bytes.len()),
        1 => put(0, random.random_range(0..=bytes.len())),
        way => {
            for from in (0..bytes.len()).step_by(SECTOR) {
                if random.random_bool(0.5) {
                    put(from, (from + SECTOR).min(bytes.len()));
                }
            }
            if way == 3 {
                // The length arrived before the data: what was on the disk there shows.
                let length = file.len().max(at + bytes.len());
                file.resize_with(length, || random.random());
            }
        }
    }
}

/// The number of the checkpoint that the run relies on after these steps: it has gone on to something else since.
fn relied_on(base: &Tree, steps: &[Step]) -> u64 {
    let mut newest = base.keys().filter_map(|name| checkpoint_number(name)).max().unwrap_or(0);
    let mut relied = newest;
    for step in steps {
        match step {
            Step::Rename { to, .. } if checkpoint_number(to).is_some() => {
                newest = checkpoint_number(to).unwrap_or(0);
                continue;
            }
            // Deleting more than what lies before the predecessor is starting over.
            Step::Remove(name) if checkpoint_number(name).is_some_and(|number| number + 2 > newest) => {
                newest = 0
            }
            Step::SyncFolder(_) => continue,
            _ => {}
        }
        relied = newest;
    }
    relied
}

/// What the undisturbed run has, to hold against what is found.
struct Truth {
    checkpoints: BTreeMap<u64, Checkpoint>,
    files: Tree,
    weights: Weights,
    tasks: Vec<String>,
    identity: Identity,
}

impl Truth {
    fn of(journal: &Journal) -> Truth {
        let mut checkpoints = BTreeMap::new();
        for (at, step) in journal.steps.iter().enumerate() {
            let Step::Rename { to, .. } = step else { continue };
            if let Some(number) = checkpoint_number(to) {
                let disk = Disk::after(&journal.base, &journal.steps[..=at]);
                let tree = disk.cut(Leaves::Everything, &mut stream(0, Purpose::Init, 0, 0, 0));
                let bytes = tree[to].as_deref().unwrap();
                checkpoints.insert(number, Checkpoint::from_bytes(bytes).unwrap());
            }
        }
        let header = String::from_utf8(file_in(&journal.end, EVAL_FILE).to_vec()).unwrap();
        let columns = header.lines().next().unwrap().split(',').skip(EVAL_HEADER.len());
        let manifest: Manifest = serde_json::from_slice(file_in(&journal.end, "run.json")).unwrap();
        Truth {
            checkpoints,
            files: journal.end.clone(),
            weights: Weights::read(&undisturbed().join(WEIGHTS_FILE)).unwrap(),
            tasks: columns.map(|column| column.strip_prefix(TASK_PREFIX).unwrap().to_string()).collect(),
            identity: Identity { experiment: manifest.experiment, run: manifest.run, seed: manifest.seed },
        }
    }

    fn file(&self, name: &str) -> &[u8] {
        file_in(&self.files, name)
    }
}

fn file_in<'a>(tree: &'a Tree, name: &str) -> &'a [u8] {
    tree[&in_run(name)].as_deref().expect("a file")
}

fn demand(holds: bool, what: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// Opens a folder as a run does that is started again, and holds what it finds against the truth.
fn found(folder: &Path, truth: &Truth, timings: &[&[u8]], least: u64) -> Result<(), String> {
    let text = |error: mamlx::error::Error| error.to_string();
    let mut run = RunFolder::open(folder).map_err(text)?;
    let read = |name: &str| std::fs::read(folder.join(name)).map_err(|error| format!("{name}: {error}"));
    if folder.join(SPEC_FILE).exists() {
        demand(read(SPEC_FILE)? == truth.file(SPEC_FILE), "another spec.yaml")?;
    }
    let done = run.manifest().map_err(text)?.is_some_and(|manifest| manifest.status == Status::Done);
    for name in [TRAIN_FILE, EVAL_FILE, SUMMARY_FILE, WEIGHTS_FILE] {
        demand(!done || read(name)? == truth.file(name), format!("done, but another {name}"))?;
    }
    let newest = run.newest_checkpoint().map_err(text)?;
    demand(newest.notes.is_empty(), newest.notes.join("; "))?;
    let number = newest.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.number);
    demand(number >= least, format!("checkpoint {number} was found, and the run had gone on from {least}"))?;
    demand(!done || number > 0, "done, but no checkpoint")?;
    run.begin(truth.identity.clone(), &truth.tasks, newest.checkpoint.as_ref()).map_err(text)?;
    let Some(checkpoint) = newest.checkpoint else { return Ok(()) };
    let true_one = truth.checkpoints.get(&number).ok_or("a checkpoint that never was")?;
    let (lengths, true_lengths) = (checkpoint.lengths, true_one.lengths);
    demand(checkpoint.progress == true_one.progress, format!("checkpoint {number} is of another iteration"))?;
    demand(checkpoint.stamp == true_one.stamp, "another stamp")?;
    demand((lengths.train, lengths.eval) == (true_lengths.train, true_lengths.eval), "other lengths")?;
    for (name, length) in [(TRAIN_FILE, lengths.train), (EVAL_FILE, lengths.eval)] {
        demand(read(name)? == truth.file(name)[..length as usize], format!("another {name}"))?;
    }
    let timing = read(TIMING_FILE)?;
    demand(timings.iter().any(|whole| whole.starts_with(&timing)), format!("another {TIMING_FILE}"))?;
    // Every evaluation in the table has its weights.
    let table = String::from_utf8(read(EVAL_FILE)?).map_err(|error| error.to_string())?;
    let evaluated: BTreeSet<String> = table
        .lines()
        .skip(1)
        .map(|row| {
            let cells: Vec<&str> = row.split(',').collect();
            format!("{}/{}/", cells[4], cells[3])
        })
        .collect();
    let weights = Weights::read(&folder.join(WEIGHTS_FILE)).map_err(text)?;
    for tensor in &truth.weights.tensors {
        let wanted = evaluated.iter().any(|prefix| tensor.name.starts_with(prefix));
        demand(!wanted || weights.get(&tensor.name) == Some(tensor), format!("no weights {}", tensor.name))?;
    }
    Ok(())
}

/// Cuts a run at a random place with random losses, `cases` times, and at every place with all and with nothing lost.
/// Returns the number of different states that were looked at.
fn histories(journal: &Journal, truth: &Truth, seed: u64, cases: u64) -> Result<usize, String> {
    let folder = fast_folder();
    let timing = in_run(TIMING_FILE);
    let timings: Vec<&[u8]> =
        [&journal.base, &journal.end].iter().filter_map(|tree| tree.get(&timing)?.as_deref()).collect();
    let mut seen = HashSet::new();
    let places = journal.steps.len() as u64 + 1;
    for case in 0..cases + 2 * places {
        let mut random = stream(seed, Purpose::Init, case, 0, 0);
        let (at, leaves) = match case.checked_sub(cases) {
            None => (random.random_range(0..places), Leaves::Some(random.random_range(0.0..1.0))),
            Some(n) if n < places => (n, Leaves::Nothing),
            Some(n) => (n - places, Leaves::Everything),
        };
        let steps = &journal.steps[..at as usize];
        let least = relied_on(&journal.base, steps);
        let tree = Disk::after(&journal.base, steps).cut(leaves, &mut random);
        if !seen.insert((tree.clone(), least)) {
            continue;
        }
        plant(folder.path(), &tree);
        found(&folder.path().join(OUT), truth, &timings, least).map_err(|why| {
            let lists = |tree: Tree| tree.into_keys().collect::<Vec<_>>().join(", ");
            format!("case {case}, cut after {at} of {places} steps: {why}; there were {}", lists(tree))
        })?;
    }
    Ok(seen.len())
}

/// In memory where the system has such a place: the states are many, and nobody cuts the power of the test.
fn fast_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A state in which the run relies on this checkpoint and a table ends in rows that were torn.
fn torn_after(journal: &Journal, truth: &Truth, number: u64) -> Tree {
    (0..)
        .find_map(|case| {
            let mut random = stream(5, Purpose::Init, case, number as u32, 0);
            let at = random.random_range(0..journal.steps.len());
            let tree = Disk::after(&journal.base, &journal.steps[..at]).cut(Leaves::Some(0.5), &mut random);
            let torn = relied_on(&journal.base, &journal.steps[..at]) == number
                && tree
                    .get(&in_run(EVAL_FILE))
                    .is_some_and(|file| !truth.file(EVAL_FILE).starts_with(file.as_deref().unwrap()))
                && tree.keys().any(|name| name.ends_with(".tmp"));
            torn.then_some(tree)
        })
        .expect("the search goes on until it finds one")
}

/// The runs that are cut, each with its name.
fn journals() -> &'static (Truth, Vec<(&'static str, Journal)>) {
    static JOURNALS: OnceLock<(Truth, Vec<(&'static str, Journal)>)> = OnceLock::new();
    JOURNALS.get_or_init(|| {
        let from = |base: &Tree, more: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            plant(folder.path(), base);
            let journal = record(folder.path(), OUT, more);
            assert_same(undisturbed(), &folder.path().join(OUT), "recorded");
            journal
        };
        let new = from(&Tree::new(), &[]);
        let truth = Truth::of(&new);
        assert!(truth.checkpoints.len() >= 4, "{} checkpoints", truth.checkpoints.len());
        let again = [2, 3].map(|number| from(&torn_after(&new, &truth, number), &[]));
        let over = from(&new.end, &["--fresh"]);
        let [second, third] = again;
        let all = vec![("new", new), ("after 2", second), ("after 3", third), ("over", over)];
        (truth, all)
    })
}

#[test]
fn whatever_a_power_cut_takes_a_completed_iteration_is_found() {
    if !strace_is_here() {
        return;
    }
    let (truth, journals) = journals();
    let mut states = 0;
    for (seed, (name, journal)) in journals.iter().enumerate() {
        let cases = HISTORIES / journals.len() as u64;
        states += histories(journal, truth, seed as u64, cases).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    eprintln!("{HISTORIES} histories, {states} different states, nothing lost");
    assert!(states > 1000, "only {states} different states");
}

#[test]
fn after_a_power_cut_the_same_command_ends_with_the_same_bytes() {
    if !strace_is_here() {
        return;
    }
    for (name, journal) in &journals().1 {
        for part in [3, 6, 9] {
            let at = journal.steps.len() * part / 10;
            let mut random = stream(7, Purpose::Init, at as u64, 0, 0);
            let tree = Disk::after(&journal.base, &journal.steps[..at]).cut(Leaves::Some(0.5), &mut random);
            let folder = tempfile::tempdir().unwrap();
            plant(folder.path(), &tree);
            let out = folder.path().join(OUT);
            run(SPEC, &out, &[&TINY[..], &["--threads", "1"]].concat());
            assert_same(undisturbed(), &out, &format!("{name}, cut after {at} steps"));
            assert!(tree_of(&out).keys().all(|name| !name.ends_with(".tmp")), "unfinished files are swept");
        }
    }
}

/// The test of these tests: were any kind of sync missing, a history would show it.
#[test]
fn without_any_one_kind_of_sync_the_loss_is_noticed() {
    if !strace_is_here() {
        return;
    }
    let (truth, journals) = journals();
    let kinds = |step: &Step| match step {
        Step::SyncFile { name, .. } if name.contains("/checkpoint.") => Some("a checkpoint".to_string()),
        // Pictures are drawn again from the tables.
        Step::SyncFile { name, .. } if name.ends_with(".svg.tmp") => None,
        Step::SyncFile { name, .. } => Some(name.clone()),
        Step::SyncFolder(name) => Some(format!("the folder {name}")),
        _ => None,
    };
    let all: BTreeSet<String> =
        journals.iter().flat_map(|(_, journal)| &journal.steps).filter_map(kinds).collect();
    assert!(all.len() >= 10, "{all:?}");
    for kind in all {
        let noticed = journals.iter().any(|(_, journal)| {
            let mut less = journal.clone();
            less.steps.retain(|step| kinds(step).as_ref() != Some(&kind));
            less.steps.len() < journal.steps.len() && histories(&less, truth, 11, 600).is_err()
        });
        assert!(noticed, "nothing is lost without syncing {kind}");
    }
}
