//! Ranges of numbers, and how a sentence names them.

use std::fmt;

/// An interval of the real line; infinite ends are open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    low: f64,
    low_open: bool,
    high: f64,
    high_open: bool,
}

impl Bounds {
    /// Greater than `low`.
    pub const fn above(low: f64) -> Bounds {
        Bounds { low, low_open: true, high: f64::INFINITY, high_open: true }
    }

    /// `low` and up.
    pub const fn from(low: f64) -> Bounds {
        Bounds { low, low_open: false, high: f64::INFINITY, high_open: true }
    }

    /// … up to and including `high`.
    pub const fn to(self, high: f64) -> Bounds {
        Bounds { high, high_open: false, ..self }
    }

    /// … up to and without `high`.
    pub const fn below(self, high: f64) -> Bounds {
        Bounds { high, high_open: true, ..self }
    }

    /// The closed interval of a plugin's declaration; a missing end is infinite.
    pub fn closed(low: Option<f64>, high: Option<f64>) -> Bounds {
        let bounds = Bounds { low: f64::NEG_INFINITY, low_open: true, high: f64::INFINITY, high_open: true };
        let bounds = low.map_or(bounds, |low| Bounds { low, low_open: false, ..bounds });
        high.map_or(bounds, |high| bounds.to(high))
    }

    /// Smallest and largest value with whether each is itself outside; `None` for an infinite end.
    pub fn ends(&self) -> [Option<(f64, bool)>; 2] {
        let end = |value: f64, open| value.is_finite().then_some((value, open));
        [end(self.low, self.low_open), end(self.high, self.high_open)]
    }

    /// False for NaN and the infinities.
    pub fn contains(&self, x: f64) -> bool {
        let low = if self.low_open { x > self.low } else { x >= self.low };
        let high = if self.high_open { x < self.high } else { x <= self.high };
        low && high
    }
}

/// Continues the sentence "must be a number …"; empty where every finite number will do.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (short(self.low), short(self.high));
        match (self.low.is_finite(), self.low_open, self.high.is_finite(), self.high_open) {
            (false, _, false, _) => Ok(()),
            (true, true, false, _) => write!(f, " above {low}"),
            (true, false, false, _) => write!(f, " of at least {low}"),
            (false, _, true, true) => write!(f, " below {high}"),
            (false, _, true, false) => write!(f, " of at most {high}"),
            (true, true, true, true) => write!(f, " above {low} and below {high}"),
            (true, true, true, false) => write!(f, " above {low} and at most {high}"),
            (true, false, true, true) => write!(f, " of at least {low} and below {high}"),
            (true, false, true, false) => write!(f, " from {low} to {high}"),
        }
    }
}

/// A number as people write it: `0.01`, `1000`, `1e-8`.
pub(super) fn short(x: f64) -> String {
    let size = x.abs();
    if size != 0.0 && !(1e-4..1e7).contains(&size) { format!("{x:e}") } else { format!("{x}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_open_or_closed_as_said() {
        let rate = Bounds::above(0.0).to(1000.0);
        assert!(
            !rate.contains(0.0) && rate.contains(1e-30) && rate.contains(1000.0) && !rate.contains(1000.1)
        );
        assert!(!rate.contains(f64::NAN) && !Bounds::above(0.0).contains(f64::INFINITY));
        assert_eq!(rate.to_string(), " above 0 and at most 1000");
        let beta = Bounds::from(0.0).below(1.0);
        assert!(beta.contains(0.0) && !beta.contains(1.0));
        assert_eq!(beta.to_string(), " of at least 0 and below 1");
        let free = Bounds::closed(None, None);
        assert!(free.contains(-1e300) && !free.contains(f64::NEG_INFINITY));
        assert_eq!(free.to_string(), "");
        assert_eq!(Bounds::closed(Some(-1.0), Some(1.0)).to_string(), " from -1 to 1");
    }
}
