//! The record: the one JSON document that holds a run whole, and what workers and reports share with it.
//!
//! Everything a later command needs (report, compare, gate, export) is in the [`Record`] and nowhere else: the plan with
//! its seed and hash, the machine, the versions, and every round with its counts and histograms. The types are the schema;
//! `photofinish schema record` prints it. The worker [`protocol`], the [`latency`] histograms, and the [`schedule`] and
//! [`draw`] formulas are here too, so that reports, servers and workers in other languages need no measuring loop.
//! Numbers over rounds are derived in `reports`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

pub mod protocol;

pub mod draw;
mod encoding;
pub mod latency;
pub mod load;
pub mod machine;
pub mod schedule;

mod plan;
mod runtime_traits;

mod gate;

mod round;

mod measurement;

mod finding;
mod search;

pub use encoding::{canonical_json, hex};
pub use finding::{Finding, FindingLevel, is_fit};
pub use gate::{Arm, ArmKind, ArmSource, Gate, GateTerm, Requirement, TextPlace};
pub use measurement::{Cost, Failures, Floor, Measurement, OpenLoad, ServerCounts, Traffic};
pub use plan::{Cell, InFlight, Placement, PlacementKind, Plan, PlannedScenario, PlannedServer};
pub use round::{Conditions, Measured, Outcome, Round};
pub use runtime_traits::{RuntimeFamily, RuntimeTraits};
pub use search::{Search, SearchResult, SearchRound, SearchStep};

/// Name and version of the record's format.
pub const RECORD_SCHEMA: &str = "photofinish-record/1";

/// A duration in whole nanoseconds; saturates after 584 years.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Always [`RECORD_SCHEMA`].
    pub schema: String,
    /// The run's id: UTC start time and a short random suffix, as in the run directory's name.
    pub id: String,
    /// What made this record.
    pub tool: Tool,
    /// Start of the run, RFC 3339, UTC.
    pub started_utc: String,
    /// From the first round's start to the last one's end, in ns.
    pub elapsed_ns: u64,
    /// Whether the run came to its end.
    pub completion: Completion,
    /// The command line as given, passwords removed.
    pub command_line: Vec<String>,
    /// The seed of every draw: order, keys, delays, offsets.
    pub seed: u64,
    /// SHA-256 over the canonical JSON of `plan` and `seed`, in hex.
    pub plan_hash: String,
    /// What was to be measured.
    pub plan: Plan,
    /// Where it was measured.
    pub machine: Machine,
    /// Exact versions of every dependency, from the lock file the program was built with; none where that is not known.
    pub dependencies: BTreeMap<String, String>,
    /// What a reader must know before believing a number: a debug build, a busy machine, one CPU for all.
    pub warnings: Vec<String>,
    /// What `doctor` finds on this machine, without the measurement it makes.
    #[serde(default)]
    pub fitness: Vec<Finding>,
    /// The search for the highest rate that meets an objective, where one was asked for.
    #[serde(default)]
    pub search: Option<Search>,
    /// All rounds, in the order they ran.
    pub rounds: Vec<Round>,
}

/// What made a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `photofinish`.
    pub name: String,
    /// Version of the tool.
    pub version: String,
    /// `release` or `debug`; a debug build misleads.
    pub profile: String,
}

/// Whether a run came to its end, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Completion {
    /// Every planned round ran.
    Complete,
    /// Somebody interrupted it; the rounds before are kept.
    Interrupted,
    /// It could not go on; the rounds before are kept.
    Failed {
        /// What happened, in one sentence.
        reason: String,
    },
}
