//! Counts from one up: operations, and sessions. Zero of either would measure nothing.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use schemars::{Schema, json_schema};

use super::{Mismatch, Quantity};

/// A count of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ops(pub NonZeroU64);

impl Quantity for Ops {
    const EXPECTED: &'static str = "a number of operations, from 1 up";

    fn from_unsigned(number: u64) -> Result<Self, Mismatch> {
        NonZeroU64::new(number).map(Self).ok_or(Mismatch::Value)
    }

    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": 1})
    }
}

/// Maximum number of sessions: their state before the first operation must fit into memory.
const MOST_SESSIONS: u32 = 1_000_000;

/// Parses a number of sessions from the command line.
pub fn parse_sessions(text: &str) -> Result<NonZeroU32, String> {
    let number = text
        .trim()
        .parse()
        .ok()
        .and_then(|number| SessionCount::from_unsigned(number).ok());
    number.map(|SessionCount(number)| number).ok_or_else(|| {
        format!(
            "expected {}; several make a sweep: 1,2,4",
            SessionCount::EXPECTED
        )
    })
}

/// A number of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCount(pub NonZeroU32);

impl Quantity for SessionCount {
    const EXPECTED: &'static str = "a number of sessions from 1 to 1,000,000";

    fn from_unsigned(number: u64) -> Result<Self, Mismatch> {
        let number = u32::try_from(number)
            .ok()
            .filter(|number| *number <= MOST_SESSIONS);
        number
            .and_then(NonZeroU32::new)
            .map(Self)
            .ok_or(Mismatch::Value)
    }

    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": MOST_SESSIONS})
    }
}

impl fmt::Display for SessionCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
