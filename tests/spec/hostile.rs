//! Text that means harm, or was hit by chance: refused fast with the name of the limit, and never a panic.

use super::{resolve, table};
use mamlx::random::{Purpose, stream};
use mamlx::spec::{self, MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_REPLAYED, MAX_SIGNS, PluginKind};
use rand::{Rng, RngExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The report, and how long the fastest of five readings took; others use this machine too.
fn refused(text: &[u8]) -> String {
    let mut best = Duration::MAX;
    let mut report = String::new();
    for _ in 0..5 {
        let start = Instant::now();
        report = resolve(text, &[], PluginKind::Tasks).expect_err("hostile text was accepted").to_string();
        best = best.min(start.elapsed());
    }
    // Milliseconds here; the bound only tells "at once" from "hangs" on a machine that is busy with other things.
    assert!(best < Duration::from_secs(2), "took {best:?}: {}", &report[..report.len().min(300)]);
    assert!(report.len() < 100_000, "a report of {} bytes", report.len());
    report
}

fn refused_for(text: impl AsRef<[u8]>, reason: &str) {
    let report = refused(text.as_ref());
    assert!(report.contains(reason), "no {reason:?} in\n{report}");
}

#[test]
fn a_huge_file_is_refused_after_the_limit() {
    let endless = std::io::repeat(b'a');
    let start = Instant::now();
    let bytes = spec::limited(endless).unwrap();
    assert_eq!(bytes.len(), MAX_BYTES + 1);
    refused_for(bytes, "longer than 1048576 bytes (1 MiB), the limit");
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn alias_bombs_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..20 {
        let inside = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{inside}]\n"));
    }
    refused_for(&bomb, &format!("more than {MAX_REPLAYED} nodes repeated by aliases"));
    let mut chain = String::from("a0: &a0 [x]\n");
    for i in 1..40 {
        chain.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
    }
    refused_for(&chain, &format!("more than {MAX_DEPTH} blocks and lists inside one another"));
    let anchors: String = (0..19_000).map(|i| format!("- &a{i} x\n")).collect();
    refused_for(anchors, "must be a block of keys");
}

#[test]
fn depth_is_refused() {
    let reason = format!("more than {MAX_DEPTH} blocks and lists inside one another");
    refused_for("[".repeat(MAX_SIGNS), &reason);
    refused_for("{a: ".repeat(MAX_SIGNS / 2), &reason);
    refused_for("- ".repeat(500_000), &reason);
    refused_for("? ".repeat(MAX_SIGNS), &reason);
    refused_for(format!("name: {}", "&a [".repeat(MAX_SIGNS / 2 - 1)), &reason);
    let stairs: String = (0..1000).map(|i| format!("{}k:\n", " ".repeat(i))).collect();
    refused_for(stairs, &reason);
}

#[test]
fn many_keys_are_refused() {
    refused_for(
        "k: 1\n".repeat(100_000),
        &format!("more than {MAX_SIGNS} brackets, quotes, commas and colons"),
    );
    refused_for("k: 1\n".repeat(40_000), &format!("more than {MAX_NODES} keys and values"));
    refused_for("k: 1\n".repeat(9_000), "`k` is given twice; the first is on line 1, column 1");
    let distinct: String = (0..9_900).map(|i| format!("rate{i}: 1\n")).collect();
    refused_for(distinct, "… and 9804 more");
    let sizes: String = (1..19_000).map(|i| format!("{i}, ")).collect();
    refused_for(format!("eval: {{support: [{sizes}]}}"), "more than 1000 entries");
    refused_for(format!("methods: [{}]", "maml, ".repeat(19_000)), "names maml twice");
    refused_for(format!("[{}]", ",".repeat(MAX_SIGNS - 2)), "not valid YAML");
    refused_for(
        format!("[{}", "a, ".repeat(MAX_SIGNS - 1)),
        &format!("more than {MAX_NODES} keys and values"),
    );
    let reason = format!("more than {MAX_SIGNS} brackets, quotes, commas and colons");
    for (open, sign) in
        [("[", "["), ("[", ","), ("{", "a: b,"), ("[", "''"), ("[", "!a "), ("[", "&a,\n"), ("", "? ")]
    {
        refused_for(open.to_string() + &sign.repeat((MAX_BYTES - 1) / sign.len()), &reason);
    }
    refused_for("- \n".repeat(300_000), &format!("more than {MAX_NODES} keys and values"));
}

