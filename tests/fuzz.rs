//! The promise: no text, file or library can crash a reader, hang it or make it take memory.
//!
//! `tests/fuzz/corpus` holds inputs for every reader: right ones, ones that mean harm, and for each sentence of a refusal
//! one that provokes it. They are read here on every test; `tests/fuzz/README.md` says how to go beyond them.

mod targets;

use mamlx::random::{Purpose, stream};
use rand::{Rng, RngExt};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use targets::{TARGETS, Target, tried};

/// All stored inputs together.
const CORPUS_BYTES: usize = 300_000;
/// A longer input is not kept.
const KEPT_BYTES: usize = 2000;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus")).join(target)
}

/// Names and bytes of a target's stored inputs.
fn stored(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_string(), std::fs::read(&path).unwrap())
    };
    let mut inputs: Vec<(String, Vec<u8>)> = files.map(named).collect();
    inputs.sort();
    inputs
}

/// What an answer to one input may take: time, and memory in bytes. A picture may have 4096 × 4096 pixels, and a short
/// file describes them.
fn allowed(target: &str) -> (Duration, u64) {
    let (milliseconds, mebibytes) = match target {
        "archive" | "picture" => (2000, 256),
        _ => (50, 64),
    };
    let slower = if cfg!(debug_assertions) { 20 } else { 1 };
    (Duration::from_millis(milliseconds * slower), mebibytes << 20)
}

/// The answers to an input, and what is wrong if something is: a panic, or the fastest of ten readings was too slow. From
/// the second on only the processor's time counts where the system tells it: others use this machine too.
fn answers(name: &str, target: Target, input: &[u8]) -> Result<Vec<String>, String> {
    let mut best = Duration::MAX;
    for reading in 0..10 {
        let (start, before) = (Instant::now(), if reading > 0 { processor_time() } else { None });
        let answers =
            catch_unwind(AssertUnwindSafe(|| tried(target, input))).map_err(|_| "it panics".to_string())?;
        let spent = before.and_then(|before| processor_time()?.checked_sub(before));
        best = best.min(spent.unwrap_or(start.elapsed()));
        if best <= allowed(name).0 {
            return Ok(answers);
        }
    }
    Err(format!("it takes {best:?}"))
}

