//! `mamlx watch`

use super::out;
use crate::error::{Error, Result};
use crate::record::curves::{self, slices};
use crate::record::folder::{MANIFEST_FILE, SUMMARY_FILE, TIMING_FILE, TRAIN_FILE};
use crate::record::number::short_text;
use crate::record::progress::format_duration;
use crate::record::row::{TimingRow, TrainRow};
use crate::record::{Manifest, Status, lock, read};
use clap::Args;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args, Debug)]
pub struct Watch {
    /// The run's folder.
    run: PathBuf,
    /// Look again after so many seconds.
    #[arg(long, value_name = "SECS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
    /// Look once.
    #[arg(long)]
    once: bool,
}

/// Clears the screen and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

impl Watch {
    pub fn call(&self) -> Result<()> {
        let live =
            std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let mut shown = String::new();
        loop {
            let manifest = Manifest::read(&self.run.join(MANIFEST_FILE))?;
            let text = view(&self.run, &manifest)?;
            // Away from a terminal only what is new is printed.
            if text != shown {
                out::print(&format!("{}{text}", if live && !self.once { CLEAR } else { "" }))?;
                shown = text;
            }
            let owner = lock::owner(&self.run);
            match manifest.status {
                Status::Running if self.once => return Ok(()),
                Status::Running if owner.is_some() => {}
                Status::Running | Status::Stopped => {
                    eprintln!(
                        "mamlx: no process works on this run; the command that began it goes on with it."
                    );
                    return Ok(());
                }
                Status::Done => return Ok(()),
                Status::Failed => {
                    return Err(Error::Run(manifest.message.unwrap_or_else(|| "the run failed".into())));
                }
            }
            std::thread::sleep(Duration::from_secs(u64::from(self.every)));
        }
    }
}

/// Where the run stands: the last row, what it was some rows ago, and the newest evaluations.
fn view(folder: &Path, manifest: &Manifest) -> Result<String> {
    let mut text = format!(
        "{} {} ({})\n",
        manifest.experiment,
        manifest.run,
        match manifest.status {
            Status::Running => "running",
            Status::Stopped => "stopped",
            Status::Done => "done",
            Status::Failed => "failed",
        }
    );
    // Files that the run has not begun yet have nothing to show; a row that is being written is seen the next time.
    let train = read::read_train(&folder.join(TRAIN_FILE)).unwrap_or_default();
    let timing = read::read_timing(&folder.join(TIMING_FILE)).unwrap_or_default();
    if let Some(row) = train.last() {
        text += &line(row, &timing);
    }
    let summary = read::read_summary(&folder.join(SUMMARY_FILE)).unwrap_or_default();
    for slice in slices(&summary) {
        let table = curves::adaptation_table(slice);
        text += &format!("\n{}, last evaluations\n{table}", slice.label());
    }
    Ok(text)
}

fn line(row: &TrainRow, timing: &[TimingRow]) -> String {
    /// Speed is that of this many rows.
    const ROWS: usize = 20;
    let mut line = format!("{} at meta-iteration {}", row.method, row.iteration);
    let recent: Vec<f64> = timing.iter().rev().take(ROWS).map(|row| f64::from(row.total_secs)).collect();
    if !recent.is_empty() {
        let each = recent.iter().sum::<f64>() / recent.len() as f64;
        line += &format!(", {} each", format_duration(each));
    }
    let numbers =
        [("outer loss", row.loss_outer), ("return before", row.return_pre), ("after", row.return_post)];
    for (name, value) in numbers {
        line += &value.map_or(String::new(), |value| format!(", {name} {}", short_text(f64::from(value))));
    }
    line + "\n"
}
