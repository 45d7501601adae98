//! Spec → text, hash and run name.

use super::schema::{Isolation, Method, Spec};
use super::words::Word;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Names the canonical form in the hash, so that a change of the form cannot pass for a change of nothing.
const FORM: &str = "mamlx spec 1\n";

/// Keys that came after the first runs, as JSON pointers to their block, with the default that says what those runs did:
/// while a key has it, the run keeps its name.
const ADDED_LATER: [(&str, &str, &str); 4] = [
    ("/task", "sampling", "episodes"),
    ("/outer", "estimator", "maml"),
    ("/outer/optimizer", "products", "exact"),
    ("/eval", "select", "last"),
];

/// Methods that came after the first runs.
const LATER: [Method; 4] = [Method::Averaged, Method::AveragedL2, Method::AveragedToMean, Method::Context];

impl Isolation {
    /// Whether environments run in the run's own process.
    pub fn is_none(&self) -> bool {
        *self == Isolation::None
    }

    /// The longest time of a call in a process of its own.
    pub fn limit(&self) -> Option<Duration> {
        match self {
            Isolation::None => None,
            Isolation::Process { time_limit_secs } => Some(Duration::from_secs_f64(*time_limit_secs)),
        }
    }
}

impl Spec {
    /// The spec as YAML with every default written out; reading it gives an equal Spec.
    pub fn to_yaml(&self) -> String {
        let head = "# The resolved specification: every default is written out.\n";
        // Serialising plain data into a string has no way to fail.
        let body = serde_yaml::to_string(self).unwrap_or_default();
        format!("{head}{body}")
    }

    /// SHA-256, in hexadecimal, of everything that decides a result: the spec without its device, its memory budget, its
    /// isolation and the published numbers, as JSON with sorted keys and shortest exact numbers.
    pub fn hash(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(map) = &mut value {
            map.shift_remove("device");
            map.shift_remove("isolation");
            map.shift_remove("memory_budget");
            map.shift_remove("published");
        }
        for path in self.unread() {
            let (block, key) = path.rsplit_once('.').unwrap_or(("", &path));
            let block =
                if block.is_empty() { String::new() } else { format!("/{}", block.replace('.', "/")) };
            if let Some(Value::Object(block)) = value.pointer_mut(&block) {
                block.shift_remove(key);
            }
        }
        for (block, key, default) in ADDED_LATER {
            if let Some(Value::Object(block)) = value.pointer_mut(block)
                && block.get(key).is_some_and(|value| value == default)
            {
                block.shift_remove(key);
            }
        }
        value.sort_all_objects();
        let digest = Sha256::digest(format!("{FORM}{value}"));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Key paths of the settings that only methods of [`LATER`] read, where the spec names none that does. They decide no
    /// result, so a file can hold them beside the methods that its runs of before had.
    pub fn unread(&self) -> Vec<String> {
        let named = |method: Method| self.methods.contains(&method);
        let rates = LATER.into_iter().filter(|method| !named(*method));
        let mut paths: Vec<String> = rates.map(|method| format!("eval.rate.{}", method.word())).collect();
        if !self.methods.iter().any(|method| method.averages()) {
            paths.push("averaged".into());
        }
        if !named(Method::Context) {
            paths.push("model.context".into());
        }
        paths
    }

    /// `s<seed>-<first 8 digits of the hash>`: the `run` column of every result file.
    pub fn run_name(&self) -> String {
        format!("s{}-{}", self.seed, &self.hash()[..8])
    }
}
