//! Summaries of a sweep's runs → one table, a row for each run, method and number of gradient steps.

use super::csv_file::line;
use super::row::{Identity, SUMMARY_HEADER, SummaryRow};
use std::collections::BTreeMap;

/// A finished run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct SweptRun {
    pub identity: Identity,
    /// What the grid set, in the order of its paths.
    pub values: Vec<String>,
    pub summary: Vec<SummaryRow>,
}

/// The CSV: who ran, the grid's values in a column each, then the columns of `summary.csv` for the last evaluation of
/// every method. Paired differences stay in the runs' own summaries.
pub fn table(paths: &[&str], runs: &[SweptRun]) -> Vec<u8> {
    let mut header: Vec<String> = ["experiment", "run", "seed"].map(String::from).to_vec();
    header.extend(paths.iter().map(|path| path.replace('.', "_")));
    header.extend(SUMMARY_HEADER.iter().filter(|name| **name != "versus").map(|name| name.to_string()));
    let mut bytes = line(&header);
    for run in runs {
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for row in &run.summary {
            let iteration = last.entry(&row.method).or_default();
            *iteration = row.iteration.max(*iteration);
        }
        let wanted = |row: &&SummaryRow| row.versus.is_none() && last[row.method.as_str()] == row.iteration;
        for row in run.summary.iter().filter(wanted) {
            let Identity { experiment, run: name, seed } = &run.identity;
            let mut cells = vec![experiment.clone(), name.clone(), seed.to_string()];
            cells.extend(run.values.iter().cloned());
            let own = SUMMARY_HEADER.iter().zip(row.cells());
            cells.extend(own.filter(|(name, _)| **name != "versus").map(|(_, cell)| cell));
            bytes.extend(line(&cells));
        }
    }
    bytes
}
