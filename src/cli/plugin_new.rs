//! `mamlx plugin new`: a project that builds and passes `mamlx plugin check` as it is written.

use crate::error::{Error, Result};
use crate::record::disk;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct New {
    /// Name of the plugin, which is the library's and the folder's too: a-z 0-9 _, a letter first.
    name: String,
    /// What it offers.
    #[arg(long, value_enum, default_value_t = Kind::Env)]
    kind: Kind,
    /// What it is written in.
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
    /// The folder to make [default: NAME].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The SDK's folder, plugins/sdk of mamlx's sources [default: that of the sources this mamlx was built from].
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// An environment, for reinforcement learning.
    Env,
    /// A data set of labelled items, for few-shot classification.
    Data,
    /// A distribution of tasks that are drawn rather than stored.
    Tasks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lang {
    Rust,
    C,
}

const HEADER: &str = include_str!("../../plugins/sdk/include/mamlx_plugin.h");
const CARGO: &str = include_str!("templates/Cargo.toml.txt");
const MAKE: &str = include_str!("templates/Makefile.txt");
const README: &str = include_str!("templates/readme.md");

impl Kind {
    /// What it is, in the README.
    fn what(self) -> &'static str {
        match self {
            Kind::Env => "an environment",
            Kind::Data => "a data set",
            Kind::Tasks => "a distribution of tasks",
        }
    }

    /// The code, with `NAME` and `TYPE` where the plugin's own names belong. The examples of the SDK serve as they are.
    fn code(self, lang: Lang) -> String {
        let swing = || include_str!("../../plugins/sdk/examples/c/swing.c");
        let glyphs = || include_str!("../../plugins/sdk/examples/glyphs.rs");
        match (self, lang) {
            (Kind::Env, Lang::Rust) => include_str!("templates/env.rs.txt").to_string(),
            (Kind::Tasks, Lang::Rust) => include_str!("templates/tasks.rs.txt").to_string(),
            (Kind::Data, Lang::Rust) => {
                let body = glyphs().replace("\"glyphs\"", "\"NAME\"").replace("Glyphs", "TYPE");
                format!("{body}\n{}", TEST_OF_DATA.trim_start())
            }
            (Kind::Env, Lang::C) => {
                // The example's first comment says how the example is built; the project's README says it here.
                let code = swing().split_once("*/\n").map_or(swing(), |(_, code)| code);
                let first =
                    "/* A damped pendulum that is to be held at the task's angle. Make it your own world. */";
                format!("{first}\n{}", code.replace("\\\"swing\\\"", "\\\"NAME\\\""))
            }
            (Kind::Tasks, Lang::C) => include_str!("templates/tasks.c").to_string(),
            (Kind::Data, Lang::C) => include_str!("templates/data.c").to_string(),
        }
    }

    fn experiment(self) -> &'static str {
        match self {
            Kind::Env => include_str!("templates/experiment_env.yaml"),
            Kind::Data => include_str!("templates/experiment_data.yaml"),
            Kind::Tasks => include_str!("templates/experiment_tasks.yaml"),
        }
    }
}

const TEST_OF_DATA: &str = "
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_rules() {
        mamlx_plugin::harness::check_data::<TYPE>();
    }
}
";

impl New {
    pub fn call(&self) -> Result<()> {
        check_name(&self.name)?;
        let folder = self.out.clone().unwrap_or_else(|| PathBuf::from(&self.name));
        if folder.exists() {
            return Err(Error::Input(format!(
                "{} is there already; choose another name, or another folder with --out",
                folder.display()
            )));
        }
        let (build, library) = match self.lang {
            Lang::Rust => ("cargo build --release", "target/release"),
            Lang::C => ("make", "."),
        };
        let fill = |text: &str| {
            let text = text.replace("NAME", &self.name).replace("TYPE", &type_name(&self.name));
            text.replace("WHAT", self.kind.what()).replace("BUILD", build).replace("LIBRARY", library)
        };
        let mut files = vec![
            ("README.md".to_string(), fill(README)),
            ("experiment.yaml".to_string(), fill(self.kind.experiment())),
        ];
        let code = fill(&self.kind.code(self.lang));
        match self.lang {
            Lang::Rust => {
                let sdk = self.sdk()?;
                files.push(("Cargo.toml".into(), fill(CARGO).replace("SDK", &sdk)));
                files.push(("src/lib.rs".into(), code));
            }
            Lang::C => {
                files.push(("Makefile".into(), fill(MAKE)));
                files.push((format!("{}.c", self.name), code));
                // The project is complete without mamlx's sources.
                files.push(("mamlx_plugin.h".into(), HEADER.into()));
            }
        }
        for (name, text) in &files {
            let path = folder.join(name);
            disk::make_folder(path.parent().unwrap_or(&folder))?;
            disk::replace(&path, text.as_bytes())?;
        }
        eprintln!(
            "mamlx: {} is {} in {} files. Next:\n  cd {}\n  {build}\n  mamlx plugin check {} --plugin-path {library}\n  \
             mamlx run experiment.yaml --plugin-path {library}",
            folder.display(),
            self.kind.what(),
            files.len(),
            folder.display(),
            self.name
        );
        Ok(())
    }

    /// The SDK's folder as text of a TOML file.
    fn sdk(&self) -> Result<String> {
        let built_from = || Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/sdk");
        let folder = self.sdk.clone().unwrap_or_else(built_from);
        let refuse =
            |why: String| Error::Input(format!("{why}; name plugins/sdk of mamlx's sources with --sdk"));
        let whole = folder
            .canonicalize()
            .ok()
            .filter(|folder| folder.join("Cargo.toml").is_file())
            .ok_or_else(|| refuse(format!("{} is not the SDK's folder", folder.display())))?;
        let text = whole.to_str().ok_or_else(|| refuse("the SDK's path is not UTF-8".into()))?;
        Ok(text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn check_name(name: &str) -> Result<()> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let better: String =
        name.to_lowercase().chars().map(|c| if letter(c) { c } else { '_' }).take(60).collect();
    let better = better.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    if better == name && !name.is_empty() {
        return Ok(());
    }
    let meant = if better.is_empty() { String::new() } else { format!("; `{better}` would do") };
    Err(Error::Input(format!(
        "{name:?} is not the name of a plugin: it has at most 60 letters a-z, digits and _, a letter first{meant}"
    )))
}

/// `my_world` → `MyWorld`.
fn type_name(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or(String::new(), |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('_').map(word).collect()
}
