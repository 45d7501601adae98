//! Locks, kills, edits, damage and power cuts: what is saved stays saved, and going on gives the bytes of an unbroken run.

mod journal;
mod power_loss;

use super::record::{eval_row, goal_names, identity, refusal, started, train_row};
use mamlx::random::{Purpose, stream};
use mamlx::record::checkpoint::Damage;
use mamlx::record::folder::{EVAL_FILE, TRAIN_FILE};
use mamlx::record::*;
use rand::Rng;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const CHILD_FOLDER: &str = "MAMLX_TEST_RECORD_FOLDER";
const ITERATIONS: u64 = 240;

#[test]
fn a_second_owner_is_refused_by_name_until_the_first_is_gone() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("new folder/ü");
    let first = RunFolder::open(&path).unwrap();
    let error = refusal(RunFolder::open(&path));
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(first);
    RunFolder::open(&path).unwrap();
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(refusal(RunFolder::open(&file)).exit_code(), 3);
}

fn stamp() -> Stamp {
    let plugins = BTreeMap::from([("point".to_string(), "ab12".to_string())]);
    Stamp { spec_hash: "5f3a".to_string(), version: "0.1.0".to_string(), plugins }
}

fn progress_at(iteration: u64) -> BTreeMap<String, Vec<u8>> {
    let mut bytes = Packer::new();
    bytes.u64(iteration).f32s(&[iteration as f32, f32::NAN, -0.0]).text("Ümlaut");
    BTreeMap::from([("maml".to_string(), bytes.finish())])
}

fn iteration_of(checkpoint: &Checkpoint) -> u64 {
    Unpacker::new(&checkpoint.progress["maml"]).u64().unwrap()
}

/// One meta-iteration of a pretended run: its rows are a function of its number alone, as in a real run.
fn work(folder: &mut RunFolder, iteration: u64) {
    folder.train(&train_row(iteration)).unwrap();
    if iteration.is_multiple_of(5) {
        for task in 0..3 {
            folder.eval(&eval_row(iteration, "maml", task, 1, -(iteration as f32) / 7.0)).unwrap();
        }
    }
    folder.flush().unwrap();
    if iteration.is_multiple_of(3) {
        folder.commit(&stamp(), progress_at(iteration)).unwrap();
    }
}

fn results(path: &Path) -> [Vec<u8>; 2] {
    [TRAIN_FILE, EVAL_FILE].map(|name| fs::read(path.join(name)).unwrap())
}

/// The same call a restarted command makes: lock, newest checkpoint, cut back, go on to the end.
fn run_to(path: &Path, last: u64) -> RunFolder {
    let mut folder = RunFolder::open(path).unwrap();
    let found = folder.newest_checkpoint().unwrap();
    folder.begin(identity(), &goal_names(), found.checkpoint.as_ref()).unwrap();
    for iteration in found.checkpoint.as_ref().map_or(0, iteration_of) + 1..=last {
        work(&mut folder, iteration);
    }
    folder
}

#[test]
fn stopping_anywhere_and_going_on_gives_the_same_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let unbroken = temp.path().join("unbroken");
    drop(run_to(&unbroken, 40));
    for first in [1, 2, 3, 4, 16, 30, 39] {
        let broken = temp.path().join(format!("broken{first}"));
        let mut folder = run_to(&broken, first);
        // Rows that never reach a checkpoint: one handed over whole, one torn, one still in memory.
        folder.train(&train_row(999)).unwrap();
        folder.flush().unwrap();
        folder.train(&train_row(1000)).unwrap();
        drop(folder);
        let torn = [fs::read(broken.join(EVAL_FILE)).unwrap(), b"points,s7-ab".to_vec()].concat();
        fs::write(broken.join(EVAL_FILE), torn).unwrap();
        drop(run_to(&broken, 40));
        assert_eq!(results(&broken), results(&unbroken), "stopped after {first}");
    }
}

