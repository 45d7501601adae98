//! Rows of `summary.csv` → the closing table and the pictures, in the shape of the paper's figures.

use super::number::short_text;
use super::picture::{Picture, Published, Series};
use super::row::{Metric, SummaryRow, TEST};
use super::table::Table;
use std::collections::BTreeMap;

/// One plot's worth of a summary: one metric, one set of tasks, one support size.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    pub rows: &'a [SummaryRow],
    pub metric: Metric,
    pub split: &'a str,
    pub support: u32,
}

impl<'a> Slice<'a> {
    /// What sets the slice apart beside its metric: `support 5`, or `support 5, val`.
    pub fn label(&self) -> String {
        match self.split {
            TEST => format!("support {}", self.support),
            split => format!("support {}, {split}", self.support),
        }
    }

    /// The end of a picture's file name: `accuracy_5`, or `accuracy_5_val`.
    pub fn file_tail(&self) -> String {
        match self.split {
            TEST => format!("{}_{}", self.metric.name(), self.support),
            split => format!("{}_{}_{split}", self.metric.name(), self.support),
        }
    }

    fn rows(&self) -> impl Iterator<Item = &'a SummaryRow> + use<'a> {
        let Slice { rows, metric, split, support } = *self;
        rows.iter().filter(move |row| row.metric == metric && row.split == split && row.support == support)
    }

    /// Rows of each method's last evaluation, methods in file order; with `versus`, its differences.
    pub(super) fn last(&self) -> Vec<(&'a str, Option<&'a str>, Vec<&'a SummaryRow>)> {
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for row in self.rows() {
            let iteration = last.entry(&row.method).or_default();
            *iteration = row.iteration.max(*iteration);
        }
        let mut groups: Vec<(&str, Option<&str>, Vec<&SummaryRow>)> = Vec::new();
        for row in self.rows().filter(|row| last[row.method.as_str()] == row.iteration) {
            let (method, versus) = (row.method.as_str(), row.versus.as_deref());
            match groups.iter_mut().find(|group| (group.0, group.1) == (method, versus)) {
                Some(group) => group.2.push(row),
                None => groups.push((method, versus, vec![row])),
            }
        }
        groups.sort_by_key(|group| group.1.is_some());
        groups
    }
}

/// The slices that a summary has, in file order.
pub fn slices(rows: &[SummaryRow]) -> Vec<Slice<'_>> {
    let mut slices: Vec<Slice> = vec![];
    for row in rows {
        let slice = Slice { rows, metric: row.metric, split: &row.split, support: row.support };
        let same = |s: &Slice| (s.metric, s.split, s.support) == (slice.metric, slice.split, slice.support);
        if !slices.iter().any(same) {
            slices.push(slice);
        }
    }
    slices
}

/// Mean ± half of the 95 % interval after every number of gradient steps: methods, their published numbers, then
/// paired differences.
pub fn adaptation_table(slice: Slice) -> Table {
    let groups = slice.last();
    let steps = groups.iter().flat_map(|group| &group.2).map(|row| row.inner_step + 1).max().unwrap_or(0);
    let step_names = (0..steps).map(|step| if step == 1 { "1 step".into() } else { format!("{step} steps") });
    let mut table = Table::new(std::iter::once(slice.metric.name().to_string()).chain(step_names));
    for (method, versus, rows) in &groups {
        let cells = |cell: &dyn Fn(&SummaryRow) -> String| -> Vec<String> {
            let at = |step| {
                rows.iter().find(|row| row.inner_step == step).map_or_else(String::new, |row| cell(row))
            };
            (0..steps).map(at).collect()
        };
        let name = versus.map_or_else(|| method.to_string(), |versus| format!("{method} - {versus}"));
        table.row(std::iter::once(name).chain(cells(&mean_cell)));
        if rows.iter().any(|row| row.published.is_some()) {
            let published = |row: &SummaryRow| {
                row.published.map_or_else(String::new, |value| short_text(f64::from(value)))
            };
            table.row(std::iter::once(format!("  published {method}")).chain(cells(&published)));
        }
    }
    table
}

/// Each method's last evaluation against gradient steps, with published points (the paper's Figures 2 to 5).
pub fn adaptation_picture(slice: Slice, title: &str) -> Picture {
    let mut picture = Picture::new(title, "gradient steps", slice.metric.name());
    for (method, _, rows) in slice.last().into_iter().filter(|group| group.1.is_none()) {
        let x = |row: &SummaryRow| f64::from(row.inner_step);
        picture.series.push(series(method, &rows, x));
        let points: Vec<_> =
            rows.iter().filter_map(|row| Some((x(row), f64::from(row.published?)))).collect();
        if !points.is_empty() {
            let (name, series) = (format!("{method}, published"), method.to_string());
            picture.published.push(Published { name, series, points });
        }
    }
    picture
}

/// Every evaluation against meta-iterations: one curve for each method and each number of gradient steps named.
pub fn learning_picture(slice: Slice, inner_steps: &[u32], title: &str) -> Picture {
    let mut picture = Picture::new(title, "meta-iterations", slice.metric.name());
    let mut curves: Vec<((&str, u32), Vec<&SummaryRow>)> = Vec::new();
    let wanted = |row: &&SummaryRow| row.versus.is_none() && inner_steps.contains(&row.inner_step);
    for row in slice.rows().filter(wanted) {
        let key = (row.method.as_str(), row.inner_step);
        match curves.iter_mut().find(|curve| curve.0 == key) {
            Some(curve) => curve.1.push(row),
            None => curves.push((key, vec![row])),
        }
    }
    for ((method, step), rows) in curves {
        let name = format!("{method}, {step} step{}", if step == 1 { "" } else { "s" });
        picture.series.push(series(&name, &rows, |row| row.iteration as f64));
    }
    picture
}

fn series(name: &str, rows: &[&SummaryRow], x: impl Fn(&SummaryRow) -> f64) -> Series {
    let mean = |row: &SummaryRow| f64::from(row.mean);
    let or_mean = |end: Option<f32>, row| end.map_or_else(|| mean(row), f64::from);
    Series {
        name: name.to_string(),
        x: rows.iter().map(|row| x(row)).collect(),
        mean: rows.iter().map(|row| mean(row)).collect(),
        low: rows.iter().map(|row| or_mean(row.ci95_low, row)).collect(),
        high: rows.iter().map(|row| or_mean(row.ci95_high, row)).collect(),
    }
}

fn mean_cell(row: &SummaryRow) -> String {
    let mean = short_text(f64::from(row.mean));
    match row.ci95_high {
        Some(high) => format!("{mean} ± {}", short_text(f64::from(high) - f64::from(row.mean))),
        None => mean,
    }
}
