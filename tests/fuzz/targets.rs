//! What every input must do, one function per reader: answer, in time and within memory, with a value that survives
//! being written and read again, or with a sentence. The stored inputs and cargo-fuzz both call these.

use mamlx::plugin;
use mamlx::record::{Checkpoint, Packer, Unpacker, Weights};
use mamlx::spec::{self, Param, ParamKind, ParamTable, ParamValue, PluginKind};
use mamlx_images::pickle::ImageRows;
use mamlx_images::{Cells, Filter, Recipe, Source, shared};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Answers to an input: what it is taken for, or why it is refused. Panics where a promise does not hold.
pub type Target = fn(&[u8]) -> Vec<String>;

pub const TARGETS: [(&str, Target); 8] = [
    ("spec", spec),
    ("checkpoint", checkpoint),
    ("weights", weights),
    ("descriptor", descriptor),
    ("pickle", pickle),
    ("archive", archive),
    ("picture", picture),
    ("cache", cache),
];

/// Calls a target. Its answers are for people: none is empty, endless, or able to move a terminal's cursor.
pub fn tried(target: Target, input: &[u8]) -> Vec<String> {
    let answers = target(input);
    for answer in &answers {
        assert!(!answer.is_empty() && answer.len() < 20_000, "{answer}");
        assert!(!answer.chars().any(|c| c.is_control() && c != '\n'), "{answer:?}");
    }
    answers
}

/// Stands between a spec's text and each override in an input. YAML does not allow it, so no text loses anything.
const NEXT_OVERRIDE: u8 = 0x1E;

/// A spec and its overrides, for plugins of every kind.
pub fn spec(input: &[u8]) -> Vec<String> {
    let mut parts = input.split(|&byte| byte == NEXT_OVERRIDE);
    let text = parts.next().unwrap_or(&[]);
    let sets: Vec<String> = parts.take(3).map(|set| String::from_utf8_lossy(set).into_owned()).collect();
    let breaks = |text: &str| text.matches(['\n', '\r']).count() as u32 + 1;
    let lines: Vec<u32> = std::iter::once(breaks(&String::from_utf8_lossy(text)))
        .chain(sets.iter().map(|set| breaks(set)))
        .collect();
    let refused = |problems: spec::Diagnostics| -> Vec<String> {
        let report = problems.to_string();
        assert!(report.starts_with("error: ") && report.len() < 200_000, "{report}");
        assert!(!problems.items().is_empty(), "refused for nothing");
        for item in problems.items() {
            let line = item.place.line;
            assert!((1..=lines[item.place.source as usize]).contains(&line), "no line {line}: {item:?}");
        }
        problems.items().iter().map(|item| item.message.clone()).collect()
    };
    let draft = match spec::read(text, "fuzz.yaml", &sets) {
        Ok(draft) => draft,
        Err(problems) => return refused(problems),
    };
    let mut answers = vec![];
    for kind in [PluginKind::Tasks, PluginKind::Environment, PluginKind::Data] {
        match draft.resolve(&parameters(), kind) {
            Ok(spec) => {
                let printed = spec.to_yaml();
                let none: [&str; 0] = [];
                let again =
                    spec::read(&printed, "printed.yaml", &none).and_then(|d| d.resolve(&parameters(), kind));
                match again {
                    Ok(again) => assert_eq!(again, spec, "{printed}"),
                    Err(problems) => panic!("{problems}\n{printed}"),
                }
                answers.push(format!("a spec of {kind:?}"));
            }
            Err(problems) => answers.extend(refused(problems)),
        }
        match draft.expand(&parameters(), kind) {
            Ok(runs) => assert!((1..=spec::MAX_RUNS).contains(&runs.len()), "{} runs", runs.len()),
            Err(problems) => answers.extend(refused(problems)),
        }
    }
    answers
}