/// Not a test of its own: the process that the next test kills.
#[test]
#[ignore = "the child of kill_nine_at_any_instant_loses_nothing"]
fn child_that_gets_killed() {
    let path = PathBuf::from(std::env::var_os(CHILD_FOLDER).expect("started by the test that kills it"));
    let mut folder = RunFolder::open(&path).unwrap();
    let found = folder.newest_checkpoint().unwrap();
    folder.begin(identity(), &goal_names(), found.checkpoint.as_ref()).unwrap();
    for iteration in found.checkpoint.as_ref().map_or(0, iteration_of) + 1..=ITERATIONS {
        work(&mut folder, iteration);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn kill_nine_at_any_instant_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let (unbroken, broken) = (temp.path().join("unbroken"), temp.path().join("broken"));
    drop(run_to(&unbroken, ITERATIONS));
    let whole = fs::metadata(unbroken.join(TRAIN_FILE)).unwrap().len();
    let spawn = || {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "durability::child_that_gets_killed", "--ignored"])
            .env(CHILD_FOLDER, &broken)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut random = stream(2, Purpose::Init, 0, 0, 0);
    let mut kills = 0;
    for eighth in 1..=6 {
        let mut child = spawn();
        let enough = whole * eighth / 8;
        let length = || fs::metadata(broken.join(TRAIN_FILE)).map_or(0, |file| file.len());
        while length() < enough && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        std::thread::sleep(std::time::Duration::from_micros(u64::from(random.next_u32() % 9000)));
        child.kill().unwrap();
        kills += u32::from(child.wait().unwrap().code().is_none());
    }
    assert!(kills >= 3, "the child should be killed at work, not finish first; killed {kills} times");
    drop(run_to(&broken, ITERATIONS));
    assert_eq!(results(&broken), results(&unbroken));
}

#[test]
fn a_csv_that_was_edited_stops_the_run_and_is_not_touched() {
    let temp = tempfile::tempdir().unwrap();
    drop(run_to(temp.path(), 6));
    let found = RunFolder::open(temp.path()).unwrap().newest_checkpoint().unwrap();
    let checkpoint = found.checkpoint.unwrap();
    let train = temp.path().join(TRAIN_FILE);
    let whole = fs::read(&train).unwrap();
    let complaint = || refusal(started(temp.path(), Some(&checkpoint)));

    fs::write(&train, &whole[..whole.len() - 1]).unwrap();
    let error = complaint();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains(&format!("made at {}", whole.len())), "{error}");
    assert_eq!(fs::read(&train).unwrap(), whole[..whole.len() - 1]);

    fs::write(&train, [b"# note\n", &whole[..]].concat()).unwrap();
    assert!(complaint().to_string().contains("its header is not experiment,run"));
    fs::write(&train, [&whole[..whole.len() - 1], b"9\n"].concat()).unwrap();
    assert!(complaint().to_string().contains("no row ends at byte"));
    fs::remove_file(&train).unwrap();
    assert!(complaint().to_string().contains("it is gone"));
    fs::write(&train, &whole).unwrap();
    started(temp.path(), Some(&checkpoint)).unwrap();
}

fn small_checkpoint() -> Checkpoint {
    let lengths = Lengths { train: 1234, eval: 99, timing: 7 };
    Checkpoint { number: 3, stamp: stamp(), lengths, progress: progress_at(17) }
}

#[test]
fn every_flipped_byte_and_every_cut_of_a_checkpoint_is_found() {
    let whole = small_checkpoint().to_bytes();
    assert_eq!(Checkpoint::from_bytes(&whole), Ok(small_checkpoint()));
    for at in 0..whole.len() {
        for flip in 1..=255 {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            assert!(Checkpoint::from_bytes(&damaged).is_err(), "byte {at} flipped by {flip:#x}");
        }
        assert!(Checkpoint::from_bytes(&whole[..at]).is_err(), "cut to {at} bytes");
    }
    assert_eq!(Checkpoint::from_bytes(&[&whole[..], b"\0"].concat()), Err(Damage::Length));
    assert_eq!(Checkpoint::from_bytes(b"PK\x03\x04"), Err(Damage::NotACheckpoint));
    let mut payload = whole.clone();
    let at = whole.windows(4).position(|window| window == b"5f3a").unwrap();
    payload[at] = b'6';
    assert_eq!(Checkpoint::from_bytes(&payload), Err(Damage::Section("stamp".to_string())));
    let last = whole.len() - 1;
    payload = whole;
    payload[last] ^= 1;
    assert_eq!(Checkpoint::from_bytes(&payload), Err(Damage::Whole));
}

