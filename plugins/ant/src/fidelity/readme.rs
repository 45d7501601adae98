//! The README's tables are the descriptor's.

use mamlx_plugin::{DefaultValue, Environment, Field, Params};

use crate::Ant;

const README: &str = include_str!("../../README.md");

fn row(cells: &[&dyn std::fmt::Display]) -> String {
    cells.iter().map(|cell| format!("| {cell} ")).collect::<String>() + "|"
}

fn bounds(field: &Field) -> String {
    if field.low.is_finite() { format!("{} … {}", field.low, field.high) } else { String::new() }
}

fn missing(rows: impl IntoIterator<Item = String>) -> Vec<String> {
    rows.into_iter().filter(|row| !README.lines().any(|line| line == row)).collect()
}

#[test]
fn the_tables_of_the_readme_are_the_descriptor_s() {
    let spaces = Ant::create(&Params::defaults(Ant::DESCRIPTOR.parameters)).unwrap().describe();
    let fields = |fields: &[Field]| -> Vec<String> {
        let numbered = fields.iter().enumerate();
        numbered.map(|(i, f)| row(&[&i, &format!("`{}`", f.name), &f.unit, &bounds(f)])).collect()
    };
    let parameters = Ant::DESCRIPTOR.parameters.iter().map(|p| {
        let default = match p.default {
            DefaultValue::Bool(value) => value.to_string(),
            DefaultValue::Int(value) => value.to_string(),
            DefaultValue::Float(value) => value.to_string(),
            DefaultValue::Text(value) => value.to_owned(),
        };
        row(&[&format!("`{}`", p.name), &default, &p.unit, &p.doc])
    });
    let rows =
        [fields(&spaces.observation), fields(&spaces.action), fields(&spaces.task), parameters.collect()];
    assert_eq!(missing(rows.into_iter().flatten()), [""; 0], "rows that README.md lacks");
}
