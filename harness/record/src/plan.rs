//! The plan of a run, fully resolved: no defaults left to look up.
//!
//! Scenarios with the servers behind their targets, cells, the order of blocks, and the CPUs of each process.
//! `scenarios` makes a plan from scenario files; the requirements on two arms are in `gate`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::gate::{Arm, Gate};
use crate::load::{Load, Stage, Stop};
use crate::threshold::Threshold;
use crate::{PeerAddress, RuntimeTraits, TlsSettings};

/// The plan of a run, fully resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// The suite that the scenarios are from; `None` if they were named one by one.
    #[serde(default)]
    pub suite: Option<String>,
    /// The suite's title; `None` without a suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// In the order requested.
    pub scenarios: Vec<PlannedScenario>,
    /// Rounds refer to them by index.
    pub cells: Vec<Cell>,
    /// The cells of each block in the order in which they run: a seeded permutation of all supported cells.
    pub blocks: Vec<Vec<usize>>,
    pub placement: Placement,
    /// The runtime that the others are compared with; `None` for the first one measured.
    #[serde(default)]
    pub reference: Option<String>,
    /// Numbers of blocks after which the run ends early if every comparison is decided; empty if all blocks run. The
    /// error rate of the verdicts is split over them.
    #[serde(default)]
    pub looks: Vec<u32>,
    /// The runtimes of `cells`, by name.
    #[serde(default)]
    pub runtimes: BTreeMap<String, RuntimeTraits>,
    /// The gate, if the cells come in two arms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Absolute limits on the metrics of a run without arms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
}

impl Plan {
    /// The scenario of a cell of this plan.
    pub fn scenario_of(&self, cell: &Cell) -> &PlannedScenario {
        let mut scenarios = self.scenarios.iter();
        let scenario = scenarios.find(|scenario| scenario.name == cell.scenario);
        scenario.expect("a cell's scenario is in its plan")
    }
}

/// A fully resolved scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedScenario {
    /// The file's stem.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// `http`, `files`, `database`, ...
    pub class: String,
    /// Name of the workload.
    pub workload: String,
    /// One line on what an operation does.
    pub operation: String,
    /// The workload's parameters, complete with defaults and overrides.
    pub params: Value,
    /// Length of one `unit` of delay, in ns.
    pub unit_ns: u64,
    /// The server behind each target of the workload, by target name (`http`, `db`).
    pub servers: BTreeMap<String, PlannedServer>,
    /// The phase before the measurement, whose times are discarded.
    pub warmup: Stop,
    /// The end of a round's measurement; of the arrivals of an open load without stages.
    pub stop: Stop,
    /// The rate of an open load over time; empty if it is constant. Their durations add up to that of the measurement.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// True if a probe runs beside the workload and measures the runtime's scheduling delay.
    #[serde(default)]
    pub lag_probe: bool,
    /// Maximum share of failed operations, 0..=1; more ends the run with exit code 5.
    pub error_budget: f64,
    /// Bounds on the requests its servers have in flight; `None` if there are none.
    #[serde(default)]
    pub in_flight: Option<InFlight>,
}

/// Bounds on the maximum number of requests that a server has in flight at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InFlight {
    /// Maximum per session.
    pub most: NonZeroU32,
    /// True if a runtime that does several things at once must reach the maximum of one session.
    pub reached: bool,
}

/// The server behind a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PlannedServer {
    /// An embedded server, started anew for each round.
    Mock {
        /// `http`, `wiremock`, `postgres`.
        server: String,
        behaviour: Value,
        /// TLS settings, with a certificate that the server generates at startup; `None` without TLS.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls: Option<TlsSettings>,
    },
    /// A running server, or a throwaway one started for this run.
    External {
        /// Password removed; `local` for a throwaway PostgreSQL.
        url: String,
        /// As reported by the server: `nginx/1.22.1`, `PostgreSQL 15.18`.
        software: Option<String>,
        /// The address that answered, and that every worker connected to; `None` in a plan that was not run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<PeerAddress>,
        /// TLS settings, without certificates and keys; `None` without TLS, and in a plan that was not run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls: Option<TlsSettings>,
        /// CPUs that its processes may use when the run begins; `None` if its processes are not known.
        #[serde(default)]
        cpus: Option<Vec<usize>>,
    },
    /// The user's own server, started anew for each round by the command of the cell's variant.
    Arm {
        /// With `{port}` in the place of the port; password removed.
        url: String,
        /// The path that must answer with success before a round; `None` for that of the scenario, with any answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ready: Option<String>,
    },
}

impl PlannedServer {
    /// The URL of a throwaway server that the run starts.
    pub const LOCAL: &'static str = "local";

    /// True if the run starts it, and so decides on its CPUs.
    pub fn is_own(&self) -> bool {
        match self {
            Self::Mock { .. } | Self::Arm { .. } => true,
            Self::External { url, .. } => url == Self::LOCAL,
        }
    }
}

/// Scenario × runtime × load point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cell {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the runtime.
    pub runtime: String,
    pub load: Load,
    /// Its side of a gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Arm>,
    /// Overrides of what its scenario and runtime name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Variant>,
    /// The reason why the runtime cannot run it honestly; `None` if it can.
    pub unsupported: Option<String>,
}

/// Overrides of a cell's program, server, runtime and parameters, for cells unlike the others: an arm of a gate, or the
/// twin in an A/A comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Variant {
    /// The worker's executable, in place of the program that started the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// The command of the server behind [`PlannedServer::Arm`], with `{port}` where its port goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The runtime, where the cell's own is only a name to compare it under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Parameters of the workload that replace those of the scenario.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Value>,
}

/// Its name for people: `http-get / tokio (closed, 16 in flight)`; in a gate, `… (closed, 16 in flight, base)`.
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

/// The CPUs of server and worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Placement {
    pub kind: PlacementKind,
    /// CPUs of the servers that the run starts, by number; empty if it starts none. Those of a target are in its
    /// [`PlannedServer::External`].
    pub server_cpus: Vec<usize>,
    /// CPUs of the worker process, by number; their count is the default number of worker threads.
    pub worker_cpus: Vec<usize>,
    /// A CPU that neither server nor worker uses, for the pacer of open loads; `None` if there is none to spare.
    #[serde(default)]
    pub pacer_cpu: Option<usize>,
    /// CPUs of the program that directs the run.
    #[serde(default)]
    pub orchestrator_cpus: Vec<usize>,
}

impl Placement {
    /// Every CPU that a run uses, each once, ascending.
    pub fn cpus(&self) -> Vec<usize> {
        let all = [
            &self.server_cpus,
            &self.worker_cpus,
            &self.orchestrator_cpus,
        ];
        let all = all.into_iter().flatten();
        let all = BTreeSet::from_iter(all.chain(&self.pacer_cpu).copied());
        Vec::from_iter(all)
    }
}

/// The layout of server and worker on the CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PlacementKind {
    /// Disjoint CPUs for server and worker.
    Split,
    /// One CPU for both.
    Same,
    /// All CPUs for both.
    Shared,
}
