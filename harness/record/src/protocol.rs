//! The worker protocol: what goes into a worker process and what comes out of it.
//!
//! The orchestrator writes one [`WorkerPlan`] as one line of JSON to the worker's stdin; the worker writes one
//! [`WorkerReply`] as one line of JSON to its stdout and exits with 0. Anything else (no line, another version, a signal)
//! is a failed round. Histograms are HdrHistogram V2 in base64, so that a worker in another language can be written from
//! this file alone. `docs/PROTOCOL.md` tells it with an example.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Measurement;
use crate::load::{Load, Stage, Stop};

/// Version of the worker protocol.
pub const WORKER_PROTOCOL: u32 = 1;

/// What a worker is asked to do: one round of one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerPlan {
    /// Always [`WORKER_PROTOCOL`].
    pub protocol: u32,
    /// Name of the workload.
    pub workload: String,
    /// The workload's parameters, complete.
    pub params: Value,
    /// The length of one `unit` of delay, in ns.
    pub unit_ns: u64,
    /// Name of the runtime.
    pub runtime: String,
    /// CPUs to run on, by number; empty leaves the process where it is.
    pub cpus: Vec<usize>,
    /// Worker threads for the runtime.
    pub worker_threads: u32,
    /// How operations are asked for.
    pub load: Load,
    /// The phase before the measurement.
    pub warmup: Stop,
    /// When the measurement ends.
    pub stop: Stop,
    /// How the rate of an open load changes during the measurement; empty where it stays.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// A CPU for the pacer of an open load alone; without one it shares those of the worker.
    #[serde(default)]
    pub pacer_cpu: Option<usize>,
    /// Whether a probe rides along that measures how late the runtime schedules it.
    #[serde(default)]
    pub lag_probe: bool,
    /// Whether the tool is tested by this round: it then tells each service time and the allocations of the measurement.
    #[serde(default)]
    pub audit: bool,
    /// The seed of every draw.
    pub seed: u64,
    /// Where each target is, by name. A URL may carry a password: never log or record it.
    pub targets: BTreeMap<String, TargetAddress>,
    /// A directory of this run's own for files the workload makes; reused over the rounds of a run.
    pub work_dir: PathBuf,
}

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetAddress {
    /// Its URL: `http://127.0.0.1:8080/path`, `postgres://user:pw@127.0.0.1:5432/db`.
    pub url: String,
    /// Whether an embedded mock with known content stands there.
    pub mock: bool,
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerReply {
    /// Always [`WORKER_PROTOCOL`].
    pub protocol: u32,
    /// What came of the round.
    #[serde(flatten)]
    pub result: WorkerResult,
}

/// What the tool's numbers can be checked against.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// The service time of each success of the measured phase, in ns: the first [`Audit::MOST_SAMPLES`] of each session.
    pub service_ns: Vec<u64>,
    /// Allocations of the measured phase, with starting and summing it up; `None` where the allocator does not count.
    pub allocations: Option<u64>,
}

impl Audit {
    /// Samples kept of each session at the most.
    pub const MOST_SAMPLES: usize = 100_000;
}

/// What came of a round, as the worker saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum WorkerResult {
    /// Measured.
    Ok {
        /// The numbers.
        measurement: Box<Measurement>,
        /// What an audited round tells beside them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audit: Option<Audit>,
    },
    /// This runtime cannot do this here.
    Unsupported {
        /// Why.
        reason: String,
    },
    /// The round could not be run (a refused connection in set-up, say).
    Failed {
        /// What happened, in one sentence.
        reason: String,
        /// What to try next, where there is something.
        hint: Option<String>,
    },
    /// What came out before there was anything to measure must not: a session opened to the wrong content, say.
    Wrong {
        /// What it was, in one sentence.
        reason: String,
    },
}
