//! The numbers of one round: the worker's measurement, its cost, and the counts of each server.
//!
//! Times are histograms, counts are sums over the round, and `None` is a number that could not be known. The harness
//! fills them in `measure.rs`; `reports` derives everything else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::intervals::Intervals;
use crate::latency::Latencies;
use crate::part::{Part, PartError};
use crate::shard::CommonStart;

/// A worker's measurement in one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Measurement {
    pub sessions: u32,
    pub worker_threads: u32,
    /// Other settings of the runtime: stack size, pool size, driver.
    pub runtime_facts: BTreeMap<String, String>,
    /// Operations completed in the measured phase, successes only.
    pub ops: u64,
    /// Operations of the warm-up, successes and failures.
    pub warmup_ops: u64,
    /// Failed operations of the warm-up, by kind: not a result, but a bound on the comparison of `traffic`.
    pub warmup_errors: BTreeMap<String, u64>,
    /// The measured phase, from its first start to its last end, in ns.
    pub elapsed_ns: u64,
    /// Time from each session's first start to its own last end, summed, in ns.
    pub session_ns: u64,
    /// Successful operations per second: those of each session over the time from the phase's first start to its own
    /// last end, summed.
    pub throughput_ops_s: f64,
    /// Sessions of a closed load that had no success in the measured phase.
    #[serde(default)]
    pub sessions_without_success: u32,
    /// Service time of successes, in ns.
    pub service: Latencies,
    /// The same over time, in coarse histograms; of response times under open load. `None` of a worker that keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// Numbers of an open load; `None` for a closed one.
    #[serde(default)]
    pub open: Option<OpenLoad>,
    /// The same loop around an empty operation, under the same runtime and number of sessions.
    #[serde(default, alias = "floor")]
    pub overhead: Option<LoopOverhead>,
    /// Times in ns that the workload or a probe took itself, by name: `timer_overshoot`, `probe_lag`.
    #[serde(default)]
    pub observed: BTreeMap<String, Latencies>,
    /// Numbers that the workload determined itself, by name with the unit at its end: `idle_task_bytes`.
    #[serde(default)]
    pub gauges: BTreeMap<String, f64>,
    /// Responses of servers that are not embedded, by request: rounds whose responses differ did different work.
    /// `GET /` → `64 bytes, SHA-256 …`.
    #[serde(default)]
    pub contents: BTreeMap<String, String>,
    /// Failed operations of the measured phase, by kind; their times in histograms of their own.
    pub errors: BTreeMap<String, Failures>,
    /// Named parts of the operations, in the workload's order; empty if it has none. A part of an operation that was still
    /// running when its phase was ended is not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// The start that it shared with other shards; `None` of a run on one machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_start: Option<CommonStart>,
    /// Socket traffic of the whole round (set-up, warm-up and measurement), by target name.
    pub traffic: BTreeMap<String, Traffic>,
    /// CPU, memory and scheduling cost of the measured phase.
    pub cost: Cost,
    /// Violated expectations, with the operation's number and the actual value; empty if there are none.
    pub violations: Vec<String>,
    /// Oddities that leave the numbers intact, one sentence each: a server that was slow to close.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// The additional numbers of a round under open load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OpenLoad {
    /// Arrivals in the schedule.
    pub scheduled: u64,
    /// Length of the schedule, in ns. A worker that takes its arrivals from a FIFO leaves it out, like the other fields with a
    /// default: the orchestrator knows them.
    #[serde(default)]
    pub schedule_ns: u64,
    /// Arrivals started before the schedule ended.
    pub started_in_time: u64,
    /// True if all arrivals but 0.1 % (or one) were started before the schedule ended.
    #[serde(default)]
    pub rate_held: bool,
    /// Arrivals started more than [`OpenLoad::LATE_NS`] after they were due, for want of a free session or a CPU.
    pub late: u64,
    /// Operations in flight when the round was cut off.
    pub unfinished: u64,
    /// Arrivals not started when the round was cut off.
    pub unsent: u64,
    /// From due to end, of successes, in ns.
    pub response: Latencies,
    /// From due to start, of all started operations, in ns.
    pub lag: Latencies,
    /// From due to the end of the round, of the unfinished and the unsent, in ns: lower bounds of their response.
    pub overdue: Latencies,
    /// From due to release by the pacer, in ns.
    #[serde(default)]
    pub pacing_error: Latencies,
    /// CPU time of the pacer, in ns; not part of the round's cost.
    #[serde(default)]
    pub pacer_cpu_ns: Option<u64>,
    /// True if the pacer had a CPU to itself, and so finished its waits by spinning.
    #[serde(default)]
    pub pacer_alone: bool,
}

impl Measurement {
    /// Failed operations of all kinds.
    pub fn failed_ops(&self) -> u64 {
        let counts = self.errors.values().map(|failures| failures.count);
        counts.fold(0, u64::saturating_add)
    }

    /// Checks that its numbers are consistent.
    pub fn check(&self) -> Result<(), PartError> {
        Part::check(&self.parts)
    }
}

impl OpenLoad {
    /// A start later than this after the due time is late, in ns: more than pacing and a wake-up take.
    pub const LATE_NS: u64 = 1_000_000;

