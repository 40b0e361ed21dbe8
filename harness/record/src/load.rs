//! Loads: how operations are asked for.
//!
//! A load is data: a model (closed: N sessions, each starting its next operation when the last one ended; open:
//! arrivals on a schedule, whatever the completions do) and a stop rule. The measuring loop in `measure` gives it
//! meaning; runtimes and workloads know nothing of it.

use std::hash::{Hash, Hasher};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nanoseconds;

/// How operations are asked for, at one point of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "model", rename_all = "kebab-case")]
pub enum Load {
    /// A fixed number of sessions; each starts its next operation when the last one ended.
    Closed {
        /// Sessions asked for; `sync` always has one.
        concurrency: NonZeroU32,
    },
    /// Arrivals on a schedule, whatever the completions do; each waits for a free session.
    Open {
        /// How arrivals are spread.
        arrivals: Arrivals,
        /// Arrivals per second; what a stage makes of it is the scenario's.
        rate_hz: RateHz,
        /// Sessions asked for, which is how many arrivals can be served at one time; `sync` always has one.
        concurrency: NonZeroU32,
    },
}

/// How the arrivals of an open load are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Evenly: each comes as long after the one before as the rate says.
    #[default]
    Constant,
    /// As from many independent users: a Poisson process, seeded.
    Poisson,
}

/// A rate in Hz: a positive, finite number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(with = "f64")]
pub struct RateHz(f64);

/// A number that is no rate.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is no rate: expected a number above 0 and of at most 10,000,000")]
pub struct NotARate(f64);

impl RateHz {
    /// The highest rate there is, in Hz: ten arrivals within a microsecond, which nothing here could keep.
    pub const HIGHEST: f64 = 10_000_000.0;

    /// A rate, if `hz` is one.
    pub fn new(hz: f64) -> Result<Self, NotARate> {
        if hz > 0.0 && hz <= Self::HIGHEST {
            Ok(Self(hz))
        } else {
            Err(NotARate(hz))
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for RateHz {
    type Error = NotARate;

    fn try_from(hz: f64) -> Result<Self, NotARate> {
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

/// A stretch of an open load in which the rate stays or changes evenly. A step is two stages.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// How long it lasts, in ns.
    pub duration_ns: NonZeroU64,
    /// The rate at its start, as a share of the load's rate; 0 is no arrivals.
    pub from: f64,
    /// The rate at its end, as a share of the load's rate.
    pub to: f64,
}

impl Load {
    /// Sessions asked for.
    pub fn concurrency(self) -> NonZeroU32 {
        match self {
            Self::Closed { concurrency } | Self::Open { concurrency, .. } => concurrency,
        }
    }

    /// Arrivals per second of an open load; `None` of a closed one.
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
                arrivals: Arrivals::Constant,
                rate_hz,
                concurrency,
            } => write!(f, "open, {rate_hz}/s, {concurrency} sessions"),
            Self::Open {
                arrivals: Arrivals::Poisson,
                rate_hz,
                concurrency,
            } => write!(f, "open, {rate_hz}/s Poisson, {concurrency} sessions"),
        }
    }
}

/// When a phase ends. Operations in flight at that moment are completed and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// After this long, in ns; every session completes at least one operation.
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
