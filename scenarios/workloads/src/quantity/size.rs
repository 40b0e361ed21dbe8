//! Sizes in bytes: `"64KiB"`, `"256MiB"`, or a plain number of bytes.

use std::fmt;

use schemars::{Schema, json_schema};
use serde::{Serialize, Serializer};

use super::{Mismatch, Quantity};

/// Names of units, in bytes; the longest name first where one ends with another.
const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    pub bytes: u64,
}

impl Size {
    /// This many KiB.
    pub const fn kib(count: u64) -> Self {
        Self { bytes: count << 10 }
    }

    /// This many MiB.
    pub const fn mib(count: u64) -> Self {
        Self { bytes: count << 20 }
    }

    /// As a length in memory; saturates where the machine's addresses are shorter.
    pub fn as_len(self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let unit = UNITS.iter().find(|(name, _)| text.ends_with(name));
        let (number, unit_bytes) = match unit {
            Some((name, unit_bytes)) => (text[..text.len() - name.len()].trim_end(), *unit_bytes),
            None => (text, 1),
        };
        let bytes = number.parse::<u64>().ok()?.checked_mul(unit_bytes)?;
        Some(Self { bytes })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, unit_bytes): &&(&str, u64)| {
            self.bytes > 0 && self.bytes.is_multiple_of(*unit_bytes)
        };
        let binary = [UNITS[2], UNITS[1], UNITS[0]];
        match binary.iter().find(whole) {
            Some((name, unit_bytes)) => write!(f, "{}{name}", self.bytes / unit_bytes),
            None => write!(f, "{}B", self.bytes),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Quantity for Size {
    const EXPECTED: &'static str = "a size such as \"64KiB\", \"256MiB\" or a number of bytes";

    fn from_unsigned(bytes: u64) -> Result<Self, Mismatch> {
        Ok(Self { bytes })
    }

    fn from_text(text: &str) -> Result<Self, Mismatch> {
        Self::parse(text).ok_or(Mismatch::Value)
    }

    fn schema() -> Schema {
        json_schema!({
            "description": "A size: `64KiB`, `256MiB`, or a number of bytes.",
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\s*[0-9]+\s*(KiB|MiB|GiB|kB|KB|MB|GB|B)?\s*$"},
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_or_without_a_unit() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(
                Size::parse(text).map(|size| size.bytes),
                expected,
                "{text:?}"
            );
        };
        check("64KiB", Some(65_536));
        check(" 4 KiB ", Some(4_096));
        check("1GiB", Some(1 << 30));
        check("2MB", Some(2_000_000));
        check("17B", Some(17));
        check("17", Some(17));
        check("", None);
        check("KiB", None);
        check("-1KiB", None);
        check("1.5MiB", None);
        check("99999999999GiB", None);
    }

    #[test]
    fn sizes_round_trip() {
        for text in ["64KiB", "256MiB", "3GiB", "17B", "0B"] {
            assert_eq!(
                Size::parse(text).map(|size| size.to_string()).as_deref(),
                Some(text)
            );
        }
    }
}
