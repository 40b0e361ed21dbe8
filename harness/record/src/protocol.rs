//! The worker protocol: the input and output of a worker process.
//!
//! The orchestrator writes one [`WorkerPlan`] as one line of JSON to the worker's stdin; the worker writes one
//! [`WorkerReply`] as one line of JSON to its stdout and exits with 0. Anything else (no line, another version, a signal)
//! is a failed round. Histograms are HdrHistogram V2 in base64, so that a worker in another language can be written from
//! this file alone. `docs/PROTOCOL.md` explains it with an example.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::load::{Load, Stage, Stop};
use crate::shard::{Shard, WorkerShard};
use crate::{Measurement, PeerAddress, RuntimeFamily, TlsSettings};

/// Version of the worker protocol.
pub const WORKER_PROTOCOL: u32 = 1;

/// A program's answer to `describe`: the lanes that it is a worker of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerDescription {
    /// Always [`WORKER_PROTOCOL`].
    pub protocol: u32,
    pub lanes: Vec<LaneDescription>,
}

/// A lane: a runtime of a worker in another language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LaneDescription {
    /// Its name among the runtimes: `asyncio`.
    pub name: String,
    pub family: RuntimeFamily,
    /// Language and libraries, as far as rankings distinguish them: `Python`.
    pub stack: String,
    /// A session under it, in one line.
    pub summary: String,
    /// The workloads that it has.
    pub workloads: Vec<String>,
    /// The workloads that it lacks only for want of a package here, each with the reason and the command that installs it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cannot: BTreeMap<String, String>,
    /// True if it can run open loads.
    #[serde(default)]
    pub open_load: bool,
    /// Shortest warm-up after which its code is as fast as it becomes, in ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_warmup_ns: Option<u64>,
    /// Versions of its parts.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
}

/// A worker's task: one round of one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerPlan {
    /// Always [`WORKER_PROTOCOL`].
    pub protocol: u32,
    /// Name of the workload.
    pub workload: String,
    /// The workload's parameters, without defaults left to look up.
    pub params: Value,
    /// Length of one `unit` of delay, in ns.
    pub unit_ns: u64,
    /// Name of the runtime.
    pub runtime: String,
    /// CPUs to run on, by number; empty leaves the process where it is.
    pub cpus: Vec<usize>,
    pub worker_threads: u32,
    pub load: Load,
    /// The phase before the measurement.
    pub warmup: Stop,
    /// The end of the measurement.
    pub stop: Stop,
    /// The rate of an open load during the measurement; empty if it is constant.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// A CPU reserved for the pacer of an open load; without one it shares those of the worker.
    #[serde(default)]
    pub pacer_cpu: Option<usize>,
    /// The arrivals of an open load, for a worker in another language: it takes them from a FIFO.
    #[serde(flatten)]
    pub piped: Option<PipedArrivals>,
    /// True if a probe runs beside the workload and measures the runtime's scheduling delay.
    #[serde(default)]
    pub lag_probe: bool,
    /// True if this round tests the tool: the reply then has an [`Audit`].
    #[serde(default)]
    pub audit: bool,
    /// The seed of every draw.
    pub seed: u64,
    /// The address of each target, by name. A URL may carry a password: never log or record it.
    pub targets: BTreeMap<String, TargetAddress>,
    /// A directory for the workload's files, shared by the rounds of this run only.
    pub work_dir: PathBuf,
    /// The directory of the scenario file, to which the files in the parameters are relative.
    #[serde(default)]
    pub directory: PathBuf,
    /// The run's id.
    #[serde(default)]
    pub run: String,
    /// Number of the round in the run, from 1; a repeated round has a number of its own.
    #[serde(default)]
    pub round: u64,
    /// Its share of the load, if several machines share it; load and stop are those of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<WorkerShard>,
}

impl WorkerPlan {
    /// Its share of the load.
    pub fn shard(&self) -> Shard {
        self.shard.as_ref().map_or(Shard::WHOLE, |own| own.shard)
    }
}

/// Arrivals that the orchestrator paces.
///
/// A record of the FIFO has 16 bytes, little endian: a number, and a time of CLOCK_MONOTONIC in ns. The first one has the number
/// `u64::MAX` and the end of the schedule; then comes each arrival when it is due, with its index, from 0, and its due time.
/// The end of the FIFO is the end of the arrivals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PipedArrivals {
    /// Path of the FIFO. Opening it tells that the sessions are open, warm and ready.
    pub arrivals: PathBuf,
    /// Length of the schedule, in ns.
    pub schedule_ns: u64,
    /// Time after the end of the schedule at which no more arrivals are started; as long again for operations to end, in ns.
    pub drain_ns: u64,
    /// An arrival that starts more than this after it was due is late, in ns.
    pub late_ns: u64,
}

/// The address of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TargetAddress {
    /// `http://127.0.0.1:8080/path`, `postgres://user:pw@127.0.0.1:5432/db`.
    pub url: String,
    /// The address that answered when the target was probed: connect to it, whatever else the host's name resolves to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<PeerAddress>,
    /// True for an embedded mock, whose content is known.
    pub mock: bool,
    /// TLS settings, for a URL that asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// A worker's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerReply {
    /// Always [`WORKER_PROTOCOL`].
    pub protocol: u32,
    #[serde(flatten)]
    pub result: WorkerResult,
}

/// Raw data to check the tool's own numbers against.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Audit {
    /// The service time of each success of the measured phase, in ns: the first [`Audit::MOST_SAMPLES`] of each session.
    pub service_ns: Vec<u64>,
    /// Allocations of the measured phase, its start and summary included; `None` if the allocator does not count.
    pub allocations: Option<u64>,
}

impl Audit {
    /// Maximum number of samples per session.
    pub const MOST_SAMPLES: usize = 100_000;
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The outcome of a round in the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum WorkerResult {
    /// Measured.
    Ok {
        measurement: Box<Measurement>,
        /// Only of an audited round.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audit: Option<Audit>,
    },
    /// The runtime cannot run this plan on this system.
    Unsupported { reason: String },
    /// The round could not run: a refused connection in set-up, say.
    Failed {
        /// One sentence.
        reason: String,
        /// Advice, if there is any.
        hint: Option<String>,
        /// True if a target was silent in set-up until the time limit: it would be in the next round.
        #[serde(default, skip_serializing_if = "is_false")]
        is_silent: bool,
    },
    /// The content was wrong before the measurement began: in a session's set-up, say.
    Wrong {
        /// One sentence.
        reason: String,
    },
}

impl WorkerResult {
    /// A round that could not run.
    pub fn failed(reason: String, hint: Option<String>) -> Self {
        Self::Failed {
            reason,
            hint,
            is_silent: false,
        }
    }
}
