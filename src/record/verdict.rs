//! How a measured mean stands beside a published one.

use super::number::short_text;
use super::row::Metric;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// As good as published, or better.
    Reached,
    /// Not as good, but the published number lies inside our 95 % interval.
    WithinInterval,
    /// Not as good by this much.
    ShortBy(f64),
}

impl Verdict {
    /// Losses are better lower, accuracies and returns higher.
    pub fn of(metric: Metric, mean: f64, interval: Option<(f64, f64)>, published: f64) -> Verdict {
        let short = match metric {
            Metric::Loss => mean - published,
            Metric::Accuracy | Metric::Return => published - mean,
        };
        match interval {
            _ if short <= 0.0 => Verdict::Reached,
            Some((low, high)) if (low..=high).contains(&published) => Verdict::WithinInterval,
            _ => Verdict::ShortBy(short),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Reached => f.write_str("reached"),
            Verdict::WithinInterval => f.write_str("within interval"),
            Verdict::ShortBy(gap) => write!(f, "short by {}", short_text(*gap)),
        }
    }
}