    /// Share of a schedule that may start after its end before the rate counts as not held.
    const TOLERATED_SHARE: f64 = 0.001;

    /// True if all of `scheduled` arrivals but 0.1 % (or one) were started before the schedule ended.
    pub fn is_held(scheduled: u64, started_in_time: u64) -> bool {
        let missing = scheduled.saturating_sub(started_in_time);
        missing as f64 <= (scheduled as f64 * Self::TOLERATED_SHARE).max(1.0)
    }
}

/// The cost of the measuring loop itself, below which no result can lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoopOverhead {
    /// Operations measured.
    pub ops: u64,
    /// Operations per second under closed load.
    pub throughput_ops_s: f64,
    /// Median service time, in ns.
    pub service_p50_ns: u64,
    /// 99th percentile of service time, in ns.
    pub service_p99_ns: u64,
}

/// Failed operations of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failures {
    pub count: u64,
    /// The first one, in words.
    pub example: String,
    /// Time from start to failure, in ns.
    pub service: Latencies,
}

impl Failures {
    /// The kind of failures for want of a local port to connect from: this machine's limit, not the peer's.
    pub const PORTS: &'static str = "ports";
    /// The kind of other errors of the operating system.
    pub const IO: &'static str = "io";
    /// The kind of operations that were still running when their phase was ended.
    pub const UNFINISHED: &'static str = "unfinished";
}

/// Socket traffic of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Traffic {
    /// Complete exchanges: requests answered.
    pub requests: u64,
    /// Bytes written to sockets; `None` of a worker whose client does not tell.
    #[serde(default)]
    pub bytes_out: Option<u64>,
    /// Bytes read from sockets; `None` of a worker whose client does not tell.
    #[serde(default)]
    pub bytes_in: Option<u64>,
    /// Number of reads that received those bytes.
    #[serde(default)]
    pub reads: u64,
    /// Connections opened.
    pub connections: u64,
    /// Exchanges started but not completed: a timeout or a broken connection. The server may have answered them or not.
    #[serde(default)]
    pub abandoned: u64,
    /// Connections abandoned while being opened: the server may have accepted them or not.
    #[serde(default)]
    pub abandoned_connections: u64,
    /// Keep-alive connections closed by the server and reopened, each before its request was sent (again).
    #[serde(default)]
    pub reconnects: u64,
    /// Database transactions that ended.
    #[serde(default)]
    pub transactions: u64,
    /// TLS handshakes that did not resume an earlier session.
    #[serde(default)]
    pub full_handshakes: u64,
    /// TLS handshakes that resumed an earlier session.
    #[serde(default)]
    pub resumed_handshakes: u64,
}

impl Traffic {
    /// Traffic since `earlier`, a snapshot of the same counter.
    pub fn since(&self, earlier: &Self) -> Self {
        let known = |now: Option<u64>, before: Option<u64>| Some(now? - before?);
        Self {
            requests: self.requests - earlier.requests,
            bytes_out: known(self.bytes_out, earlier.bytes_out),
            bytes_in: known(self.bytes_in, earlier.bytes_in),
            reads: self.reads - earlier.reads,
            connections: self.connections - earlier.connections,
            abandoned: self.abandoned - earlier.abandoned,
            abandoned_connections: self.abandoned_connections - earlier.abandoned_connections,
            reconnects: self.reconnects - earlier.reconnects,
            transactions: self.transactions - earlier.transactions,
            full_handshakes: self.full_handshakes - earlier.full_handshakes,
            resumed_handshakes: self.resumed_handshakes - earlier.resumed_handshakes,
        }
    }
}

/// Counts of a server; `None` if this server cannot know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerCounts {
    /// Complete requests served.
    pub requests: Option<u64>,
    /// Bytes read from sockets.
    pub bytes_in: Option<u64>,
    /// Bytes written to sockets.
    pub bytes_out: Option<u64>,
    /// Connections accepted.
    pub connections: Option<u64>,
    /// Database transactions that ended.
    #[serde(default)]
    pub transactions: Option<u64>,
    /// Maximum number of requests in flight at one time.
    pub peak_in_flight: Option<u64>,
    /// User CPU time of the server process over the round, from when it was ready, in ns.
    pub cpu_user_ns: Option<u64>,
    /// System CPU time of the server process over the round, from when it was ready, in ns.
    pub cpu_system_ns: Option<u64>,
}

/// Cost of the measured phase to the worker process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cost {
    pub cpu_user_ns: Option<u64>,
    pub cpu_system_ns: Option<u64>,
    pub voluntary_switches: Option<u64>,
    pub involuntary_switches: Option<u64>,
    /// Page faults without I/O.
    pub minor_faults: Option<u64>,
    /// Page faults with I/O.
    pub major_faults: Option<u64>,
    /// Instructions per operation, including the kernel's if permitted. Counted in the warm-up, since counting slows
    /// down context switches and the start of threads.
    #[serde(default)]
    pub instructions_per_op: Option<f64>,
    /// System calls per operation. Counted in the warm-up, since counting slows each one down.
    #[serde(default)]
    pub syscalls_per_op: Option<f64>,
    /// Peak resident memory of the process since its start.
    pub peak_rss_bytes: Option<u64>,
    /// Threads alive at the end of the measured phase.
    pub threads: Option<u64>,
}
