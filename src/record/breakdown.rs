//! Rows of `eval.csv` split by a parameter of their task: each direction on its own, or bands of velocity.

use super::number::short_text;
use super::read::EvalTable;
use super::row::{EvalRow, TASK_PREFIX};
use crate::error::{Error, Result};

/// A parameter with at most so many different values is split by value, any other one into bands.
const MOST_VALUES: usize = 6;
/// Bands that a range is cut into when no edges are given, as in the protocol's finer anchors (B.5).
const BANDS: usize = 3;

/// The tasks of one value or band.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Such as `task_direction 1` or `task_velocity 0 to 1`.
    pub label: String,
    column: usize,
    /// Values from here …
    low: f32,
    /// … to here, itself excluded unless the group is the last band or a single value.
    high: f32,
    closed: bool,
}

impl Group {
    fn holds(&self, row: &EvalRow) -> bool {
        let value = row.task_params.get(self.column).copied().unwrap_or(f32::NAN);
        value >= self.low && (value < self.high || (self.closed && value <= self.high))
    }

    /// The group's rows.
    pub fn of(&self, rows: &[EvalRow]) -> Vec<EvalRow> {
        rows.iter().filter(|row| self.holds(row)).cloned().collect()
    }

    /// Number of different tasks in the group.
    pub fn tasks(&self, rows: &[EvalRow]) -> usize {
        let mut tasks: Vec<u32> = rows.iter().filter(|row| self.holds(row)).map(|row| row.task).collect();
        tasks.sort_unstable();
        tasks.dedup();
        tasks.len()
    }
}

/// Splits by the column `by`, with or without its `task_`. `edges`, at least two and ascending, are those of the bands;
/// without them few values are taken one by one, and many in three equal bands between the smallest and the largest.
///
/// Errors: [`Error::Input`] for a column that no table has, and for edges that do not ascend.
pub fn groups(tables: &[EvalTable], by: &str, edges: &[f32]) -> Result<Vec<Group>> {
    let names = tables.first().map_or(&[][..], |table| &table.task_names);
    let wanted = by.strip_prefix(TASK_PREFIX).unwrap_or(by);
    let Some(column) = names.iter().position(|name| name == wanted) else {
        let known: Vec<String> = names.iter().map(|name| format!("{TASK_PREFIX}{name}")).collect();
        return Err(Error::Input(format!(
            "--by: eval.csv has no column `{by}`; its tasks have {}",
            known.join(", ")
        )));
    };
    if tables.iter().any(|table| table.task_names != names) {
        return Err(Error::Input("--by: the runs are of different tasks".into()));
    }
    let mut values: Vec<f32> = tables
        .iter()
        .flat_map(|table| &table.rows)
        .filter_map(|row| row.task_params.get(column))
        .copied()
        .collect();
    values.sort_unstable_by(f32::total_cmp);
    values.dedup();
    let name = format!("{TASK_PREFIX}{wanted}");
    let shown = |value: f32| short_text(f64::from(value));
    if edges.is_empty() && values.len() <= MOST_VALUES {
        let one = |&value: &f32| Group {
            label: format!("{name} {value}"),
            column,
            low: value,
            high: value,
            closed: true,
        };
        return Ok(values.iter().map(one).collect());
    }
    let edges: Vec<f32> = match (edges, values.first(), values.last()) {
        ([], Some(low), Some(high)) => {
            let cut = |band: usize| low + (high - low) * (band as f32 / BANDS as f32);
            (0..BANDS).map(cut).chain([*high]).collect()
        }
        (given, ..) => given.to_vec(),
    };
    if edges.len() < 2
        || edges.windows(2).any(|pair| pair[0].partial_cmp(&pair[1]) != Some(std::cmp::Ordering::Less))
    {
        return Err(Error::Input("--bands: expected at least two edges, each above the one before".into()));
    }
    let last = edges.len() - 2;
    let band = |(number, pair): (usize, &[f32])| Group {
        label: format!("{name} {} to {}", shown(pair[0]), shown(pair[1])),
        column,
        low: pair[0],
        high: pair[1],
        closed: number == last,
    };
    Ok(edges.windows(2).enumerate().map(band).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(values: &[f32]) -> EvalTable {
        let row = |(task, value): (usize, &f32)| EvalRow {
            task: task as u32,
            task_params: vec![*value],
            ..EvalRow::default()
        };
        let rows = values.iter().enumerate().map(row).collect();
        EvalTable { identity: None, task_names: vec!["velocity".into()], rows }
    }

    fn sizes(tables: &[EvalTable], groups: &[Group]) -> Vec<usize> {
        groups.iter().map(|group| group.tasks(&tables[0].rows)).collect()
    }

    #[test]
    fn few_values_are_taken_one_by_one() {
        let tables = [table(&[1.0, -1.0, 1.0])];
        let groups = groups(&tables, "task_velocity", &[]).unwrap();
        assert_eq!(
            groups.iter().map(|g| g.label.as_str()).collect::<Vec<_>>(),
            ["task_velocity -1", "task_velocity 1"]
        );
        assert_eq!(sizes(&tables, &groups), [1, 2]);
    }

    #[test]
    fn many_values_fall_into_bands_that_lose_none() {
        let values: Vec<f32> = (0..=30).map(|k| k as f32 / 10.0).collect();
        let tables = [table(&values)];
        let equal = groups(&tables, "velocity", &[]).unwrap();
        assert_eq!(sizes(&tables, &equal), [10, 10, 11]);
        let given = groups(&tables, "velocity", &[0.0, 0.5, 3.0]).unwrap();
        assert_eq!(sizes(&tables, &given), [5, 26]);
        assert_eq!(given[0].label, "task_velocity 0 to 0.5000");
        assert_eq!(given[1].of(&tables[0].rows).len(), 26);
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let tables = [table(&[0.0])];
        let error = groups(&tables, "task_speed", &[]).unwrap_err().to_string();
        assert!(error.contains("task_speed") && error.contains("task_velocity"), "{error}");
        for edges in [&[1.0][..], &[1.0, 1.0], &[0.0, f32::NAN]] {
            assert!(groups(&tables, "velocity", edges).is_err(), "{edges:?}");
        }
    }
}
