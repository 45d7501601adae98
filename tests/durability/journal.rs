//! What a run does to its files, call by call, as strace saw it.

use crate::faults::{SPEC, TINY};
use crate::run::mamlx;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Names below a folder, with `/`: the bytes of a file, nothing for a folder. The lock's file, whose text is a courtesy,
/// is left out.
pub type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// One call that changed something, or made changes durable. Files are numbered as they appear, names are paths.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Folder(String),
    Create { name: String, file: usize },
    Write { file: usize, at: usize, bytes: Vec<u8> },
    Cut { file: usize, length: usize },
    Rename { from: String, to: String },
    Remove(String),
    SyncFile { file: usize, name: String },
    SyncFolder(String),
}

/// A run from the durable state before it to the state that it left.
#[derive(Clone)]
pub struct Journal {
    pub base: Tree,
    /// The files of `base` are numbered from 0 in the order of their names.
    pub steps: Vec<Step>,
    pub end: Tree,
}

pub fn tree_of(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_string();
            if path.is_dir() {
                tree.insert(name, None);
                folders.push(path);
            } else if !is_lock(&name) {
                tree.insert(name, Some(std::fs::read(&path).unwrap()));
            }
        }
    }
    tree
}

/// Makes a folder hold exactly this.
pub fn plant(root: &Path, tree: &Tree) {
    let _ = std::fs::remove_dir_all(root);
    std::fs::create_dir_all(root).unwrap();
    for (name, bytes) in tree {
        match bytes {
            None => std::fs::create_dir(root.join(name)).unwrap(),
            Some(bytes) => std::fs::write(root.join(name), bytes).unwrap(),
        }
    }
}

