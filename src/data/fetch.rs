//! Downloads: resumed where they stopped, and named only once their checksum is right.

use super::published::{Checksum, File};
use crate::error::{Error, Result};
use md5::Md5;
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

/// No published file here is a hundredth of this.
const MOST_BYTES: u64 = 4 << 30;
/// How often a broken connection is taken up again.
const ATTEMPTS: u32 = 5;

/// What happened to one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was there, whole.
    Present,
    /// So many bytes came over the network.
    Fetched(u64),
}

/// Brings `file` from below `base` into `folder`. `progress` hears how many bytes are there, and of how many.
///
/// # Errors
/// `Error::Run`: no connection, another answer than the file, a wrong checksum; what came is kept for the next try,
/// except where its checksum is wrong. `Error::Io`: the folder.
pub fn fetch(
    base: &str,
    file: &File,
    folder: &Path,
    mut progress: impl FnMut(u64, Option<u64>),
) -> Result<Outcome> {
    fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
    let target = folder.join(file.name);
    if target.is_file() && sum(&target, file.checksum)? == text(file.checksum) {
        return Ok(Outcome::Present);
    }
    let part = folder.join(format!("{}.part", file.name));
    let url = format!("{}/{}", base.trim_end_matches('/'), file.name);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_recv_body(Some(Duration::from_secs(3600)))
        .http_status_as_error(false)
        .build()
        .into();
    let (mut come, mut attempt) = (0, 1);
    loop {
        match take(&agent, &url, &part, &mut come, &mut progress) {
            Ok(()) => break,
            Err(Taken::Broken(why)) if attempt < ATTEMPTS => {
                eprintln!("mamlx: {why}; going on from there");
                std::thread::sleep(Duration::from_millis(100 << attempt));
                attempt += 1;
            }
            Err(Taken::Broken(why) | Taken::Refused(why)) => {
                return Err(Error::Run(format!(
                    "cannot fetch {url}: {why}. The same command goes on where this one stopped"
                )));
            }
            Err(Taken::Disk(error)) => return Err(error),
        }
    }
    let found = sum(&part, file.checksum)?;
    if found != text(file.checksum) {
        fs::remove_file(&part).map_err(Error::io("remove", &part))?;
        return Err(Error::Run(format!(
            "{url} has the checksum {found} instead of {}: it is not the published file, and was thrown away",
            text(file.checksum)
        )));
    }
    fs::rename(&part, &target).map_err(Error::io("write", &target))?;
    Ok(Outcome::Fetched(come))
}

/// Why a request ended early.
enum Taken {
    /// The connection; another try may help.
    Broken(String),
    /// The server's answer; another try does not help.
    Refused(String),
    Disk(Error),
}

/// One request for what is missing of `part`.
fn take(
    agent: &ureq::Agent,
    url: &str,
    part: &Path,
    come: &mut u64,
    progress: &mut impl FnMut(u64, Option<u64>),
) -> std::result::Result<(), Taken> {
    let disk = |action| move |e| Taken::Disk(Error::io(action, part)(e));
    let have = fs::metadata(part).map_or(0, |meta| meta.len());
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let mut response = request.call().map_err(|e| Taken::Broken(e.to_string()))?;
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let from = match response.status().as_u16() {
        200 => 0,
        206 => {
            let start = header("content-range")
                .and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
            match start {
                Some(start) if start == have => have,
                _ => return Err(Taken::Refused("the server sent another part than asked for".into())),
            }
        }
        // Everything is there already, or more than everything; the checksum decides.
        416 if have > 0 => return Ok(()),
        status => return Err(Taken::Refused(format!("the server answered {status}"))),
    };
    let length = header("content-length").and_then(|length| length.parse::<u64>().ok());
    let total = length.map(|length| from + length);
    if total.is_some_and(|total| total > MOST_BYTES) {
        return Err(Taken::Refused("the file is larger than any published one".into()));
    }
    let mut options = OpenOptions::new();
    options.create(true).write(true);
    let options = if from > 0 { options.append(true) } else { options.truncate(true) };
    let mut out = options.open(part).map_err(disk("write"))?;
    let mut body = response.body_mut().as_reader();
    let (mut at, mut buffer) = (from, vec![0; 1 << 16]);
    loop {
        let n = body
            .read(&mut buffer)
            .map_err(|e| Taken::Broken(format!("the connection broke at byte {at} ({e})")))?;
        if n == 0 {
            break;
        }
        out.write_all(&buffer[..n]).map_err(disk("write"))?;
        at += n as u64;
        *come += n as u64;
        progress(at, total);
        if at > MOST_BYTES {
            return Err(Taken::Refused("the file is larger than any published one".into()));
        }
    }
    out.sync_all().map_err(disk("write"))?;
    match total {
        Some(total) if at < total => {
            Err(Taken::Broken(format!("the connection ended at byte {at} of {total}")))
        }
        _ => Ok(()),
    }
}

fn text(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::Md5(text) | Checksum::Sha256(text) => text,
    }
}

fn sum(path: &Path, kind: Checksum) -> Result<String> {
    let mut file = fs::File::open(path).map_err(Error::io("read", path))?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match kind {
        Checksum::Md5(_) => Ok(hex(&hashed::<Md5>(&mut file, path)?)),
        Checksum::Sha256(_) => Ok(hex(&hashed::<Sha256>(&mut file, path)?)),
    }
}

fn hashed<D: Digest>(file: &mut fs::File, path: &Path) -> Result<Vec<u8>> {
    let (mut hash, mut buffer) = (D::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(hash.finalize().to_vec()),
            n => hash.update(&buffer[..n]),
        }
    }
}
