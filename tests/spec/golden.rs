//! Every file under `tests/specs` has its outcome beside it: the resolved spec, or the report to the person.
//!
//! Comment lines steer a case: `# set: path=value`, `# plugin: environment|data` (tasks is the default),
//! `# table: strict` (a required parameter more) or `absent` (the plugin is not found).
//! `UPDATE=1 cargo test --release golden` writes the outcomes anew.

use super::{param, table};
use mamlx::spec::{self, Diagnostics, ParamKind, PluginKind, Spec};
use std::path::{Path, PathBuf};

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

fn outcome(path: &Path) -> Result<Spec, Diagnostics> {
    outcome_of(&std::fs::read(path).unwrap(), &path.file_name().unwrap().to_string_lossy())
}

fn outcome_of(bytes: &[u8], file: &str) -> Result<Spec, Diagnostics> {
    let text = String::from_utf8_lossy(bytes);
    let said =
        |what: &str| -> Vec<&str> { text.lines().filter_map(|line| line.strip_prefix(what)).collect() };
    let kind = match said("# plugin: ").first().copied() {
        Some("environment") => PluginKind::Environment,
        Some("data") => PluginKind::Data,
        _ => PluginKind::Tasks,
    };
    let mut table = table();
    let draft = spec::read(bytes, file, &said("# set: "))?;
    match said("# table: ").first().copied() {
        Some("absent") => {
            let message = format!("there is no plugin `{}`", draft.plugin());
            return Err(draft.refuse(
                "task.plugin",
                &message,
                Some("look with `mamlx plugin list`".into()),
                None,
            ));
        }
        Some("strict") => table.params.push(param("goal", ParamKind::Float, None)),
        _ => {}
    }
    // What takes a whole file is asked for every run of it; `# one: …` asks for the only one.
    if said("# one: ").is_empty() {
        return draft.expand(&table, kind).map(|runs| runs[0].spec.clone());
    }
    draft.resolve(&table, kind)
}

fn compare(path: &Path, found: &str, failures: &mut Vec<String>) {
    let expected_at = path.with_extension("txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&expected_at, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&expected_at).unwrap_or_default();
    if expected != found {
        failures.push(format!("{}\n--- expected\n{expected}\n--- found\n{found}", path.display()));
    }
}

#[test]
fn wrong_specs_are_refused_with_the_golden_words() {
    let mut failures = Vec::new();
    let cases = cases("bad");
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    for path in cases {
        match outcome(&path) {
            Ok(_) => failures.push(format!("{} was accepted", path.display())),
            Err(diagnostics) => {
                let items = diagnostics.items();
                assert!(items.is_sorted_by_key(|item| item.place), "{}", path.display());
                assert!(items.iter().all(|item| item.help.as_deref() != Some("")), "{}", path.display());
                compare(&path, &format!("{diagnostics}\n"), &mut failures);
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn right_specs_resolve_to_the_golden_defaults() {
    let mut failures = Vec::new();
    for path in cases("ok") {
        match outcome(&path) {
            Ok(spec) => compare(&path, &spec.to_yaml(), &mut failures),
            Err(diagnostics) => failures.push(format!("{} was refused:\n{diagnostics}", path.display())),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Many short mistakes in one file: `=== title`, the spec, `--- answer`, the report.
#[test]
fn short_wrong_specs_have_their_exact_answers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs/wrong.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, cases) = text.split_once("\n=== ").unwrap();
    let mut found = format!("{head}\n");
    let (mut count, mut accepted) = (0, vec![]);
    for case in cases.split("\n=== ") {
        let (title, rest) = case.split_once('\n').unwrap();
        let (yaml, _) = rest.split_once("--- answer").unwrap();
        let Err(diagnostics) = outcome_of(yaml.as_bytes(), "x.yaml") else {
            accepted.push(title);
            continue;
        };
        found += &format!("=== {title}\n{yaml}--- answer\n{diagnostics}\n");
        count += 1;
    }
    // An update leaves out what is no mistake any more.
    assert!(accepted.is_empty() || std::env::var_os("UPDATE").is_some(), "accepted: {accepted:?}");
    assert!(count + cases_in_files() >= 150, "{count}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let different = found.lines().zip(text.lines()).find(|(found, expected)| found != expected);
    assert!(found == text || std::env::var_os("UPDATE").is_some(), "the first difference: {different:?}");
}

fn cases_in_files() -> usize {
    cases("bad").len()
}
