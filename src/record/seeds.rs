//! Summaries of several runs of one experiment → one summary over its seeds.
//!
//! The mean over tasks of each run is one observation; the interval says how much another training seed may move it.

use super::row::{Metric, SUMMARY_HEADER, SummaryRow};
use super::stats::Estimate;
use std::collections::BTreeMap;

/// 97.5 % points of Student's t distribution for 1, 2, … degrees of freedom, to three digits: a handful of seeds is too
/// few for the normal 1.96.
const STUDENT_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// One row of `seeds.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedsRow {
    /// The row's place; its mean is the mean of the runs' means and its interval is over runs.
    pub row: SummaryRow,
    /// Number of runs.
    pub seeds: usize,
}

/// The header of `seeds.csv`: that of `summary.csv` with the number of runs in place of the number of tasks.
pub fn header() -> Vec<String> {
    SUMMARY_HEADER
        .iter()
        .map(|name| if *name == "tasks" { "seeds".into() } else { name.to_string() })
        .collect()
}

impl SeedsRow {
    pub fn cells(&self) -> Vec<String> {
        let mut cells = self.row.cells();
        cells[9] = self.seeds.to_string();
        cells
    }
}

/// Rows that every run has, in the order of the first run. Intervals are Student's, over runs.
pub fn over_seeds(runs: &[Vec<SummaryRow>]) -> Vec<SeedsRow> {
    type Key<'a> = (u64, &'a str, &'a str, u32, u32, Metric, Option<&'a str>);
    fn key(row: &SummaryRow) -> Key<'_> {
        let SummaryRow { iteration, method, split, support, inner_step, metric, versus, .. } = row;
        (*iteration, method, split, *support, *inner_step, *metric, versus.as_deref())
    }
    let mut values: BTreeMap<Key, Vec<f64>> = BTreeMap::new();
    for row in runs.iter().flatten() {
        values.entry(key(row)).or_default().push(f64::from(row.mean));
    }
    let first = runs.first().map_or(&[][..], |rows| rows);
    let everywhere = first.iter().filter_map(|row| {
        let values = values.get(&key(row)).filter(|values| values.len() == runs.len())?;
        let estimate = Estimate::of(values)?;
        let half = estimate.sd.map(|sd| student_95(values.len() - 1) * sd / (values.len() as f64).sqrt());
        let row = SummaryRow {
            mean: estimate.mean as f32,
            ci95_low: half.map(|half| (estimate.mean - half) as f32),
            ci95_high: half.map(|half| (estimate.mean + half) as f32),
            ..row.clone()
        };
        Some(SeedsRow { row, seeds: runs.len() })
    });
    everywhere.collect()
}

fn student_95(degrees: usize) -> f64 {
    STUDENT_95.get(degrees - 1).copied().unwrap_or(super::stats::NORMAL_95)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(inner_step: u32, mean: f32) -> SummaryRow {
        SummaryRow {
            iteration: 5,
            method: "maml".into(),
            split: "test".into(),
            support: 10,
            inner_step,
            metric: Metric::Loss,
            mean,
            ci95_low: None,
            ci95_high: None,
            tasks: 600,
            versus: None,
            published: Some(0.5),
        }
    }

    #[test]
    fn three_runs_give_a_students_interval_of_their_means() {
        let runs = [vec![row(0, 1.0), row(1, 9.0)], vec![row(0, 2.0)], vec![row(1, 8.0), row(0, 3.0)]];
        let rows = over_seeds(&runs);
        // Step 1 is missing in one run; step 0 has mean 2, deviation 1, and 4.303 / √3 around it.
        assert_eq!(rows.len(), 1);
        let half = 4.303 / 3f64.sqrt();
        assert_eq!(rows[0].row.mean, 2.0);
        assert_eq!(rows[0].row.ci95_low, Some((2.0 - half) as f32));
        assert_eq!(rows[0].row.ci95_high, Some((2.0 + half) as f32));
        assert_eq!((rows[0].seeds, rows[0].row.published), (3, Some(0.5)));
        assert_eq!(rows[0].cells().len(), header().len());
        assert_eq!(header()[9], "seeds");
    }

    #[test]
    fn one_run_has_no_interval() {
        assert_eq!(over_seeds(&[vec![row(0, 1.0)]])[0].row.ci95_low, None);
    }
}
