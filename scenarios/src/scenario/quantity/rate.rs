//! Rates of open loads in arrivals per second, of which a list makes a sweep, and multiples of a rate.
//!
//! A file has plain numbers; the command line takes `20k` and `1M` as well. How high a rate may be is said by `RateHz`.

use std::borrow::Cow;
use std::fmt;

use photofinish_record::load::RateHz;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};

use super::{decimal, each_once};

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

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Rates, A::Error> {
                each_once(list, |Rate(rate)| rate).map(Rates)
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
