//! Quantities as users write them: times with a unit, counts from one up, shares, and "N units" of delay.
//!
//! Each is a type whose deserialiser says what it expects, so that the message under a wrong value is the same wherever it
//! stands. Which quantity belongs to which key is said in `format.rs`.

use std::borrow::Cow;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use photofinish_harness::load::RateHz;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};

/// Units of time by name, in ns; the longest name first where one ends with another.
const TIME_UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
];

/// Longer than any sensible measurement; what is beyond it is a slip, and could overflow sums.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What a time looks like, for messages.
const TIME_EXPECTED: &str =
    "a time with its unit (ns, us, ms, s or m), such as \"300ms\", of a day at most";

/// Reads a time with its unit: `300ms`, `1.5 s`, `250us`. Units are ns, us or µs, ms, s and m; the longest is a day.
pub fn parse_time(text: &str) -> Result<Duration, NotATime> {
    let wrong = || NotATime(text.to_owned());
    let text = text.trim();
    let ends_in_unit = |(name, _): &&(&str, u64)| text.ends_with(name);
    let (name, unit_ns) = TIME_UNITS.iter().find(ends_in_unit).ok_or_else(wrong)?;
    let number = decimal(text[..text.len() - name.len()].trim_end()).ok_or_else(wrong)?;
    Some(scaled(number, Duration::from_nanos(*unit_ns)))
        .filter(|time| *time <= LONGEST)
        .ok_or_else(wrong)
}

/// A text that is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not {TIME_EXPECTED}")]
pub struct NotATime(String);

/// A plain decimal number: digits, perhaps with a point between them. No sign, no exponent, no `inf`.
fn decimal(text: &str) -> Option<f64> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    };
    plain.then(|| text.parse().ok()).flatten()
}

/// `number` times `unit`, to the nearest ns; saturates.
fn scaled(number: f64, unit: Duration) -> Duration {
    // Casting saturates; below 2^53 ns, over a hundred days, the product is exact to the ns.
    Duration::from_nanos((number * unit.as_nanos() as f64).round() as u64)
}

/// A time as [`parse_time`] reads it, in the largest unit that leaves a whole number.
pub(crate) fn time_text(time: Duration) -> String {
    let time_ns = time.as_nanos();
    let (name, unit_ns) = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)]
        .into_iter()
        .find(|(_, unit_ns)| time_ns.is_multiple_of(*unit_ns))
        .unwrap_or(("ns", 1));
    format!("{}{name}", time_ns / unit_ns)
}

/// The time that `3 units` means, or `1 unit`, or `0.5 units`; `None` for any other text.
pub(crate) fn units_of_delay(text: &str, unit: Duration) -> Option<Duration> {
    let text = text.trim();
    let number = text
        .strip_suffix("units")
        .or_else(|| text.strip_suffix("unit"))?;
    let time = scaled(decimal(number.trim_end())?, unit);
    (time <= LONGEST).then_some(time)
}

/// A time with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl Visitor<'_> for TimeVisitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(TIME_EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                let wrong = |_| E::invalid_value(Unexpected::Str(text), &self);
                parse_time(text).map(Time).map_err(wrong)
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A time with its unit, such as `300ms`, `2s` or `250us`.",
            "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(ns|us|µs|ms|s|m)\s*$",
        })
    }
}

/// A count of operations, from one up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ops(pub(crate) NonZeroU64);

impl<'de> Deserialize<'de> for Ops {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OpsVisitor;
        impl Visitor<'_> for OpsVisitor {
            type Value = Ops;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of operations, from 1 up")
            }

            fn visit_u64<E: Error>(self, count: u64) -> Result<Ops, E> {
                let wrong = || E::invalid_value(Unexpected::Unsigned(count), &self);
                NonZeroU64::new(count).map(Ops).ok_or_else(wrong)
            }

            fn visit_i64<E: Error>(self, count: i64) -> Result<Ops, E> {
                Err(E::invalid_value(Unexpected::Signed(count), &self))
            }
        }
        deserializer.deserialize_any(OpsVisitor)
    }
}

impl JsonSchema for Ops {
    fn schema_name() -> Cow<'static, str> {
        "Ops".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 1})
    }
}

/// A number of sessions, from one up.
struct Sessions(NonZeroU32);

