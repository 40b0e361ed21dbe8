//! The numbers of one round: what a worker measured, what it cost, and what each server counted.
//!
//! Times are histograms, counts are sums over the round, and `None` is what could not be known. The measuring loop and its
//! supervisor fill them (`measure.rs`); medians over rounds, and all that is derived, are the business of `reports`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::latency::Latencies;

/// What a worker measured in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// Sessions that ran.
    pub sessions: u32,
    /// Worker threads the runtime was given.
    pub worker_threads: u32,
    /// What else is particular to the runtime: stack size, pool size, driver.
    pub runtime_facts: BTreeMap<String, String>,
    /// Operations completed in the measured phase, successes only.
    pub ops: u64,
    /// Operations of the warm-up, successes and failures.
    pub warmup_ops: u64,
    /// Failed operations of the warm-up, by kind: no result, but they tell how far `traffic` can be compared.
    pub warmup_errors: BTreeMap<String, u64>,
    /// The measured phase, from its first start to its last end, in ns.
    pub elapsed_ns: u64,
    /// Time for which sessions were at work, from each one's first start to its own last end, summed, in ns.
    pub session_ns: u64,
    /// Successful operations per second: those of each session over the time from the phase's first start to its own last
    /// end, summed.
    pub throughput_ops_s: f64,
    /// Service time of successes, in ns.
    pub service: Latencies,
    /// What an open load adds; `None` of a closed one.
    #[serde(default)]
    pub open: Option<OpenLoad>,
    /// The same loop around an operation that does nothing, under the same runtime and number of sessions.
    #[serde(default)]
    pub floor: Option<Floor>,
    /// Times in ns that the workload or a probe observed itself, by name: `timer_overshoot`, `probe_lag`.
    #[serde(default)]
    pub observed: BTreeMap<String, Latencies>,
    /// Numbers that the workload found out itself, by name with the unit at its end: `idle_task_bytes`.
    #[serde(default)]
    pub gauges: BTreeMap<String, f64>,
    /// What a server that is not embedded answers with, by what was asked for: two rounds in which the same question has
    /// another answer did other work. `GET /` → `64 bytes, SHA-256 …`.
    #[serde(default)]
    pub contents: BTreeMap<String, String>,
    /// Failed operations of the measured phase, by kind; their times in histograms of their own.
    pub errors: BTreeMap<String, Failures>,
    /// What went over the sockets during the whole round (set-up, warm-up and measurement), by target name.
    pub traffic: BTreeMap<String, Traffic>,
    /// CPU, memory and scheduling cost of the measured phase.
    pub cost: Cost,
    /// Violated expectations, with the operation's number and what was seen; empty when all held.
    pub violations: Vec<String>,
}

/// What a round under open load has beyond one under closed load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenLoad {
    /// Arrivals in the schedule.
    pub scheduled: u64,
    /// Length of the schedule, in ns.
    pub schedule_ns: u64,
    /// Arrivals that a session had begun with when the schedule ended.
    pub started_in_time: u64,
    /// Whether the rate was held: all arrivals but 0.1 % (or one) were begun with when the schedule ended.
    pub rate_held: bool,
    /// Arrivals begun with more than [`OpenLoad::LATE_NS`] after they were due, for want of a free session or a CPU.
    pub late: u64,
    /// Operations that had begun and not ended when the round was ended.
    pub unfinished: u64,
    /// Arrivals that no session had begun with when the round was ended.
    pub unsent: u64,
    /// From due to end, of successes, in ns.
    pub response: Latencies,
    /// From due to start, of all that started, in ns.
    pub lag: Latencies,
    /// From due to the end of the round, of the unfinished and the unsent, in ns: their response would have been longer.
    pub overdue: Latencies,
    /// How late the pacer released arrivals, in ns.
    pub pacing_error: Latencies,
    /// CPU time of the pacer, in ns; not part of the round's cost.
    pub pacer_cpu_ns: Option<u64>,
    /// Whether the pacer had a CPU to itself, and so finished its waits by spinning.
    pub pacer_alone: bool,
}

impl Measurement {
    /// Failed operations of all kinds.
    pub fn failed_ops(&self) -> u64 {
        self.errors.values().map(|failures| failures.count).sum()
    }
}

impl OpenLoad {
    /// A start later than this after the due time is late, in ns: more than pacing and a wake-up take.
    pub const LATE_NS: u64 = 1_000_000;
}

/// What the measuring loop itself takes: the floor under every result.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Floor {
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// The first one, in words.
    pub example: String,
    /// Time from start to failure, in ns.
    pub service: Latencies,
}

impl Failures {
    /// The kind of failures for want of a local port to connect from: this machine's limit, not the peer's.
    pub const PORTS: &'static str = "ports";
}

/// What a client sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Complete exchanges: requests answered.
    pub requests: u64,
    /// Bytes written to sockets.
    pub bytes_out: u64,
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// Connections opened.
    pub connections: u64,
    /// Exchanges begun whose end the client did not see: given up at a deadline, or broken on the way. The server may
    /// have answered them or not.
    #[serde(default)]
    pub abandoned: u64,
    /// Connections given up while they were being opened: the server may have accepted them or not.
    #[serde(default)]
    pub abandoned_connections: u64,
    /// Transactions of a database that ended; 0 where there are none.
    #[serde(default)]
    pub transactions: u64,
}

/// What a server counted; `None` where this server cannot know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerCounts {
    /// Complete requests served.
    pub requests: Option<u64>,
    /// Bytes read from sockets.
    pub bytes_in: Option<u64>,
    /// Bytes written to sockets.
    pub bytes_out: Option<u64>,
    /// Connections accepted.
    pub connections: Option<u64>,
    /// Transactions of a database that ended.
    #[serde(default)]
    pub transactions: Option<u64>,
    /// Most requests in flight at one time.
    pub peak_in_flight: Option<u64>,
    /// User CPU time of the server process over the round, from when it was ready, in ns.
    pub cpu_user_ns: Option<u64>,
    /// System CPU time of the server process over the round, from when it was ready, in ns.
    pub cpu_system_ns: Option<u64>,
}

/// What the measured phase cost the worker process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// User CPU time, in ns.
    pub cpu_user_ns: Option<u64>,
    /// System CPU time, in ns.
    pub cpu_system_ns: Option<u64>,
    /// Voluntary context switches.
    pub voluntary_switches: Option<u64>,
    /// Involuntary context switches.
    pub involuntary_switches: Option<u64>,
    /// Page faults without I/O.
    pub minor_faults: Option<u64>,
    /// Page faults with I/O.
    pub major_faults: Option<u64>,
    /// Instructions per operation, with the kernel's where that is permitted, counted in the warm-up: counting them slows
    /// down switches between threads and the start of threads.
    #[serde(default)]
    pub instructions_per_op: Option<f64>,
    /// System calls per operation, counted in the warm-up: counting them slows every one down.
    #[serde(default)]
    pub syscalls_per_op: Option<f64>,
    /// Highest resident memory of the process since its start, in bytes.
    pub peak_rss_bytes: Option<u64>,
    /// Threads alive at the end of the measured phase.
    pub threads: Option<u64>,
}