#[test]
fn two_checkpoints_are_kept_and_a_damaged_one_is_passed_over_aloud() {
    let temp = tempfile::tempdir().unwrap();
    drop(run_to(temp.path(), 12));
    let names = |prefix: &str| {
        let mut names: Vec<String> = fs::read_dir(temp.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(prefix))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("checkpoint"), ["checkpoint.3", "checkpoint.4"]);
    for (name, bytes) in
        [("checkpoint.5.tmp", "half"), ("run.json.tmp", ""), ("mine.tmp", ""), ("checkpoint.007", "")]
    {
        fs::write(temp.path().join(name), bytes).unwrap();
    }
    let newest = temp.path().join("checkpoint.4");
    let whole = fs::read(&newest).unwrap();
    fs::write(&newest, &whole[..100]).unwrap();
    let mut folder = RunFolder::open(temp.path()).unwrap();
    assert_eq!(names("")[..5], [".lock", "checkpoint.007", "checkpoint.3", "checkpoint.4", "eval.csv"]);
    assert_eq!(names("mine"), ["mine.tmp"], "other people's files stay");
    let found = folder.newest_checkpoint().unwrap();
    assert!(found.notes[0].contains("checkpoint.4: it is cut short"), "{:?}", found.notes);
    let checkpoint = found.checkpoint.unwrap();
    assert_eq!((checkpoint.number, iteration_of(&checkpoint)), (3, 9));
    folder.begin(identity(), &goal_names(), Some(&checkpoint)).unwrap();
    assert_eq!(folder.commit(&stamp(), progress_at(10)).unwrap().number, 4, "the damaged one is replaced");
    assert_eq!(folder.newest_checkpoint().unwrap().checkpoint.map(|newest| iteration_of(&newest)), Some(10));

    fs::write(&newest, &whole[1..]).unwrap();
    fs::write(temp.path().join("checkpoint.3"), "").unwrap();
    let error = refusal(folder.newest_checkpoint());
    assert!(
        error.exit_code() == 2 && error.to_string().contains("none of its checkpoints is whole"),
        "{error}"
    );
    folder.clear_checkpoints().unwrap();
    assert!(folder.newest_checkpoint().unwrap().checkpoint.is_none());
}

#[test]
fn a_checkpoint_of_another_format_is_refused_not_passed_over() {
    use sha2::{Digest, Sha256};
    let mut bytes = small_checkpoint().to_bytes();
    bytes.truncate(bytes.len() - 32);
    bytes[8] = 2;
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    assert_eq!(Checkpoint::from_bytes(&bytes), Err(Damage::Version(2)));
    let temp = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(temp.path()).unwrap();
    fs::write(temp.path().join("checkpoint.2"), small_checkpoint().to_bytes()).unwrap();
    assert!(refusal(folder.newest_checkpoint()).to_string().contains("inside, it is checkpoint 3"));
    fs::write(temp.path().join("checkpoint.3"), bytes).unwrap();
    assert!(refusal(folder.newest_checkpoint()).to_string().contains("it is of format 2"));
}

#[test]
fn a_stamp_says_what_changed() {
    let mut now = stamp();
    let keys = ["seed: saved with 0, now 5".to_string()];
    assert!(stamp().differences(&now, vec![]).is_empty());
    now.spec_hash = "6000".to_string();
    now.plugins = BTreeMap::from([("cheetah".to_string(), "cd34".to_string())]);
    let lines = stamp().differences(&now, keys.to_vec());
    assert_eq!((lines.len(), &lines[0]), (3, &keys[0]));
    let lines = stamp().differences(&now, vec![]);
    assert_eq!(lines.len(), 3);
    assert!(lines[0].contains("saved with 5f3a, now 6000"));
    assert!(lines[1].contains("cheetah") && lines[1].ends_with("saved with none, now cd34"));
}
