//! The record: the one JSON document that holds a whole run, and everything that workers and reports share with it.
//!
//! Everything a later command needs (report, compare, gate, export) is in the [`Record`] and nowhere else: the plan with
//! its seed and hash, the machine, the versions, and every round with its counts and histograms. The types are the schema;
//! `photofinish schema record` prints it. The worker [`protocol`], the [`latency`] histograms, and the [`schedule`] and
//! [`draw`] formulas are here too, so that reports, servers and workers in other languages need no measuring loop.
//! Numbers over rounds are derived in `reports`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::shard::ShardSet;

mod finding;
mod gate;
pub mod intervals;
pub mod latency;
pub mod load;
pub mod machine;
mod measurement;
pub mod merge;
mod part;
mod peer_address;
mod plan;
mod profile;
mod read;
mod round;
mod runtime_traits;
mod search;
pub mod shard;
mod threshold;
mod tls;
mod utc_time;

pub mod draw;
mod encoding;
pub mod protocol;
pub mod schedule;

pub use encoding::{canonical_json, cpu_list, hex, percent_encoded};
pub use finding::{Finding, FindingLevel, is_fit};
pub use gate::{Arm, ArmKind, ArmSource, Gate, GateTerm, Requirement, SourceLocation};
pub use measurement::{Cost, Failures, LoopOverhead, Measurement, OpenLoad, ServerCounts, Traffic};
pub use part::{Part, PartError};
pub use peer_address::{NotAnAddress, PeerAddress};
pub use plan::{
    Cell, InFlight, Placement, PlacementKind, Plan, PlannedScenario, PlannedServer, Variant,
};
pub use profile::{KERNEL_SUFFIX, MOST_FUNCTIONS, MOST_STACKS, Profile};
pub use read::{Unreadable, read};
pub use round::{Conditions, Measured, Outcome, Round};
pub use runtime_traits::{ExpectedSystemCalls, ForeignWorker, RuntimeFamily, RuntimeTraits};
pub use search::{Search, SearchResult, SearchRound, SearchStep};
pub use threshold::Threshold;
pub use tls::{TlsSettings, TlsVersion, Verification};
pub use utc_time::{InvalidTime, UtcTime};

/// Name and version of the format.
pub const RECORD_SCHEMA: &str = "photofinish-record/1";

/// A duration in whole nanoseconds; saturates after 584 years.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Record {
    /// Always [`RECORD_SCHEMA`].
    pub schema: String,
    /// The run's id: UTC start time and a short random suffix, as in the run directory's name.
    pub id: String,
    pub tool: Tool,
    /// Start of the run, RFC 3339, UTC.
    pub started_utc: String,
    /// From the first round's start to the last one's end, in ns.
    pub elapsed_ns: u64,
    pub completion: Completion,
    /// The command line as given, passwords removed.
    pub command_line: Vec<String>,
    /// Options that were not on the command line, passwords removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defaults: Vec<DefaultOption>,
    /// The seed of every draw: order, keys, delays, offsets.
    pub seed: u64,
    /// SHA-256 over the canonical JSON of `plan` and `seed`, in hex.
    pub plan_hash: String,
    pub plan: Plan,
    pub machine: Machine,
    /// Exact versions of every dependency, from the lock file the program was built with; empty if unknown.
    pub dependencies: BTreeMap<String, String>,
    /// Reasons to distrust the numbers: a debug build, a busy machine, one CPU for everything.
    pub warnings: Vec<String>,
    /// The findings of `doctor`, without its own measurement.
    #[serde(default)]
    pub fitness: Vec<Finding>,
    /// The search for the highest rate that meets an objective, if one was requested.
    #[serde(default)]
    pub search: Option<Search>,
    /// The shards whose rounds these are; `None` of a run on one machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<ShardSet>,
    /// All rounds, in the order they ran.
    pub rounds: Vec<Round>,
    /// Profiles of the cells, if they were requested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Profile>,
}

/// An option from a configuration file or the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DefaultOption {
    /// As it would be typed: `--rounds=20`.
    pub option: String,
    /// The path of the file, or the name of the environment variable.
    pub source: String,
}

/// The program that wrote a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tool {
    /// `photofinish`.
    pub name: String,
    pub version: String,
    /// `release` or `debug`; numbers of a debug build mislead.
    pub profile: String,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Completion {
    /// The course of the run went to its end: every round ran, everything was decided at a look, or the search ended.
    Complete,
    /// Interrupted by the user; earlier rounds are kept.
    Interrupted,
    /// Unable to continue; earlier rounds are kept.
    Failed {
        /// One sentence.
        reason: String,
    },
}
