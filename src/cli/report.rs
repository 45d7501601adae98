//! `mamlx report`

use super::{out, runs};
use crate::error::{Error, Result};
use crate::record::csv_file::line;
use crate::record::curves::{self, slices};
use crate::record::disk;
use crate::record::page::html;
use crate::record::read::read_summary;
use crate::record::seeds::{self, SeedsRow};
use crate::record::{SummaryRow, folder::SUMMARY_FILE};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct Report {
    /// Folders of runs. Those that differ in nothing but their seed are taken together.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// As CSV (`seeds.csv` of the reference results).
    #[arg(long)]
    csv: bool,
    /// Write one self-contained page: curves, intervals, published numbers with a verdict, times, versions.
    #[arg(long, value_name = "FILE", conflicts_with = "csv")]
    html: Option<PathBuf>,
}

impl Report {
    pub fn call(&self) -> Result<()> {
        if let Some(file) = &self.html {
            return self.page(file);
        }
        let runs: Vec<Vec<SummaryRow>> =
            self.runs.iter().map(|run| read_summary(&run.join(SUMMARY_FILE))).collect::<Result<_>>()?;
        // The interval of a single run is over its tasks.
        if runs.len() == 1 && !self.csv {
            return table(&runs[0]);
        }
        let rows = seeds::over_seeds(&runs);
        if self.csv {
            let cells = std::iter::once(seeds::header()).chain(rows.iter().map(SeedsRow::cells));
            let bytes: Vec<u8> = cells.flat_map(|cells| line(&cells)).collect();
            return out::print(&String::from_utf8_lossy(&bytes));
        }
        let rows: Vec<SummaryRow> = rows.into_iter().map(|row| row.row).collect();
        out::print(&format!("mean ± 95 % (Student) over {} runs\n", runs.len()))?;
        table(&rows)
    }

    fn page(&self, file: &Path) -> Result<()> {
        let groups = runs::groups(&self.runs)?;
        let mut names: Vec<&str> =
            groups.iter().flat_map(|group| &group.runs).map(|run| &run.identity.experiment[..]).collect();
        names.dedup();
        let page = html(&names.join(", "), &groups);
        if file.is_dir() {
            return Err(Error::Input(format!("--html: {} is a folder; name a file", file.display())));
        }
        disk::replace(file, page.as_bytes())?;
        eprintln!("mamlx: the page is {}.", file.display());
        Ok(())
    }
}

fn table(rows: &[SummaryRow]) -> Result<()> {
    slices(rows).into_iter().try_for_each(|slice| {
        out::print(&format!("support {}\n{}\n", slice.support, curves::adaptation_table(slice)))
    })
}
