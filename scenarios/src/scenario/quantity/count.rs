//! Counts from one up: operations, and numbers of sessions, of which a list makes a sweep.
//!
//! Zero of either would measure nothing; two equal points of a sweep would be one.

use std::borrow::Cow;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};

use super::each_once;

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

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Sweep, A::Error> {
                each_once(list, |Sessions(point)| point).map(Sweep)
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
