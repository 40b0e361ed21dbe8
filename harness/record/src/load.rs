//! Loads: the rule by which operations start.
//!
//! A load is data: a model (closed: N sessions, each starting its next operation when the last one ended; open:
//! arrivals on a schedule, independent of completions) and a stop rule. The harness's measuring loop applies it;
//! runtimes and workloads do not know it.

use std::hash::{Hash, Hasher};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::nanoseconds;

/// The rule by which operations start, at one point of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "model", rename_all = "kebab-case")]
pub enum Load {
    /// A fixed number of sessions; each starts its next operation when the last one ended.
    Closed {
        /// Sessions requested; `sync` always has one.
        concurrency: NonZeroU32,
    },
    /// Arrivals on a schedule, independent of completions; each waits for a free session.
    Open {
        arrivals: Arrivals,
        /// Arrivals per second; the scenario's stages scale it.
        rate_hz: RateHz,
        /// Sessions requested: the maximum number of arrivals served at one time; `sync` always has one.
        concurrency: NonZeroU32,
    },
}

/// Distribution of the arrivals of an open load.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Evenly spaced by the inverse of the rate.
    #[default]
    Constant,
    /// As from many independent users: a seeded Poisson process.
    Poisson,
    /// In bursts: all arrivals of 10 ms together, at its beginning.
    Bursts,
}

/// A rate in Hz: a positive, finite number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "f64")
)]
#[serde(try_from = "f64", into = "f64")]
pub struct RateHz(f64);

/// Not a valid rate.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("expected a rate above 0 and up to 10,000,000, got {0}")]
pub struct InvalidRate(f64);

impl RateHz {
    /// Maximum, in Hz: ten arrivals per microsecond, more than any machine sustains.
    pub const HIGHEST: f64 = 10_000_000.0;

    pub fn new(hz: f64) -> Result<Self, InvalidRate> {
        if hz > 0.0 && hz <= Self::HIGHEST {
            Ok(Self(hz))
        } else {
            Err(InvalidRate(hz))
        }
    }

    /// In Hz.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for RateHz {
    type Error = InvalidRate;

    fn try_from(hz: f64) -> Result<Self, InvalidRate> {
        Self::new(hz)
    }
}

impl From<RateHz> for f64 {
    fn from(rate: RateHz) -> Self {
        rate.0
    }
}

// Never NaN, and never -0.0, so that equal rates have equal bits.
impl Eq for RateHz {}

impl Hash for RateHz {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl std::fmt::Display for RateHz {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A part of an open load in which the rate is constant or changes linearly. A step is two stages.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stage {
    pub duration_ns: NonZeroU64,
    /// Rate at its start, as a share of the load's rate; 0 means no arrivals.
    pub from: f64,
    /// Rate at its end, as a share of the load's rate.
    pub to: f64,
}

impl Load {
    /// Sessions requested.
    pub fn concurrency(self) -> NonZeroU32 {
        match self {
            Self::Closed { concurrency } | Self::Open { concurrency, .. } => concurrency,
        }
    }

    /// Arrivals per second of an open load; `None` for a closed one.
    pub fn rate_hz(self) -> Option<RateHz> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { rate_hz, .. } => Some(rate_hz),
        }
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed { concurrency } => write!(f, "closed, {concurrency} in flight"),
            Self::Open {
                arrivals,
                rate_hz,
                concurrency,
            } => {
                let kind = match arrivals {
                    Arrivals::Constant => "",
                    Arrivals::Poisson => " Poisson",
                    Arrivals::Bursts => " in bursts",
                };
                write!(f, "open, {rate_hz}/s{kind}, {concurrency} sessions")
            }
        }
    }
}

/// The end of a phase. Operations in flight at that moment are completed and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// After this time, in ns; every session completes at least one operation.
    DurationNs(NonZeroU64),
    /// After this many operations over all sessions.
    Ops(NonZeroU64),
}

impl Stop {
    /// A stop rule by time; a zero duration becomes 1 ns, so that one operation per session runs.
    pub fn after(duration: Duration) -> Self {
        let duration_ns = NonZeroU64::new(nanoseconds(duration));
        Self::DurationNs(duration_ns.unwrap_or(NonZeroU64::MIN))
    }
}