const SESSIONS_EXPECTED: &str = "a number of sessions, from 1 up";

impl<'de> Deserialize<'de> for Sessions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SessionsVisitor;
        impl Visitor<'_> for SessionsVisitor {
            type Value = Sessions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(SESSIONS_EXPECTED)
            }

            fn visit_u64<E: Error>(self, count: u64) -> Result<Sessions, E> {
                sessions(count).map(Sessions)
            }

            fn visit_i64<E: Error>(self, count: i64) -> Result<Sessions, E> {
                Err(E::invalid_value(Unexpected::Signed(count), &self))
            }
        }
        deserializer.deserialize_any(SessionsVisitor)
    }
}

fn sessions<E: Error>(count: u64) -> Result<NonZeroU32, E> {
    let wrong = || E::invalid_value(Unexpected::Unsigned(count), &SESSIONS_EXPECTED);
    let count = u32::try_from(count).map_err(|_| wrong())?;
    NonZeroU32::new(count).ok_or_else(wrong)
}

/// Numbers of sessions, each a point of the sweep: one number or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sweep(pub(crate) Vec<NonZeroU32>);

impl<'de> Deserialize<'de> for Sweep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SweepVisitor;
        impl<'de> Visitor<'de> for SweepVisitor {
            type Value = Sweep;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{SESSIONS_EXPECTED}, or a list of them")
            }

            fn visit_u64<E: Error>(self, count: u64) -> Result<Sweep, E> {
                Ok(Sweep(vec![sessions(count)?]))
            }

            fn visit_i64<E: Error>(self, count: i64) -> Result<Sweep, E> {
                Err(E::invalid_value(Unexpected::Signed(count), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Sweep, A::Error> {
                let mut points = Vec::new();
                while let Some(Sessions(point)) = list.next_element()? {
                    if points.contains(&point) {
                        return Err(A::Error::custom(format!("{point} stands here twice")));
                    }
                    points.push(point);
                }
                if points.is_empty() {
                    return Err(A::Error::invalid_length(0, &"at least one number"));
                }
                Ok(Sweep(points))
            }
        }
        deserializer.deserialize_any(SweepVisitor)
    }
}

impl JsonSchema for Sweep {
    fn schema_name() -> Cow<'static, str> {
        "Sweep".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let point = json_schema!({"type": "integer", "minimum": 1, "maximum": u32::MAX});
        json_schema!({
            "anyOf": [
                point,
                {"type": "array", "items": point, "minItems": 1, "uniqueItems": true},
            ]
        })
    }
}

/// A rate in arrivals per second.
struct Rate(RateHz);

const RATE_EXPECTED: &str =
    "a rate in arrivals per second, such as 1000, above 0 and of at most 10,000,000";

/// Reads a rate as the command line takes it: `1000`, `2.5`, `20k`, `1M`.
pub fn parse_rate(text: &str) -> Result<RateHz, NotARateText> {
    let wrong = || NotARateText(text.to_owned());
    let text = text.trim();
    let (number, factor) = match (text.strip_suffix('k'), text.strip_suffix('M')) {
        (Some(thousands), _) => (thousands, 1e3),
        (_, Some(millions)) => (millions, 1e6),
        _ => (text, 1.0),
    };
    let number = decimal(number).ok_or_else(wrong)?;
    RateHz::new(number * factor).map_err(|_| wrong())
}

/// A text that is not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not {RATE_EXPECTED} (20k and 1M are understood)")]
pub struct NotARateText(String);

fn rate<E: Error>(hz: f64, given: Unexpected<'_>) -> Result<RateHz, E> {
    RateHz::new(hz).map_err(|_| E::invalid_value(given, &RATE_EXPECTED))
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RateVisitor;
        impl Visitor<'_> for RateVisitor {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(RATE_EXPECTED)
            }

            fn visit_u64<E: Error>(self, hz: u64) -> Result<Rate, E> {
                rate(hz as f64, Unexpected::Unsigned(hz)).map(Rate)
            }

            fn visit_i64<E: Error>(self, hz: i64) -> Result<Rate, E> {
                Err(E::invalid_value(Unexpected::Signed(hz), &self))
            }

            fn visit_f64<E: Error>(self, hz: f64) -> Result<Rate, E> {
                rate(hz, Unexpected::Float(hz)).map(Rate)
            }
        }
        deserializer.deserialize_any(RateVisitor)
    }
}

