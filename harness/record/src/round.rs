//! A round: one fresh worker process measuring one cell, and what else went on on the machine meanwhile.
//!
//! Every attempt is kept, also those of a block that was redone. What the worker tells of itself is in `measurement`,
//! beside which stands here what the servers counted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measurement::{Measurement, ServerCounts};

/// One fresh worker process measuring one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Round {
    /// Index into the plan's cells.
    pub cell: usize,
    /// Which block, from 0.
    pub block: usize,
    /// Which attempt at the block, from 0. A disturbed block is redone whole, and only its last whole attempt counts.
    #[serde(default)]
    pub attempt: u32,
    /// Start after the run's start, in ns.
    pub offset_ns: u64,
    /// What else went on on the machine meanwhile.
    #[serde(default)]
    pub conditions: Conditions,
    /// What came of it.
    pub outcome: Outcome,
}

/// What went on on the machine during a round, beside the round itself; `None` where the system does not tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Conditions {
    /// How long the machine was watched, in ns: the round with its set-up.
    pub elapsed_ns: u64,
    /// CPU time that the hypervisor gave to others while this machine wanted it, in ns over the CPUs of the placement.
    pub steal_ns: Option<u64>,
    /// CPU time of processes that are none of this run's, in ns over the CPUs of the placement; no less than 0, since
    /// sampling may give the run less than it had.
    pub foreign_cpu_ns: Option<u64>,
    /// How long the run's control group was throttled, in ns.
    pub throttled_ns: Option<u64>,
    /// Connections that the kernel dropped because a listener's queue was full.
    pub listen_overflows: Option<u64>,
    /// Why the round cannot be believed, in one sentence; `None` where nothing disturbed it.
    pub disturbance: Option<String>,
}

/// What came of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Outcome {
    /// Measured.
    Ok(Box<Measured>),
    /// The runtime found out only when started that it cannot do it here (a kernel without io_uring, say).
    Unsupported {
        /// Why.
        reason: String,
    },
    /// Not measured: a process died, a server was gone.
    Failed {
        /// What happened, in one sentence.
        reason: String,
    },
}

/// A measured round: the worker's numbers beside the server's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// What the worker measured.
    pub worker: Measurement,
    /// What each server counted over the same round, by target name; absent where a server cannot be asked.
    pub servers: BTreeMap<String, ServerCounts>,
    /// Where the two disagree, or where the content was wrong, in one sentence each; empty when identity is proved.
    pub mismatches: Vec<String>,
}