/// What this thread has had of the processor, as Linux counts it.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The first words of an answer's last part that are not quoted, so that two inputs on one path have the same.
fn gist(answer: &str) -> String {
    let last = answer.rsplit(": ").next().unwrap_or(answer);
    let parts: Vec<&str> = last.split(['`', '"']).collect();
    // A quoted text may have such signs itself; then only what surrounds all of them is certain.
    let certain: Vec<&str> = match parts.len() {
        1 | 3 | 5 if !answer.starts_with("the override") => parts.into_iter().step_by(2).collect(),
        more => parts.into_iter().skip(more - 1).collect(),
    };
    let words = certain.into_iter().flat_map(|part| part.split(|c: char| !c.is_ascii_alphabetic()));
    words.filter(|word| !word.is_empty()).take(9).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_stored_input_is_answered_in_time() {
    let mut bytes = 0;
    for (name, target) in TARGETS {
        let inputs = stored(name);
        let mut gists = HashSet::new();
        for (file, input) in &inputs {
            bytes += input.len();
            let answers = answers(name, target, input).unwrap_or_else(|why| panic!("{name}/{file}: {why}"));
            gists.extend(answers.iter().map(|answer| gist(answer)));
        }
        assert!(gists.len() >= 2, "{name}: nothing is read, or nothing refused");
    }
    assert!(bytes <= CORPUS_BYTES, "{bytes} bytes are stored");
}

#[test]
fn a_few_mutated_inputs_are_answered_in_time() {
    for (name, target) in TARGETS {
        let found = mutate(name, target, 300, 17, false);
        assert!(found.is_empty(), "{name}: {}", found.join("\n"));
    }
}

/// `INPUTS` says how many for each target, `TARGET` which one, `SEED` which mutations. With `KEEP` an input that provokes
/// a new answer goes into the corpus.
#[test]
#[ignore = "minutes; as many as INPUTS says"]
fn many_mutated_inputs_are_answered_in_time() {
    let number = |name: &str, or: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(or);
    let only = std::env::var("TARGET").ok();
    let mut wrong = 0;
    for (name, target) in TARGETS.into_iter().filter(|(name, _)| only.as_ref().is_none_or(|o| o == name)) {
        let start = Instant::now();
        let inputs = number("INPUTS", 100_000);
        let found = mutate(name, target, inputs, number("SEED", 1), std::env::var_os("KEEP").is_some());
        wrong += found.len();
        found.iter().for_each(|what| eprintln!("{name}: {what}"));
        eprintln!("{name}: {inputs} inputs in {:?}, {} findings", start.elapsed(), found.len());
    }
    assert_eq!(wrong, 0);
}

/// Tries mutations of the stored inputs, and of those among them that provoked a new answer. Returns what was found wrong.
fn mutate(name: &str, target: Target, inputs: u64, seed: u64, keep: bool) -> Vec<String> {
    /// Inputs between two looks at the memory.
    const BATCH: u64 = 256;
    let mut pool: Vec<Vec<u8>> = stored(name).into_iter().map(|(_, input)| input).collect();
    let mut known: HashSet<String> = pool.iter().flat_map(|i| tried(target, i)).map(|a| gist(&a)).collect();
    let (mut found, mut batch) = (vec![], vec![]);
    let mut before = fresh_peak();
    for case in 0..inputs {
        let mut random = stream(seed, Purpose::Init, case, 0, 0);
        let mut input = pool[random.random_range(0..pool.len())].clone();
        let other = &pool[random.random_range(0..pool.len())];
        for _ in 0..random.random_range(1..6) {
            damage(&mut input, other, &mut random);
        }
        match answers(name, target, &input) {
            Err(why) => found.push(reported(name, &input, &why)),
            Ok(answers) => {
                let new = answers.iter().filter(|answer| known.insert(gist(answer))).count() > 0;
                if new && input.len() <= KEPT_BYTES {
                    if keep {
                        std::fs::write(folder(name).join(&digest(&input)[..12]), &input).unwrap();
                    }
                    pool.push(input.clone());
                }
            }
        }
        batch.push(input);
        if batch.len() as u64 == BATCH || case + 1 == inputs {
            if grown(before) > allowed(name).1 {
                for input in &batch {
                    before = fresh_peak();
                    let _ = answers(name, target, input);
                    let bytes = grown(before);
                    if bytes > allowed(name).1 {
                        found.push(reported(name, input, &format!("it takes {bytes} bytes")));
                    }
                }
            }
            batch.clear();
            before = fresh_peak();
        }
    }
    found
}

fn digest(input: &[u8]) -> String {
    Sha256::digest(input).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Stores an input that something is wrong with, for whoever looks into it.
fn reported(name: &str, input: &[u8], why: &str) -> String {
    let path = std::env::temp_dir().join(format!("mamlx-fuzz-{name}-{}", &digest(input)[..12]));
    std::fs::write(&path, input).unwrap();
    format!("{why}: {}", path.display())
}

/// Makes the process's peak of memory that of this moment, where the system can, and returns it.
fn fresh_peak() -> u64 {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    peak()
}

fn grown(before: u64) -> u64 {
    peak().saturating_sub(before)
}

fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

fn damage(input: &mut Vec<u8>, other: &[u8], random: &mut impl Rng) {
    const SIGNS: &[&str] = &[
        ":",
        " ",
        "\n",
        "\n  ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "#",
        "&a ",
        "*a",
        "!",
        "|",
        ">",
        "'",
        "\"",
        "%",
        "\t",
        "\r",
        "\0",
        "\x1E",
        "? ",
        "<<: ",
        "---\n",
        "~",
        "é",
        "\u{FEFF}",
        "-1",
        "0",
        "1e9",
        "1e999",
        ".nan",
        "null",
        "true",
        "18446744073709551616",
        "0.5",
        "second",
        "PK",
        "../",
    ];
    const NUMBERS: [u64; 12] =
        [0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 40, u64::MAX];
    let at = random.random_range(0..=input.len());
    let end = (at + random.random_range(0..16usize)).min(input.len());
    let piece = |random: &mut dyn Rng| {
        let from = (random.next_u64() % (other.len() as u64 + 1)) as usize;
        let length = (random.next_u64() % 64) as usize;
        other[from..(from + length).min(other.len())].to_vec()
    };
    match random.random_range(0..11) {
        0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
        1 if at < input.len() => input[at] = random.random(),
        2 => drop(input.drain(at..end)),
        3 => {
            let twice = input[at..end].to_vec();
            input.splice(at..at, twice);
        }
        4 => {
            let moved: Vec<u8> = input.drain(at..end).collect();
            let to = random.random_range(0..=input.len());
            input.splice(to..to, moved);
        }
        5 => input.truncate(end),
        6 => drop(input.splice(at..at, piece(random))),
        7 => drop(input.splice(at..end, piece(random))),
        8 => {
            // The head of one and the tail of another.
            let from = random.random_range(0..=other.len());
            input.truncate(at);
            input.extend(&other[from..]);
        }
        9 => {
            let width = [1, 2, 4, 8][random.random_range(0..4)].min(input.len() - at);
            let number = NUMBERS[random.random_range(0..NUMBERS.len())];
            let bytes = if random.random_bool(0.7) {
                number.to_le_bytes()
            } else {
                number.rotate_right(8 * width as u32).to_be_bytes()
            };
            input[at..at + width].copy_from_slice(&bytes[..width]);
        }
        _ => {
            let sign = SIGNS[random.random_range(0..SIGNS.len())];
            input.splice(at..at, sign.bytes());
        }
    }
    input.truncate(1 << 16);
}
