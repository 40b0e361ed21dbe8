//! A round: one fresh worker process measuring one cell, and the conditions on the machine meanwhile.
//!
//! Every attempt is kept, including those of a repeated block. The worker's numbers are in `measurement`; the servers'
//! counts are added here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measurement::{Measurement, ServerCounts};
use crate::shard::ShardRound;

/// One fresh worker process measuring one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Round {
    /// Index into the plan's cells.
    pub cell: usize,
    /// From 0.
    pub block: usize,
    /// From 0. A disturbed block is repeated as a whole, and only its last whole attempt counts.
    #[serde(default)]
    pub attempt: u32,
    /// Start after the run's start, in ns.
    pub offset_ns: u64,
    #[serde(default)]
    pub conditions: Conditions,
    pub outcome: Outcome,
}

/// Activity on the machine during a round, apart from the round itself; `None` if the system does not report it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Conditions {
    /// Length of the observation, in ns: the round with its set-up.
    pub elapsed_ns: u64,
    /// CPU time that the hypervisor withheld from this machine, in ns over the CPUs of the placement.
    pub steal_ns: Option<u64>,
    /// CPU time of processes outside this run, in ns over the CPUs of the placement; never negative, although sampling may
    /// overestimate the run's own.
    pub foreign_cpu_ns: Option<u64>,
    /// Time for which the run's control group was throttled.
    pub throttled_ns: Option<u64>,
    /// Connections that the kernel dropped because a listen queue was full.
    pub listen_overflows: Option<u64>,
    /// The reason to distrust the round, in one sentence; `None` if nothing disturbed it.
    pub disturbance: Option<String>,
}

/// The result of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Outcome {
    /// Measured.
    Ok(Box<Measured>),
    /// The runtime failed to start on this system: a kernel without io_uring, say.
    Unsupported { reason: String },
    /// Not measured: a worker or server process died.
    Failed {
        /// One sentence.
        reason: String,
    },
}

/// A measured round: the numbers of the worker and of the servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Measured {
    pub worker: Measurement,
    /// Counts of each server over the same round, by target name; absent if a server cannot be queried.
    pub servers: BTreeMap<String, ServerCounts>,
    /// Differences between the two and wrong content, in one sentence each; empty if identity is proved.
    pub mismatches: Vec<String>,
    /// The part of each shard in a merged round, ascending by index; empty if the round was not merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardRound>,
}