/// Rates, each a point of the sweep: one number or a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rates(pub(crate) Vec<RateHz>);

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RatesVisitor;
        impl<'de> Visitor<'de> for RatesVisitor {
            type Value = Rates;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{RATE_EXPECTED}, or a list of them")
            }

            fn visit_u64<E: Error>(self, hz: u64) -> Result<Rates, E> {
                Ok(Rates(vec![rate(hz as f64, Unexpected::Unsigned(hz))?]))
            }

            fn visit_i64<E: Error>(self, hz: i64) -> Result<Rates, E> {
                Err(E::invalid_value(Unexpected::Signed(hz), &self))
            }

            fn visit_f64<E: Error>(self, hz: f64) -> Result<Rates, E> {
                Ok(Rates(vec![rate(hz, Unexpected::Float(hz))?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rates, A::Error> {
                let mut rates = Vec::new();
                while let Some(Rate(rate)) = list.next_element()? {
                    if rates.contains(&rate) {
                        return Err(A::Error::custom(format!("{rate} stands here twice")));
                    }
                    rates.push(rate);
                }
                if rates.is_empty() {
                    return Err(A::Error::invalid_length(0, &"at least one number"));
                }
                Ok(Rates(rates))
            }
        }
        deserializer.deserialize_any(RatesVisitor)
    }
}

impl JsonSchema for Rates {
    fn schema_name() -> Cow<'static, str> {
        "Rates".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let rate = json_schema!(
            {"type": "number", "exclusiveMinimum": 0, "maximum": RateHz::HIGHEST}
        );
        json_schema!({
            "description": "Arrivals per second: a number, or a list of numbers, each to be measured.",
            "anyOf": [
                rate,
                {"type": "array", "items": rate, "minItems": 1, "uniqueItems": true},
            ]
        })
    }
}

/// A multiple of the load's rate: 0 is no arrivals, 1 the rate itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Factor(pub(crate) f64);

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let factor = f64::deserialize(deserializer)?;
        let sensible = (0.0..=1000.0).contains(&factor);
        let expected = "a multiple of the rate, from 0 (no arrivals) to 1000";
        let wrong = || D::Error::invalid_value(Unexpected::Float(factor), &expected);
        sensible.then_some(Self(factor)).ok_or_else(wrong)
    }
}

impl JsonSchema for Factor {
    fn schema_name() -> Cow<'static, str> {
        "Factor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": 0, "maximum": 1000})
    }
}

/// A share of a whole, 0..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShareVisitor;
        impl Visitor<'_> for ShareVisitor {
            type Value = Share;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0, a percentage such as \"1%\", or a share such as 0.01")
            }

            fn visit_u64<E: Error>(self, share: u64) -> Result<Share, E> {
                // A bare `1` would be read as "one error" by some and means all of them.
                let wrong = || E::invalid_value(Unexpected::Unsigned(share), &self);
                (share == 0).then_some(Share(0.0)).ok_or_else(wrong)
            }

            fn visit_i64<E: Error>(self, share: i64) -> Result<Share, E> {
                Err(E::invalid_value(Unexpected::Signed(share), &self))
            }

            fn visit_f64<E: Error>(self, share: f64) -> Result<Share, E> {
                let wrong = || E::invalid_value(Unexpected::Float(share), &self);
                let sensible = (0.0..=1.0).contains(&share);
                sensible.then_some(Share(share)).ok_or_else(wrong)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Share, E> {
                let wrong = || E::invalid_value(Unexpected::Str(text), &self);
                let number = text.trim().strip_suffix('%').ok_or_else(wrong)?;
                let percent = decimal(number.trim_end()).ok_or_else(wrong)?;
                let sensible = percent <= 100.0;
                sensible.then(|| Share(percent / 100.0)).ok_or_else(wrong)
            }
        }
        deserializer.deserialize_any(ShareVisitor)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A share of all operations: 0, `\"1%\"` or 0.01.",
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$"},
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_a_number_and_a_unit_and_nothing_else() {
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
    fn a_rate_is_a_number_perhaps_in_thousands_or_millions() {
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

    #[test]
    fn a_time_is_written_as_it_is_read() {
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
