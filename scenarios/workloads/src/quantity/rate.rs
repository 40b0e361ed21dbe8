//! Rates of open loads in arrivals per second, and multiples of a rate.
//!
//! A file has plain numbers; the command line takes `20k` and `1M` as well. The bounds are those of `RateHz`.

use std::fmt;

use photofinish_record::load::RateHz;
use schemars::{Schema, json_schema};

use super::{Mismatch, Quantity, decimal};

/// A rate in arrivals per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(pub RateHz);

impl Quantity for Rate {
    const EXPECTED: &'static str =
        "a rate in arrivals per second, such as 1000, above 0 and at most 10,000,000";

    fn from_float(number: f64) -> Result<Self, Mismatch> {
        RateHz::new(number).map(Self).map_err(|_| Mismatch::Value)
    }

    fn schema() -> Schema {
        json_schema!({"type": "number", "exclusiveMinimum": 0, "maximum": RateHz::HIGHEST})
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads a rate as the command line takes it: `1000`, `2.5`, `20k`, `1M`.
pub fn parse_rate(text: &str) -> Result<RateHz, InvalidRate> {
    let trimmed = text.trim();
    let (number, factor) = match (trimmed.strip_suffix('k'), trimmed.strip_suffix('M')) {
        (Some(thousands), _) => (thousands, 1e3),
        (_, Some(millions)) => (millions, 1e6),
        _ => (trimmed, 1.0),
    };
    decimal(number)
        .and_then(|number| RateHz::new(number * factor).ok())
        .ok_or_else(|| InvalidRate(text.to_owned()))
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, or 20k or 1M, got `{0}`", expected = Rate::EXPECTED)]
pub struct InvalidRate(String);

/// A multiple of the load's rate: 0 is no arrivals, 1 the rate itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor(pub f64);

impl Quantity for Factor {
    const EXPECTED: &'static str = "a multiple of the rate, from 0 (no arrivals) to 1000";

    fn from_float(number: f64) -> Result<Self, Mismatch> {
        let valid = (0.0..=1000.0).contains(&number);
        valid.then_some(Self(number)).ok_or(Mismatch::Value)
    }

    fn schema() -> Schema {
        json_schema!({"type": "number", "minimum": 0, "maximum": 1000})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_may_be_in_thousands_or_millions() {
        let check = |text: &str, expected: Option<f64>| {
            assert_eq!(parse_rate(text).ok().map(RateHz::get), expected, "{text:?}");
        };
        check("1000", Some(1_000.0));
        check(" 2.5 ", Some(2.5));
        check("20k", Some(20_000.0));
        check("1.5M", Some(1_500_000.0));
        for wrong in ["", "0", "-1", "k", "11M", "1e3", "inf", "10/s"] {
            check(wrong, None);
        }
    }
}
