//! Amounts of memory, as specs and command lines write them: `256 MiB`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A number of bytes, at least one and at most 1024 TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// The largest first, and of two alike the binary one.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];
const MOST: u64 = 1 << 50;

impl Bytes {
    /// What to write, for messages.
    pub const WHAT: &'static str = "an amount of memory, such as 256 MiB, 1.5 GiB or 64 MB";

    /// At least so many, in few digits.
    pub fn at_least(bytes: u64) -> Bytes {
        let unit = if bytes < 10 << 20 { 1 << 10 } else { 1 << 20 };
        Bytes(bytes.max(1).next_multiple_of(unit))
    }
}

impl FromStr for Bytes {
    /// How to write it right; empty where there is nothing to add to [`Bytes::WHAT`].
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = (&text[..end], text[end..].trim());
        let Some(value) = number.parse::<f64>().ok().filter(|value| value.is_finite()) else {
            return Err(String::new());
        };
        let size = match UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some((_, size)) => *size,
            None if unit.is_empty() => return Err(format!("say of what: {number} MiB")),
            None => {
                let letter = unit.chars().next().map_or('M', |c| c.to_ascii_uppercase());
                let known = if "KMGT".contains(letter) { letter } else { 'M' };
                return Err(format!(
                    "write {number} {known}iB; units are B, kB, KiB, MB, MiB, GB, GiB, TB, TiB"
                ));
            }
        };
        let exact = number.parse::<u64>().ok().map(|number| number.saturating_mul(size));
        // A fraction of a byte is dropped; what is beyond a u64 is the largest one.
        match exact.unwrap_or((value * size as f64) as u64) {
            0 => Err("it must be at least one byte".into()),
            bytes if bytes > MOST => Err("it must be at most 1024 TiB".into()),
            bytes => Ok(Bytes(bytes)),
        }
    }
}

impl fmt::Display for Bytes {
    /// Exact: reading it gives the same number.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (unit, size) = UNITS.iter().find(|(_, size)| self.0.is_multiple_of(*size)).unwrap_or(&("B", 1));
        write!(f, "{} {unit}", self.0 / size)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(from)?;
        let wrong = |help: String| de::Error::custom(format!("expected {}; {help}", Bytes::WHAT));
        text.parse().map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_printed_exactly() {
        for (text, bytes, printed) in [
            ("256 MiB", 256 << 20, "256 MiB"),
            ("256mib", 256 << 20, "256 MiB"),
            ("1.5 GiB", 3 << 29, "1536 MiB"),
            ("64 MB", 64_000_000, "64 MB"),
            ("0.5 kB", 500, "500 B"),
            ("1024 KiB", 1 << 20, "1 MiB"),
            ("7B", 7, "7 B"),
            ("1024 TiB", 1 << 50, "1024 TiB"),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
            assert_eq!(Bytes(bytes).to_string(), printed);
            assert_eq!(printed.parse(), Ok(Bytes(bytes)));
        }
    }

    #[test]
    fn what_is_no_amount_says_why() {
        for (text, help) in [
            ("256", "say of what: 256 MiB"),
            ("256M", "write 256 MiB; "),
            ("2 gigs", "write 2 GiB; "),
            ("3 pages", "write 3 MiB; "),
            ("0 MiB", "it must be at least one byte"),
            ("0.1 B", "it must be at least one byte"),
            ("1025 TiB", "it must be at most 1024 TiB"),
            ("99999999999999999999 TiB", "it must be at most 1024 TiB"),
        ] {
            let found = text.parse::<Bytes>().unwrap_err();
            assert!(found.starts_with(help), "{text}: {found}");
        }
        for text in ["", "MiB", "-1 MiB", "1.2.3 MiB", "much", "1e3 MiB", "inf MiB", ".", "１ MiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rounded_amount_is_never_less() {
        for bytes in [0, 1, 1024, 1025, (10 << 20) - 1, (10 << 20) + 1, 12_345_678_901] {
            let rounded = Bytes::at_least(bytes);
            assert!(rounded.0 >= bytes && rounded.to_string().len() <= 9, "{rounded}");
        }
    }
}
