//! The one error type, its exit codes, and how it prints.

use std::fmt;
use std::path::PathBuf;

/// Anything that ends a command early. Texts are written to the person with the YAML.
#[derive(Debug)]
pub enum Error {
    /// Bad usage, specification or plugin; the text holds every problem found. Exit code 2.
    Input(String),
    /// The run itself failed: a NaN, a plugin that reported an error. Exit code 1.
    Run(String),
    /// A file could not be read or written. Exit code 3.
    Io { path: PathBuf, action: &'static str, source: std::io::Error },
    /// Stopped on request with everything saved; the same command goes on. Exit code 75, or 130 after Ctrl-C.
    Stopped { code: u8, message: String },
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Run(_) => 1,
            Error::Input(_) => 2,
            Error::Io { .. } => 3,
            Error::Stopped { code, .. } => *code,
        }
    }

    /// Wraps an I/O error with what was being done to which file.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, action, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Input(text) | Error::Run(text) => f.write_str(text),
            Error::Stopped { message, .. } => f.write_str(message),
            Error::Io { path, action, source } => write!(f, "cannot {action} {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for Error {}
