//! What was to be measured, resolved: no defaults left to look up.
//!
//! Scenarios with what stands behind their targets, cells, the order of blocks, and which CPUs are whose. How a plan is
//! made from scenario files is the business of `scenarios`; what is asked of two arms is in `gate`.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::RuntimeTraits;
use crate::gate::{Arm, Gate};
use crate::load::{Load, Stage, Stop};

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
    /// Traits of the runtimes of `cells`, by name.
    #[serde(default)]
    pub runtimes: BTreeMap<String, RuntimeTraits>,
    /// What is gated, where the cells come in two arms; `None` of a run that is no gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
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

/// Its name for people: `http-get / tokio (closed, 16 sessions)`; in a gate, `… (closed, 16 sessions, base)`.
impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arm = self.arm.map_or("", Arm::name);
        let comma = if arm.is_empty() { "" } else { ", " };
        let Self {
            scenario,
            runtime,
            load,
            ..
        } = self;
        write!(formatter, "{scenario} / {runtime} ({load}{comma}{arm})")
    }
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
