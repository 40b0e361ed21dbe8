//! The record: the one JSON document that holds a run whole.
//!
//! Everything a later command needs (report, compare, gate, export) is in here and nowhere else: the plan with its seed
//! and hash, the machine, the versions, and every round with its counts and histograms. The types are the schema;
//! `photofinish schema record` prints it. Deriving numbers over rounds is the business of `reports`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::latency::Latencies;
use crate::load::{Load, Stage, Stop};
use crate::machine::Machine;

/// Name and version of the record's format.
pub const RECORD_SCHEMA: &str = "photofinish-record/1";

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

/// What one look at the machine found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What was looked at: `governor`, `clock-source`, `open-files`.
    pub check: String,
    /// How it is.
    pub level: FindingLevel,
    /// What was seen, in one sentence with numbers.
    pub evidence: String,
    /// What to do about it, where there is something.
    pub remedy: Option<String>,
}

/// How fit a machine is in one respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingLevel {
    /// As it should be.
    Good,
    /// Numbers will be noisier or lower than they could be.
    Caution,
    /// Numbers would mislead.
    Bad,
    /// It cannot be known here.
    Unknown,
}

/// The search for the highest rate that meets an objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Search {
    /// The objective as asked for: `response_p99 < 10ms`.
    pub objective: String,
    /// How close the lowest rate that failed must come to the highest that held, as a share of it.
    pub precision: f64,
    /// What came of it, by scenario and runtime.
    pub results: Vec<SearchResult>,
}

/// What a search found for one runtime. The curve is in the cells of the steps' rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchResult {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the runtime.
    pub runtime: String,
    /// The highest rate that met the objective, in Hz; `None` where none did.
    pub highest_hz: Option<f64>,
    /// The lowest rate that did not; `None` where none was reached.
    pub lowest_failing_hz: Option<f64>,
    /// Every step, in order.
    pub steps: Vec<SearchStep>,
    /// Why it ended without an answer, in one sentence; `None` where it has one.
    pub unfinished: Option<String>,
}

/// A rate that was tried until two rounds agreed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchStep {
    /// The rate, in Hz.
    pub rate_hz: f64,
    /// Whether it met the objective.
    pub met: bool,
    /// What each of its rounds said.
    pub rounds: Vec<SearchRound>,
}

/// One round of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchRound {
    /// The objective's metric in this round, in its own unit; `None` where it could not be known.
    pub value: Option<f64>,
    /// Whether the round met the objective.
    pub met: bool,
    /// Why not, where it is not for the value: the rate was not held, operations failed.
    pub reason: Option<String>,
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

/// What was to be measured, resolved: no defaults left to look up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The suite that the scenarios are from; `None` where they were named one by one.
    #[serde(default)]
    pub suite: Option<String>,
    /// The scenarios, in the order asked for.
    pub scenarios: Vec<PlannedScenario>,
    /// The cells; rounds refer to them by index.
    pub cells: Vec<Cell>,
    /// For each block, the cells in the order in which they run: a seeded permutation of all supported cells.
    pub blocks: Vec<Vec<usize>>,
    /// Which CPUs server and worker run on.
    pub placement: Placement,
    /// The runtime that the others are compared with; `None` for the first that was measured.
    #[serde(default)]
    pub reference: Option<String>,
    /// Blocks after which the run ends early if every comparison is decided; empty where all blocks run. The error rate
    /// of the verdicts is split over them.
    #[serde(default)]
    pub looks: Vec<u32>,
    /// What is gated, where the cells come in two arms; `None` of a run that is no gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

/// Two arms to be told apart, and what of the second one must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// What was there before.
    pub base: ArmSource,
    /// What is to take its place.
    pub head: ArmSource,
    /// The slowdown that does not matter yet, as a share: 0.02 is 2 %.
    pub floor: f64,
    /// What must hold; a gate without any holds for nothing.
    pub terms: Vec<GateTerm>,
    /// Whether the arms may answer with different content.
    #[serde(default)]
    pub content_may_differ: bool,
}

/// One of the two sides of a gate.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// What was there before.
    Base,
    /// What is to take its place.
    Head,
}

impl Arm {
    /// Its name: `base` or `head`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Head => "head",
        }
    }
}

/// What an arm consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArmSource {
    /// What differs between the arms.
    pub kind: ArmKind,
    /// The command, the executable's path, or the record's place, as given, passwords removed.
    pub what: String,
    /// What it is exactly, where that can be told: `SHA-256 …` of an executable, `commit …` of a revision.
    pub identity: Option<String>,
}