/// Runs the tiny experiment in `root/out` under strace and returns what it did below `root`.
pub fn record(root: &Path, out: &str, more: &[&str]) -> Journal {
    let base = tree_of(root);
    let log = tempfile::NamedTempFile::new().unwrap();
    let plain = mamlx(&[]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-xx", "-y", "-s", "16000000", "-e", "signal=none", "-e"]);
    command.arg(
        "trace=openat,write,pwrite64,writev,fsync,fdatasync,?rename,?renameat,renameat2,?unlink,unlinkat,ftruncate,\
         truncate,?mkdir,mkdirat",
    );
    command.arg("-o").arg(log.path()).arg(env!("CARGO_BIN_EXE_mamlx"));
    command.args(["run", SPEC, "--threads", "1", "--checkpoint-every", "0", "--out"]).arg(root.join(out));
    command.args(TINY).args(more);
    plain.get_envs().for_each(|(key, value)| {
        command.env(key, value.unwrap_or_default());
    });
    let output =
        command.current_dir(env!("CARGO_MANIFEST_DIR")).stdout(Stdio::null()).output().expect("strace runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut reader = Reader::over(root, &base);
    for call in whole_lines(&std::fs::read_to_string(log.path()).unwrap()) {
        reader.call(&call);
    }
    let end = tree_of(root);
    assert_eq!(reader.tree(), end, "the journal misses something that the run does to its files");
    Journal { base, steps: reader.steps, end }
}

/// Calls without the process in front; one that was interrupted by another thread's is put together again.
fn whole_lines(log: &str) -> Vec<String> {
    let (mut lines, mut halves) = (vec![], BTreeMap::new());
    for line in log.lines() {
        let (process, call) = line.split_once(' ').expect("a process and a call");
        let call = call.trim_start();
        if let Some(half) = call.strip_suffix(" <unfinished ...>") {
            halves.insert(process.to_string(), half.to_string());
        } else if let Some((_, rest)) = call.strip_prefix("<... ").and_then(|c| c.split_once(" resumed>")) {
            lines.push(halves.remove(process).unwrap_or_default() + rest);
        } else {
            lines.push(call.to_string());
        }
    }
    lines
}

/// Turns `\x61b` into `ab`, as bytes.
fn plain(text: &str) -> Vec<u8> {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(1..3).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if rest.starts_with(b"\\x") => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

fn is_lock(name: &str) -> bool {
    name.ends_with(".lock")
}

/// Follows the calls, so that every name stands for the right file.
struct Reader {
    root: String,
    /// `None` is a folder.
    names: BTreeMap<String, Option<usize>>,
    files: Vec<Vec<u8>>,
    steps: Vec<Step>,
}

impl Reader {
    fn over(root: &Path, base: &Tree) -> Reader {
        let (mut names, mut files) = (BTreeMap::new(), vec![]);
        for (name, bytes) in base {
            let file = bytes.as_ref().map(|bytes| {
                files.push(bytes.clone());
                files.len() - 1
            });
            names.insert(name.clone(), file);
        }
        Reader { root: format!("{}/", root.display()), names, files, steps: vec![] }
    }

    fn tree(&self) -> Tree {
        self.names
            .iter()
            .map(|(name, file)| (name.clone(), file.map(|file| self.files[file].clone())))
            .collect()
    }

    /// The name below the root, if the path is there; the root itself has the empty name.
    fn name(&self, path: &str) -> Option<String> {
        let path = String::from_utf8(plain(path)).ok()?;
        let inside = path.strip_prefix(&self.root).map(str::to_string);
        inside.or_else(|| (format!("{path}/") == self.root).then(String::new)).filter(|name| !is_lock(name))
    }

    fn call(&mut self, line: &str) {
        let Some((call, rest)) = line.split_once('(') else { return };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { return };
        let Ok(result) = result.split(['<', ' ']).next().unwrap_or("").parse::<usize>() else { return };
        let quoted: Vec<&str> = arguments.split('"').collect();
        let text = |number: usize| quoted.get(2 * number + 1).copied().unwrap_or("");
        let open = arguments.split(['<', '>']).nth(1).unwrap_or("");
        match call {
            "openat" => {
                if let Some(name) = self.name(text(0)) {
                    self.opened(name, quoted[2]);
                }
            }
            "write" => {
                if let Some(file) = self.open_file(open) {
                    let (at, mut bytes) = (self.files[file].len(), plain(text(0)));
                    bytes.truncate(result);
                    self.files[file].extend(&bytes);
                    self.steps.push(Step::Write { file, at, bytes });
                }
            }
            "fsync" | "fdatasync" => {
                if let Some(file) = self.open_file(open) {
                    let name = self.name(open).unwrap_or_default();
                    self.steps.push(Step::SyncFile { file, name });
                } else if let Some(name) = self.name(open) {
                    self.steps.push(Step::SyncFolder(name));
                }
            }
            "ftruncate" => {
                if let Some(file) = self.open_file(open) {
                    let length = arguments.rsplit([' ', ')']).find_map(|n| n.parse().ok());
                    self.cut(file, length.expect("a length"));
                }
            }
            "rename" | "renameat" | "renameat2" => {
                if let (Some(from), Some(to)) = (self.name(text(0)), self.name(text(1))) {
                    let file = self.names.remove(&from).expect("a known name");
                    self.names.insert(to.clone(), file);
                    self.steps.push(Step::Rename { from, to });
                }
            }
            "unlink" | "unlinkat" => {
                if let Some(name) = self.name(text(0)) {
                    self.names.remove(&name).expect("a known name");
                    self.steps.push(Step::Remove(name));
                }
            }
            "mkdir" | "mkdirat" => {
                if let Some(name) = self.name(text(0)) {
                    self.names.insert(name.clone(), None);
                    self.steps.push(Step::Folder(name));
                }
            }
            // A call that none of these is, and that changes a file of the run, shows when the journal is compared with
            // what is there in the end.
            _ => {}
        }
    }

    fn opened(&mut self, name: String, flags: &str) {
        match self.names.get(&name) {
            Some(Some(file)) if flags.contains("O_TRUNC") => self.cut(*file, 0),
            None if flags.contains("O_CREAT") => {
                let file = self.files.len();
                self.files.push(vec![]);
                self.names.insert(name.clone(), Some(file));
                self.steps.push(Step::Create { name, file });
            }
            _ => {}
        }
    }

    fn cut(&mut self, file: usize, length: usize) {
        self.files[file].truncate(length);
        self.steps.push(Step::Cut { file, length });
    }

    /// The file behind a descriptor, which strace writes with its path.
    fn open_file(&self, path: &str) -> Option<usize> {
        self.names.get(&self.name(path)?).copied().flatten()
    }
}
