//! Times with a unit, and "N units" of delay.
//!
//! A time has no default unit: `5` could mean anything.

use std::time::Duration;

use schemars::{Schema, json_schema};

use super::{Mismatch, Quantity, decimal};

/// Units of time by name, in ns; a name that ends with another comes before it.
const TIME_UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Longer than any sensible measurement: a time above it is a typing error, and could overflow sums.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a time with its unit: `300ms`, `1.5 s`, `250us`. Units are ns, us or µs, ms, s, m and h; the longest is a day.
pub fn parse_time(text: &str) -> Result<Duration, InvalidTime> {
    let trimmed = text.trim();
    TIME_UNITS
        .iter()
        .find_map(|(name, unit_ns)| Some((trimmed.strip_suffix(name)?, *unit_ns)))
        .and_then(|(number, unit_ns)| {
            let number = decimal(number.trim_end())?;
            Some(scaled(number, Duration::from_nanos(unit_ns)))
        })
        .filter(|time| *time <= LONGEST)
        .ok_or_else(|| InvalidTime(text.to_owned()))
}

/// Reads a duration, which is a time above zero.
pub fn parse_length(text: &str) -> Result<Duration, String> {
    let time = parse_time(text).map_err(|error| error.to_string())?;
    if time.is_zero() {
        return Err(format!(
            "expected a time above zero, such as 500ms or 10s, got `{text}`"
        ));
    }
    Ok(time)
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got `{0}`", expected = Time::EXPECTED)]
pub struct InvalidTime(String);

/// `number` times `unit`, to the nearest ns; saturates.
fn scaled(number: f64, unit: Duration) -> Duration {
    // Casting saturates; below 2^53 ns, which is over a hundred days, the product is exact to the ns.
    Duration::from_nanos((number * unit.as_nanos() as f64).round() as u64)
}

/// A time as [`parse_time`] reads it, in the largest unit that leaves a whole number.
pub fn time_text(time: Duration) -> String {
    let time_ns = time.as_nanos();
    let (name, unit_ns) = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)]
        .into_iter()
        .find(|(_, unit_ns)| time_ns.is_multiple_of(*unit_ns))
        .unwrap_or(("ns", 1));
    format!("{}{name}", time_ns / unit_ns)
}

/// The length of `3 units`, `1 unit` or `0.5 units`; `None` for any other text.
pub fn units_of_delay(text: &str, unit: Duration) -> Option<Duration> {
    let text = text.trim();
    let number = text
        .strip_suffix("units")
        .or_else(|| text.strip_suffix("unit"))?;
    let time = scaled(decimal(number.trim_end())?, unit);
    (time <= LONGEST).then_some(time)
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time_text(self.0))
    }
}

/// A time with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

impl Quantity for Time {
    const EXPECTED: &'static str =
        "a time with its unit (ns, us, ms, s, m or h), such as \"300ms\", at most a day";

    fn from_text(text: &str) -> Result<Self, Mismatch> {
        parse_time(text).map(Self).map_err(|_| Mismatch::Value)
    }

    fn schema() -> Schema {
        json_schema!({
            "type": "string",
            "description": "A time with its unit, such as `300ms`, `2s` or `250us`.",
            "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(ns|us|µs|ms|s|m|h)\s*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let check = |text: &str, expected: Option<Duration>| {
            assert_eq!(parse_time(text).ok(), expected, "{text:?}");
        };
        check("20ms", Some(Duration::from_millis(20)));
        check(" 1.5 s ", Some(Duration::from_millis(1500)));
        check("250us", Some(Duration::from_micros(250)));
        check("250µs", Some(Duration::from_micros(250)));
        check("7ns", Some(Duration::from_nanos(7)));
        check("2m", Some(Duration::from_secs(120)));
        check("0s", Some(Duration::ZERO));
        check("1440m", Some(LONGEST));
        check("24h", Some(LONGEST));
        check("25h", None);
        check("1441m", None);
        for wrong in [
            "",
            "5",
            "ms",
            "-5ms",
            "5 minutes",
            "1e3s",
            "infs",
            "NaNs",
            ".5s",
            "5.s",
            "+5s",
            "1.2.3s",
            "5hs",
        ] {
            check(wrong, None);
        }
        check(&format!("{}s", "9".repeat(400)), None);
    }

    #[test]
    fn times_round_trip() {
        let check = |time: Duration, expected: &str| {
            assert_eq!(time_text(time), expected);
            assert_eq!(parse_time(expected), Ok(time));
        };
        check(Duration::from_millis(20), "20ms");
        check(Duration::from_secs(3), "3s");
        check(Duration::from_nanos(1_500), "1500ns");
        check(Duration::from_micros(1_500), "1500us");
        check(Duration::ZERO, "0s");
    }

    #[test]
    fn units_of_delay_scale_with_the_unit() {
        let check = |text: &str, expected: Option<u64>| {
            let unit = Duration::from_millis(20);
            let expected = expected.map(Duration::from_millis);
            assert_eq!(units_of_delay(text, unit), expected, "{text:?}");
        };
        check("1 unit", Some(20));
        check("3 units", Some(60));
        check("2units", Some(40));
        check("0.5 units", Some(10));
        check("0 units", Some(0));
        check("units", None);
        check("three units", None);
        check("3 units of work", None);
        check("99999999999 units", None);
    }
}