/// What differs between the arms of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArmKind {
    /// The server: a command, started anew for each round.
    Server,
    /// The worker: an executable with the user's own workloads.
    Executable,
    /// Nothing but the time: a record that was measured before.
    Record,
    /// What is measured now, beside a record.
    Now,
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateTerm {
    /// The scenario it is about.
    pub scenario: String,
    /// The metric, with its unit: `response_p99_ns`; `errors` for the share of failed operations.
    pub metric: String,
    /// What must hold of it.
    pub requirement: Requirement,
    /// The same as it was written: `throughput = "5%"`.
    pub text: String,
    /// Where it was written; `None` of what came from the command line.
    pub place: Option<TextPlace>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TextPlace {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

/// What must hold of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Requirement {
    /// The head may be slower than the base by less than this.
    Slowdown {
        /// As a share: 0.1 is 10 %.
        limit: f64,
    },
    /// The head's own value is below this.
    Below {
        /// In the metric's unit.
        value: f64,
    },
    /// The head's own value is above this.
    Above {
        /// In the metric's unit.
        value: f64,
    },
    /// No greater share of the head's operations fails.
    Errors {
        /// As a share: 0 for none at all.
        most: f64,
    },
}

/// A scenario with everything resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedScenario {
    /// Its name: the file's stem.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// `http`, `files`, `database`, ...
    pub class: String,
    /// The workload it runs.
    pub workload: String,
    /// What one operation does, in one line.
    pub operation: String,
    /// The workload's parameters, complete with defaults and overrides.
    pub params: Value,
    /// The length of one `unit` of delay, in ns.
    pub unit_ns: u64,
    /// What stands behind each target the workload needs, by target name (`http`, `db`).
    pub servers: BTreeMap<String, PlannedServer>,
    /// The phase before the measurement, measured and thrown away.
    pub warmup: Stop,
    /// When a round's measurement ends; the arrivals of an open load, where it has no stages.
    pub stop: Stop,
    /// How the rate of an open load changes; empty where it stays. Their lengths together are those of the measurement.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// Whether a probe rides along that measures how late the runtime schedules it.
    #[serde(default)]
    pub lag_probe: bool,
    /// Failed operations allowed, as a share of all operations, 0..=1; more ends the run with exit code 5.
    pub error_budget: f64,
    /// How many requests its servers may have in flight; `None` where nothing is expected of it.
    #[serde(default)]
    pub in_flight: Option<InFlight>,
}

/// What is expected of the most requests that a server has in flight at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InFlight {
    /// No more than this many for each session.
    pub most: NonZeroU32,
    /// Whether as many as one session may have must have been in flight, where the runtime does several things at once.
    pub reached: bool,
}

/// What stands behind a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PlannedServer {
    /// One of the embedded servers, started anew for each round.
    Mock {
        /// Its name: `http`, `wiremock`, `postgres`.
        server: String,
        /// How it behaves.
        behaviour: Value,
    },
    /// A server that is already there, or a throwaway one started for this run.
    External {
        /// Its URL, password removed; `local` for a throwaway PostgreSQL.
        url: String,
        /// What it says it is, where it says so: `nginx/1.22.1`, `PostgreSQL 15.18`.
        software: Option<String>,
    },
    /// A server of the user's own, started by the arm's command anew for each round.
    Arm {
        /// Its URL, with `{port}` where the port goes; password removed.
        url: String,
    },
}

/// Scenario × runtime × load point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the runtime.
    pub runtime: String,
    /// How operations are asked for.
    pub load: Load,
    /// The side it is on, in a gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Arm>,
    /// Why this runtime cannot do it honestly; `None` where it can.
    pub unsupported: Option<String>,
}

/// Which CPUs server and worker run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placement {
    /// How they are laid out.
    pub kind: PlacementKind,
    /// CPUs of the server process, by number.
    pub server_cpus: Vec<usize>,
    /// CPUs of the worker process, by number; their count is the default number of worker threads.
    pub worker_cpus: Vec<usize>,
    /// A CPU that neither server nor worker uses, for the pacer of open loads; `None` where there is none to spare.
    #[serde(default)]
    pub pacer_cpu: Option<usize>,
}

/// How server and worker share the CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlacementKind {
    /// Disjoint CPUs for server and worker.
    Split,
    /// One CPU for both.
    Same,
    /// All CPUs for both.
    Shared,
}

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
