//! `run.json`: what ran, with which parts, on what, and how it ended.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// `running` from the first moment; a killed run keeps it, so the same command knows to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Running,
    /// On request or at a deadline, with everything saved; the same command goes on.
    Stopped,
    Done,
    Failed,
}

/// The contents of `run.json`, in the order of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub status: Status,
    /// Why the run failed; null otherwise.
    pub message: Option<String>,
    pub experiment: String,
    /// Seed and hash of the resolved specification.
    pub run: String,
    pub seed: u64,
    /// Hash of the resolved specification, without device, threads and folder.
    pub spec_hash: String,
    /// `cpu`, or the name of another device.
    pub device: String,
    /// 2: the meta-gradient differentiates through the inner gradient; 1: it does not. By method.
    pub derivative_order: BTreeMap<String, u8>,
    /// How the gradients of this run's programs stood against differences of the loss, by method.
    #[serde(default)]
    pub gradients: BTreeMap<String, GradientRecord>,
    /// By method, the meta-iteration whose parameters were best on the validation tasks and are those of the test rows;
    /// empty until the run is done, and where `eval.select` is not `best`.
    #[serde(default)]
    pub selected: BTreeMap<String, u64>,
    /// Versions of mamlx and of the parts that can change a number.
    pub versions: BTreeMap<String, String>,
    pub plugins: Vec<PluginRecord>,
    /// The data set as the run has seen it; null where there is none.
    #[serde(default)]
    pub data: Option<DataRecord>,
    pub host: Host,
    /// Facts that do not change a result, such as the number of threads.
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
}

/// The gradient certificate of one method's programs; numbers as text, so that equal runs write equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GradientRecord {
    pub derivative_order: u8,
    /// Relative error against central differences of the whole outer loss in f64.
    pub error_f32: String,
    pub error_f64: String,
    /// Relative distance from the gradient of the other order; null where there is no inner step.
    pub other_order: Option<String>,
    /// Whether the errors are within bounds and the other order far beyond them.
    pub holds: bool,
}

/// A plugin as it was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRecord {
    pub id: String,
    pub version: String,
    /// SHA-256 of the library file, hexadecimal.
    pub sha256: String,
}

/// What a data set held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Of its description and of the hashed items, hexadecimal.
    pub sha256: String,
    /// Items of all splits.
    pub items: u64,
    /// How many of them are hashed: every item, or every k-th of a class where that would be more than 128 MiB.
    pub hashed: u64,
}

/// The machine, without its name: results are only promised to be the same bytes on the same kind of machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub os: String,
    pub arch: String,
    /// Model name as the system gives it; null where it gives none.
    pub cpu: Option<String>,
    /// Processors that this process may use.
    pub cpus: usize,
}

impl Host {
    pub fn here() -> Host {
        Host {
            os: std::env::consts::OS.to_string(),
            arch: std::env::consts::ARCH.to_string(),
            cpu: cpu_model(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Manifest {
    /// The text of `run.json`, ending in a line feed.
    pub fn to_json(&self) -> String {
        // Maps here have text keys and no value is a float, so nothing can fail to be written.
        let mut text = serde_json::to_string_pretty(self).expect("a manifest is always JSON");
        text.push('\n');
        text
    }

    /// Errors: [`Error::Io`] when it cannot be read; [`Error::Input`] when it is not a `run.json` of mamlx.
    pub fn read(path: &Path) -> Result<Manifest> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::Input(format!("{}: not a run.json that this mamlx can read: {error}", path.display()))
        })
    }
}

fn cpu_model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_string())
}
