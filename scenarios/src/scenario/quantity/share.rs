//! Shares of a whole: 0, a percentage, or a number between 0 and 1.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use super::decimal;

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
