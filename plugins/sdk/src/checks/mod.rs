//! What a plugin that keeps the rules shows from outside. `mamlx plugin check` and the author's tests run the same
//! list.

mod data;
mod env;
mod render;
mod tasks;

pub use data::{dataset, dataset_check, dataset_checks};
pub use env::{environment, environment_check, environment_checks, environment_trace};
pub use render::rendering;
pub use tasks::{distribution, distribution_check, distribution_checks, distribution_trace};

use crate::Field;
use crate::caller::Failure;
use std::fmt;

/// How one check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Pass,
    /// Allowed, but worth a look.
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Name of the check.
    pub check: &'static str,
    pub outcome: Outcome,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Pass => "pass",
            Outcome::Warn => "warn",
            Outcome::Fail => "FAIL",
        };
        write!(f, "{outcome}  {:<20} {}", self.check, self.detail)
    }
}

/// What a check's body returns: the detail of a pass, or what is wrong.
type Seen = Result<Note, String>;

/// What a check that did not fail has to say.
enum Note {
    Pass(String),
    Warn(String),
}

fn pass(detail: impl Into<String>) -> Seen {
    Ok(Note::Pass(detail.into()))
}

fn warn(detail: impl Into<String>) -> Seen {
    Ok(Note::Warn(detail.into()))
}

fn finding(check: &'static str, body: impl FnOnce() -> Seen) -> Finding {
    let (outcome, detail) = match body() {
        Ok(Note::Pass(detail)) => (Outcome::Pass, detail),
        Ok(Note::Warn(detail)) => (Outcome::Warn, detail),
        Err(detail) => (Outcome::Fail, detail),
    };
    Finding { check, outcome, detail }
}

/// Findings in order; a failure of one of the first two ends the list.
fn in_order(findings: impl Iterator<Item = Finding>) -> Vec<Finding> {
    let mut all: Vec<Finding> = vec![];
    for finding in findings {
        let stop = all.len() < 2 && finding.outcome == Outcome::Fail;
        all.push(finding);
        if stop {
            break;
        }
    }
    all
}

impl From<Failure> for String {
    fn from(failure: Failure) -> String {
        failure.to_string()
    }
}

/// Makes and destroys instances, and compares their descriptions.
fn create_and_destroy(
    make: impl Fn() -> Result<(String, Box<dyn FnOnce() -> Result<(), Failure>>), Failure>,
) -> Seen {
    const TIMES: usize = 20;
    let mut first = None;
    for _ in 0..TIMES {
        let (description, destroy) = make()?;
        destroy()?;
        if *first.get_or_insert_with(|| description.clone()) != description {
            return Err("two instances with the same parameters describe themselves differently".to_owned());
        }
    }
    pass(format!("{TIMES} times, the same description each time"))
}

/// Makes and destroys instances until what a library keeps for its life is there, then a hundred more.
fn no_growth(live: impl Fn() -> Result<(), Failure>) -> Seen {
    const WARM: usize = 50;
    const TIMES: usize = 100;
    /// An allocator's own movements are smaller; 10 KiB an instance are not.
    const ALLOWED: u64 = 1 << 20;
    (0..WARM).try_for_each(|_| live())?;
    let Some(before) = resident_bytes() else { return pass("not measured on this system") };
    (0..TIMES).try_for_each(|_| live())?;
    let grown = resident_bytes().unwrap_or(before).saturating_sub(before);
    if grown > ALLOWED {
        return Err(format!("{TIMES} instances, made and destroyed, left {} KiB behind", grown / 1024));
    }
    pass(format!("{TIMES} instances, made and destroyed, leave nothing behind"))
}

/// The size of this process; `None` where the system does not say.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

/// Why one of the numbers is not usable, if so.
fn not_finite(numbers: &[f32], fields: &[Field]) -> Option<String> {
    let i = numbers.iter().position(|number| !number.is_finite())?;
    Some(format!("`{}` is {}", fields[i % fields.len()].name, numbers[i]))
}

/// The first number outside its declared bounds, if there is one.
fn out_of_bounds(numbers: &[f32], fields: &[Field]) -> Option<String> {
    let outside = |i: usize, number: f32| {
        let field = &fields[i % fields.len()];
        number < field.low || number > field.high
    };
    let (i, number) = numbers.iter().enumerate().find(|&(i, &number)| outside(i, number))?;
    let field = &fields[i % fields.len()];
    Some(format!("`{}` is {number}, outside {} to {}", field.name, field.low, field.high))
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// An output array with a margin on both sides, to see whether a plugin writes outside it.
struct Guard<T> {
    cells: Vec<T>,
    mark: T,
    length: usize,
}

impl<T: Copy + PartialEq> Guard<T> {
    const MARGIN: usize = 64;

    fn new(length: usize, mark: T) -> Self {
        Guard { cells: vec![mark; length + 2 * Self::MARGIN], mark, length }
    }

    fn inside(&mut self) -> &mut [T] {
        &mut self.cells[Self::MARGIN..Self::MARGIN + self.length]
    }

    fn is_intact(&self) -> bool {
        let (before, rest) = self.cells.split_at(Self::MARGIN);
        before.iter().chain(&rest[self.length..]).all(|&cell| cell == self.mark)
    }

    fn check(&self, name: &str) -> Result<(), String> {
        if self.is_intact() { Ok(()) } else { Err(format!("it wrote outside the array `{name}`")) }
    }
}