/// A plugin's table with every kind of parameter.
fn parameters() -> ParamTable {
    let param = |name: &str, kind, default| Param {
        name: name.into(),
        kind,
        default: Some(default),
        min: None,
        max: None,
        choices: vec![],
        unit: String::new(),
        doc: String::new(),
    };
    let preset = Param {
        choices: vec!["rllab".into(), "gym".into()],
        ..param("preset", ParamKind::Text, ParamValue::Text("rllab".into()))
    };
    let speed = Param {
        min: Some(0.0),
        max: Some(9.0),
        unit: "m/s".into(),
        ..param("speed", ParamKind::Float, ParamValue::Float(3.0))
    };
    let bodies = Param { min: Some(1.0), ..param("bodies", ParamKind::Int, ParamValue::Int(7)) };
    let noisy = param("noisy", ParamKind::Bool, ParamValue::Bool(false));
    ParamTable { params: vec![preset, speed, bodies, noisy] }
}

/// A checkpoint as it is, and with checksums that hold, which no chance would bring about.
pub fn checkpoint(input: &[u8]) -> Vec<String> {
    let answer = |bytes: &[u8]| match Checkpoint::from_bytes(bytes) {
        Ok(checkpoint) => {
            assert_eq!(Checkpoint::from_bytes(&checkpoint.to_bytes()).as_ref(), Ok(&checkpoint));
            "a checkpoint".to_string()
        }
        Err(damage) => damage.to_string(),
    };
    std::iter::once(answer(input)).chain(sealed(input).map(|bytes| answer(&bytes))).collect()
}

/// The sections of a checkpoint with their own checksums, and the checksum of them all. `None` where it does not begin like one.
fn sealed(input: &[u8]) -> Option<Vec<u8>> {
    let mut from = Unpacker::new(input);
    let mut out = Packer::new();
    out.raw(from.raw(8).ok()?).u32(from.u32().ok()?);
    let sections = from.u32().ok()?;
    out.u32(sections);
    for _ in 0..sections {
        let mut section = Packer::new();
        let Ok(name) = from.text() else { break };
        section.text(name).raw(from.bytes().ok()?);
        from.raw(32).ok()?;
        let (name, payload) = section.written().split_at(8 + name.len());
        out.raw(name).bytes(payload).raw(&Sha256::digest(section.written()));
    }
    let whole = Sha256::digest(out.written());
    out.raw(&whole);
    Some(out.finish())
}

/// Weights as they are, and with a length of the header that holds.
pub fn weights(input: &[u8]) -> Vec<String> {
    let answer = |bytes: &[u8]| match Weights::from_bytes(bytes) {
        Ok(weights) => {
            let again = weights.to_bytes().map(|bytes| Weights::from_bytes(&bytes));
            // Numbers that are none are not equal to themselves.
            let text = |weights: &Weights| format!("{weights:?}");
            assert_eq!(again.unwrap().as_ref().map(text), Ok(text(&weights)));
            format!("{} tensors", weights.tensors.len())
        }
        Err(why) => why,
    };
    let header = input.get(8..).unwrap_or(&[]);
    let length = header.iter().rposition(|&byte| byte == b'}').map_or(0, |last| last as u64 + 1);
    vec![answer(input), answer(&[&length.to_le_bytes(), header].concat())]
}

/// A library, and a library with this text as its descriptor.
pub fn descriptor(input: &[u8]) -> Vec<String> {
    let answer = |bytes: &[u8]| match plugin::described(bytes) {
        Ok(Some(info)) => {
            let json = info.json().to_string();
            let mut texts = info.params.params.iter().flat_map(|param| &param.choices);
            assert!(texts.all(|text| !text.chars().any(char::is_control)), "{json}");
            format!("a plugin of {:?}", info.kind)
        }
        Ok(None) => "a library".to_string(),
        Err(why) => why,
    };
    vec![answer(input), answer(&library(input))]
}

