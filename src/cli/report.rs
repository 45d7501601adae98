//! `mamlx report`

use super::out;
use super::run::slices;
use crate::error::Result;
use crate::record::breakdown;
use crate::record::csv_file::line;
use crate::record::curves;
use crate::record::read::{EvalTable, read_eval, read_summary};
use crate::record::seeds::{self, SeedsRow};
use crate::record::{SummaryRow, summarise};
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
    /// A table for each value of a task's parameter, such as task_direction, or for bands of it.
    #[arg(long, value_name = "COLUMN", conflicts_with = "csv")]
    by: Option<String>,
    /// Edges of the bands, ascending [default: each value if there are few, else three equal bands].
    #[arg(long, value_name = "EDGES", value_delimiter = ',', requires = "by", allow_hyphen_values = true)]
    bands: Vec<f32>,
}

impl Report {
    pub fn call(&self) -> Result<()> {
        if let Some(by) = &self.by {
            return self.broken_down(by);
        }
        let runs: Vec<Vec<SummaryRow>> =
            self.runs.iter().map(|run| read_summary(&run.join("summary.csv"))).collect::<Result<_>>()?;
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
}

fn table(rows: &[SummaryRow]) -> Result<()> {
    slices(rows).into_iter().try_for_each(|slice| {
        out::print(&format!("support {}\n{}\n", slice.support, curves::adaptation_table(slice)))
    })
}