#[test]
fn giant_scalars_are_shortened_in_reports() {
    let room = MAX_BYTES - 100;
    refused_for(format!("name: {}", "a".repeat(room)), "it has 1048476 bytes");
    refused_for(format!("name: \"{}\"", "\\n".repeat(room / 2)), "`name` must be a name");
    refused_for(format!("seed: {}", "9".repeat(room)), "`seed` must be a whole number");
    refused_for(format!("{}: 1", "k".repeat(room)), "");
    refused_for(format!("name: |\n{}", "  a\n".repeat(room / 4)), "`name` must be a name");
    refused_for(format!("name: >\n{}", "  a\n".repeat(room / 4)), "`name` must be a name");
    refused_for(format!("name:\n{}", "  a\n".repeat(room / 4)), "`name` must be a name");
    refused_for(format!("name: '{}'", "a\n\n".repeat(room / 3)), "");
    refused_for(format!("name: 'a{}'", " ".repeat(room)), "`name` must be a name");
    refused_for("\n".repeat(room), "`name` is missing");
    refused_for("# comment\n".repeat(room / 10), "`name` is missing");
    refused_for(" ".repeat(room), "`name` is missing");
    refused_for("\t".repeat(room), "");
    refused_for("\r".repeat(room), "`name` is missing");
    refused_for("é".repeat(room / 2), "must be a block of keys");
    refused_for("a: b: ".repeat(room / 6), "the limit");
    refused_for(format!("%YAML {}\n---\n", "1".repeat(room)), "not valid YAML");
    refused_for("%TAG ! x\n".repeat(MAX_SIGNS), "not valid YAML");
    refused_for("---\n".repeat(room / 4), "a second YAML document");
    refused_for("...\n".repeat(room / 4), "`name` is missing");
    refused_for(format!("!{} a", "x".repeat(room)), "tags");
    refused_for("!!a ".repeat(room / 4), "the limit");
    refused_for(format!("*{}", "x".repeat(room)), "not valid YAML");
    refused_for("\"".repeat(room), "the limit");
    refused_for("'".repeat(room - 1), "the limit");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    refused_for(vec![0u8; MAX_BYTES], "U+0000");
    refused_for(vec![0xFF; MAX_BYTES], "not UTF-8");
    refused_for(b"name: demo\0\ntask: {}", "U+0000");
    // What follows a NUL must not be dropped in silence, as the YAML scanner would.
    refused_for(b"name: demo\ntask: {plugin: demo, support: 1}\nouter: {iterations: 1}\n\0bad: 1", "U+0000");
}

#[test]
fn overrides_have_the_same_limits() {
    let base = "{name: demo, task: {plugin: demo, support: 1}, outer: {iterations: 1}}";
    let start = Instant::now();
    for (set, reason) in [
        (format!("eval={}", "[".repeat(1_000_000)), "brackets, quotes, commas and colons"),
        (format!("eval={}", "[".repeat(1_000)), "inside one another"),
        (format!("{}=1", "a.".repeat(500_000)), "more than 32 keys"),
        (format!("name={}", "a".repeat(2_000_000)), "longer than 1048576 bytes"),
        ("name=a\0b".to_string(), "U+0000"),
        ("name=a\n---\nb".to_string(), "second YAML document"),
    ] {
        let report = resolve(base, &[&set], PluginKind::Tasks).unwrap_err().to_string();
        assert!(report.contains(reason), "no {reason:?} in\n{report}");
        assert!(report.len() < 10_000);
    }
    assert!(start.elapsed() < Duration::from_secs(2));
}

/// Random damage to right specs: bytes flipped, pieces cut, doubled, moved and mixed with YAML's own signs.
#[test]
fn damaged_specs_never_panic() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/ok");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let environment = String::from_utf8_lossy(&bytes).contains("# plugin: environment");
        (bytes, if environment { PluginKind::Environment } else { PluginKind::Tasks })
    };
    let texts: Vec<(Vec<u8>, PluginKind)> = files.iter().map(read).collect();
    let cases: u64 = std::env::var("CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(4000);
    let mut accepted = 0;
    for case in 0..cases {
        let mut random = stream(1, Purpose::Init, case, 0, 0);
        let (mut text, kind) = texts[random.random_range(0..texts.len())].clone();
        let mut sets = vec![String::from("inner.rate=0.1")];
        for _ in 0..random.random_range(1..4) {
            damage(&mut text, &mut random);
        }
        let mut set = sets[0].clone().into_bytes();
        damage(&mut set, &mut random);
        sets.push(String::from_utf8_lossy(&set).into_owned());
        let outcome = std::panic::catch_unwind(|| {
            spec::read(&text, "x.yaml", &sets[..case as usize % 3])
                .and_then(|draft| draft.resolve(&table(), kind))
                .map(|spec| spec.to_yaml())
                .map_err(|problems| problems.to_string())
        });
        match outcome {
            Ok(Ok(_)) => accepted += 1,
            Ok(Err(report)) => assert!(report.starts_with("error: "), "{report}"),
            Err(_) => panic!("case {case} panicked: {:?} {sets:?}", String::from_utf8_lossy(&text)),
        }
    }
    // Some damage hits a comment or a number; were nothing or everything accepted, the damage would be wrong.
    assert!(accepted > cases / 100 && accepted < cases * 9 / 10, "{accepted} of {cases} accepted");
}

fn damage(text: &mut Vec<u8>, random: &mut impl Rng) {
    const SIGNS: &[&str] = &[
        ":", " ", "\n", "-", "- ", "[", "]", "{", "}", ",", "#", "&a", "*a", "!", "|", ">", "'", "\"", "%",
        "@", "`", "\t", "\r", "\0", "? ", "<<: ", "---\n", "...\n", "~", "é", "\u{FEFF}", "\u{2028}", "1e9",
        "-1", "0x", ".nan", "null", "\\",
    ];
    let at = random.random_range(0..=text.len());
    let end = (at + random.random_range(0..12usize)).min(text.len());
    match random.random_range(0..6) {
        0 if at < text.len() => text[at] ^= 1 << random.random_range(0..8),
        1 => drop(text.drain(at..end)),
        2 => {
            let piece = text[at..end].to_vec();
            text.splice(at..at, piece);
        }
        3 => {
            let piece: Vec<u8> = text.drain(at..end).collect();
            let to = random.random_range(0..=text.len());
            text.splice(to..to, piece);
        }
        4 => text.truncate(end),
        _ => {
            let sign = SIGNS[random.random_range(0..SIGNS.len())];
            text.splice(at..at, sign.bytes());
        }
    }
}
