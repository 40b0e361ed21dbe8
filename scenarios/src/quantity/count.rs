//! Counts from one up: operations, and sessions. Zero of either would measure nothing.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use schemars::{Schema, json_schema};

use super::{Mismatch, Quantity};

/// A count of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ops(pub(crate) NonZeroU64);

impl Quantity for Ops {
    const EXPECTED: &'static str = "a number of operations, from 1 up";

    fn from_unsigned(number: u64) -> Result<Self, Mismatch> {
        NonZeroU64::new(number).map(Self).ok_or(Mismatch::Value)
    }

    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": 1})
    }
}

/// A number of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionCount(pub(crate) NonZeroU32);

impl Quantity for SessionCount {
    const EXPECTED: &'static str = "a number of sessions, from 1 up";

    fn from_unsigned(number: u64) -> Result<Self, Mismatch> {
        let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
        number.map(Self).ok_or(Mismatch::Value)
    }

    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": u32::MAX})
    }
}

impl fmt::Display for SessionCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
