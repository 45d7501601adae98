//! `mamlx report`

use super::{out, runs};
use crate::error::{Error, Result};
use crate::record::breakdown;
use crate::record::csv_file::line;
use crate::record::curves::{self, slices};
use crate::record::disk;
use crate::record::page::html;
use crate::record::read::{EvalTable, read_eval, read_summary};
use crate::record::seeds::{self, SeedsRow};
use crate::record::{SummaryRow, folder::SUMMARY_FILE, summarise};
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
    /// Write every picture of that page into this folder, as SVG and as PNG.
    #[arg(long, value_name = "DIR", conflicts_with = "csv")]
    figures: Option<PathBuf>,
    /// A table for each value of a task's parameter, such as task_direction, or for bands of it.
    #[arg(long, value_name = "COLUMN", conflicts_with = "csv")]
    by: Option<String>,
    /// Edges of the bands, ascending [default: each value if there are few, else three equal bands].
    #[arg(long, value_name = "EDGES", value_delimiter = ',', requires = "by", allow_hyphen_values = true)]
    bands: Vec<f32>,
}

impl Report {
    pub fn call(&self) -> Result<()> {
        if self.html.is_some() || self.figures.is_some() {
            return self.page();
        }
        if let Some(by) = &self.by {
            return self.broken_down(by);
        }
        let runs: Vec<Vec<SummaryRow>> =
            self.runs.iter().map(|run| read_summary(&run.join(SUMMARY_FILE))).collect::<Result<_>>()?;
        self.show(&runs)
    }

    /// The same for each group of tasks on its own, from the raw rows.
    fn broken_down(&self, by: &str) -> Result<()> {
        let read = |run: &PathBuf| read_eval(&run.join("eval.csv"));
        let tables: Vec<EvalTable> = self.runs.iter().map(read).collect::<Result<_>>()?;
        for group in breakdown::groups(&tables, by, &self.bands)? {
            let tasks = tables.first().map_or(0, |table| group.tasks(&table.rows));
            out::print(&format!("{} ({tasks} tasks)\n", group.label))?;
            // Published means are of all tasks together.
            let summary = |table: &EvalTable| summarise(&group.of(&table.rows), &[], |_| None);
            self.show(&tables.iter().map(summary).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn show(&self, runs: &[Vec<SummaryRow>]) -> Result<()> {
        // The interval of a single run is over its tasks.
        if runs.len() == 1 && !self.csv {
            return table(&runs[0]);
        }
        let rows = seeds::over_seeds(runs);
        if self.csv {
            let cells = std::iter::once(seeds::header()).chain(rows.iter().map(SeedsRow::cells));
            let bytes: Vec<u8> = cells.flat_map(|cells| line(&cells)).collect();
            return out::print(&String::from_utf8_lossy(&bytes));
        }
        let rows: Vec<SummaryRow> = rows.into_iter().map(|row| row.row).collect();
        out::print(&format!("mean ± 95 % (Student) over {} runs\n", runs.len()))?;
        table(&rows)
    }

    fn page(&self) -> Result<()> {
        let groups = runs::groups(&self.runs)?;
        let mut names: Vec<&str> =
            groups.iter().flat_map(|group| &group.runs).map(|run| &run.identity.experiment[..]).collect();
        names.dedup();
        let by = self.by.as_deref().map(|by| (by, &self.bands[..]));
        let page = html(&names.join(", "), &groups, by)?;
        if let Some(folder) = &self.figures {
            figures(&page, folder)?;
        }
        let Some(file) = &self.html else { return Ok(()) };
        if file.is_dir() {
            return Err(Error::Input(format!("--html: {} is a folder; name a file", file.display())));
        }
        disk::replace(file, page.as_bytes())?;
        eprintln!("mamlx: the page is {}.", file.display());
        Ok(())
    }
}

/// `--figures`
pub(super) fn figures(page: &str, folder: &Path) -> Result<()> {
    let pictures = crate::record::figures::write(page, folder)?;
    eprintln!("mamlx: {pictures} pictures are in {}, each as .svg and .png.", folder.display());
    Ok(())
}

fn table(rows: &[SummaryRow]) -> Result<()> {
    slices(rows).into_iter().try_for_each(|slice| {
        out::print(&format!("{}\n{}\n", slice.label(), curves::adaptation_table(slice)))
    })
}
