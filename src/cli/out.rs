//! Data to stdout; a reader that has seen enough is no error.

use crate::error::{Error, Result};
use std::io::{ErrorKind, Write};

/// Prints text to stdout. A closed pipe ends quietly; a full disk is an [`Error::Io`].
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Error::io("write to", "standard output")),
    }
}
