//! Shares of a whole: 0, a percentage, or a number between 0 and 1.

use schemars::{Schema, json_schema};

use super::{Mismatch, Quantity, decimal};

/// A share of a whole, 0..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share(pub f64);

impl Quantity for Share {
    const EXPECTED: &'static str = "0, a percentage such as \"1%\", or a share such as 0.01";

    /// Only 0: a bare `1` reads like "one error" and would mean all of them.
    fn from_unsigned(number: u64) -> Result<Self, Mismatch> {
        (number == 0).then_some(Self(0.0)).ok_or(Mismatch::Value)
    }

    fn from_float(share: f64) -> Result<Self, Mismatch> {
        let valid = (0.0..=1.0).contains(&share);
        valid.then_some(Self(share)).ok_or(Mismatch::Value)
    }

    fn from_text(text: &str) -> Result<Self, Mismatch> {
        text.trim()
            .strip_suffix('%')
            .and_then(|number| decimal(number.trim_end()))
            .filter(|percent| *percent <= 100.0)
            .map(|percent| Self(percent / 100.0))
            .ok_or(Mismatch::Value)
    }

    fn schema() -> Schema {
        json_schema!({
            "description": "A share of all operations: 0, `\"1%\"` or 0.01.",
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$"},
            ]
        })
    }
}
