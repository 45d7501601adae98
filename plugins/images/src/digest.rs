//! The hash that names a cache file: of everything that its content is a function of.

use crate::Result;
use sha2::{Digest as _, Sha256};
use std::io::Read;
use std::path::Path;

/// A running SHA-256 over parts, each with its length, so that no two lists of parts look the same.
pub struct Digest(Sha256);

impl Digest {
    /// `recipe`: how the sources become pixels; change it whenever that changes.
    pub fn new(recipe: &str) -> Digest {
        let mut digest = Digest(Sha256::new());
        digest.part(recipe.as_bytes());
        digest
    }

    pub fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Takes in a file's name and bytes.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let failed = |e| format!("cannot read {}: {e}", path.display());
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        self.part(path.file_name().unwrap_or_default().as_encoded_bytes());
        self.0.update(length.to_le_bytes());
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => return Ok(()),
                n => self.0.update(&buffer[..n]),
            }
        }
    }

    /// 32 hexadecimal digits: half of the hash is enough for a name.
    pub fn name(self) -> String {
        self.0.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
