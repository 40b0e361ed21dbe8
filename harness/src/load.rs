//! Loads: how operations are asked for.
//!
//! A load is data: a model (closed: N sessions, each starting its next operation when the last one ended; open:
//! arrivals on a schedule, whatever the completions do) and a stop rule. The measuring loop in `measure` gives it
//! meaning; runtimes and workloads know nothing of it.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How operations are asked for, at one point of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "model", rename_all = "kebab-case")]
pub enum Load {
    /// A fixed number of sessions; each starts its next operation when the last one ended.
    Closed {
        /// Sessions asked for; `sync` always has one.
        concurrency: NonZeroU32,
    },
}

impl Load {
    /// Sessions asked for.
    pub fn concurrency(self) -> NonZeroU32 {
        match self {
            Self::Closed { concurrency } => concurrency,
        }
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed { concurrency } => write!(f, "closed, {concurrency} in flight"),
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
        let duration_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self::DurationNs(NonZeroU64::new(duration_ns).unwrap_or(NonZeroU64::MIN))
    }
}
