//! `mamlx report`

use super::out;
use super::run::slices;
use crate::error::Result;
use crate::record::SummaryRow;
use crate::record::csv_file::line;
use crate::record::curves;
use crate::record::read::read_summary;
use crate::record::seeds::{self, SeedsRow};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Report {
    /// Folders of runs of one experiment that differ in their seed.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// As CSV (`seeds.csv` of the reference results).
    #[arg(long)]
    csv: bool,
}

impl Report {
    pub fn call(&self) -> Result<()> {
        let runs: Vec<Vec<SummaryRow>> =
            self.runs.iter().map(|run| read_summary(&run.join("summary.csv"))).collect::<Result<_>>()?;
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
}

fn table(rows: &[SummaryRow]) -> Result<()> {
    slices(rows).into_iter().try_for_each(|slice| {
        out::print(&format!("support {}\n{}\n", slice.support, curves::adaptation_table(slice)))
    })
}