/// The smallest ELF library with a descriptor's section: a header, the section, its name, and three section headers.
fn library(text: &[u8]) -> Vec<u8> {
    const HEADER: usize = 64;
    let machine: u16 = match std::env::consts::ARCH {
        "aarch64" => 183,
        "riscv64" => 243,
        _ => 62,
    };
    let names = b"\0.shstrtab\0.mamlx\0";
    let sections = HEADER + text.len() + names.len();
    let mut out = b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
    out.extend(machine.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out.extend([0; 16]);
    out.extend((sections as u64).to_le_bytes());
    out.extend([0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 64, 0, 3, 0, 1, 0]);
    assert_eq!(out.len(), HEADER);
    out.extend(text);
    out.extend(names);
    out.extend([0; 64]);
    for (name, kind, offset, size) in
        [(1u32, 3u32, HEADER + text.len(), names.len()), (11, 1, HEADER, text.len())]
    {
        out.extend([name, kind].map(u32::to_le_bytes).concat());
        out.extend([0, 0, offset as u64, size as u64].map(u64::to_le_bytes).concat());
        out.extend([0; 8]);
        out.extend([1u64, 0].map(u64::to_le_bytes).concat());
    }
    out
}

/// A pickle of images: its structure, and the first image of every class.
pub fn pickle(input: &[u8]) -> Vec<String> {
    with_file("pkl", input, |path| {
        let mut rows = ImageRows::open(path)?;
        let mut pixels = vec![0; rows.shape.iter().product()];
        let firsts: Vec<u64> = rows.classes.iter().map(|(_, rows)| rows[0]).collect();
        firsts.iter().try_for_each(|row| rows.read(*row, &mut pixels))?;
        Ok(format!("{} classes of images", rows.classes.len()))
    })
}

/// A zip archive: its list, and all of its images.
pub fn archive(input: &[u8]) -> Vec<String> {
    with_file("zip", input, |path| {
        let mut source = Source::open(path)?;
        let mut pictures = 0;
        for member in 0..source.members().len() {
            let bytes = source.read(member)?;
            if source.members()[member].is_image() {
                RECIPES[0].decode(&bytes).map_err(|why| format!("{}: {why}", source.place(member)))?;
                pictures += 1;
            }
        }
        Ok(format!("an archive of {pictures} pictures"))
    })
}

/// What the shipped plugins do to images.
const RECIPES: [Recipe; 2] = [
    Recipe { height: 28, width: 28, channels: 1, filter: Filter::Nearest, invert: true },
    Recipe { height: 84, width: 84, channels: 3, filter: Filter::Lanczos, invert: false },
];

/// A PNG or JPEG.
pub fn picture(input: &[u8]) -> Vec<String> {
    let answer = |recipe: &Recipe| match recipe.decode(input) {
        Ok(pixels) => {
            assert_eq!(pixels.len(), recipe.bytes());
            "a picture".to_string()
        }
        Err(why) => why,
    };
    RECIPES.iter().map(answer).collect()
}

/// A decoded set, as it is and with a checksum that holds.
pub fn cache(input: &[u8]) -> Vec<String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let answer = |bytes: &[u8]| {
        with_file("images", bytes, |path| {
            // Sets stay open under their keys, so every input has its own.
            let key = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
            let keyed = path.with_file_name(format!("{key}.images"));
            std::fs::rename(path, &keyed).map_err(|error| error.to_string())?;
            let none = |_: &mut Cells| Err("not a whole set".to_string());
            let set = shared(path.parent(), &key, none);
            let _ = std::fs::remove_file(keyed);
            let set = set?;
            let mut pixels = vec![0.0; set.item_bytes()];
            let mut groups = set.groups.iter().enumerate().filter(|(_, group)| group.1 > 0);
            groups.try_for_each(|(group, (_, items))| set.read(group, items - 1, &mut pixels))?;
            Ok(format!("{} groups", set.groups.len()))
        })
    };
    let body = input.len().saturating_sub(32);
    let resealed = [&input[..body], &Sha256::digest(&input[..body])[..]].concat();
    [answer(input), answer(&resealed)].concat()
}

/// Gives a reader of files its input, in a folder of this process.
fn with_file(ending: &str, input: &[u8], read: impl FnOnce(&Path) -> Result<String, String>) -> Vec<String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static FOLDER: tempfile::TempDir =
            tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder for inputs");
    }
    let folder = FOLDER.with(|folder| folder.path().to_owned());
    let path = folder.join(format!("{}.{ending}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    std::fs::write(&path, input).expect("inputs can be written");
    let answer = read(&path);
    let _ = std::fs::remove_file(&path);
    let shown = path.display().to_string();
    vec![answer.unwrap_or_else(|why| why.replace(&shown, "FILE"))]
}
