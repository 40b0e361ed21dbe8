//! The plan of a run: its cells, their order, and an estimate of its duration. Pure: it runs nothing.
//!
//! Scenarios, runtimes and loads are combined into a `Plan` that leaves nothing to look up. The order is drawn from the
//! seed: every block holds every supported cell once, in its own permutation, so that drift of the machine becomes
//! noise between blocks instead of a difference between runtimes. The CLI runs the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use photofinish_harness::runtime::Descriptor;
use photofinish_harness::runtimes::{DESCRIPTORS, default_runtimes, descriptor, floors};
use photofinish_record::draw::shuffle;
use photofinish_record::load::{Arrivals, Load, RateHz, Stop};
use photofinish_record::protocol::LaneDescription;
use photofinish_record::{
    Cell, ForeignWorker, Placement, Plan, PlannedScenario, PlannedServer, RuntimeFamily,
    RuntimeTraits, TlsSettings, canonical_json, hex, nanoseconds,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::scenario::{PathParams, Scenario};
use photofinish_workloads::names::did_you_mean;

mod arms;
mod error;
mod feeds;
mod loads;
mod twin;

pub use self::arms::in_pairs;
pub use self::error::PlanError;
pub use self::feeds::early_ends;
use self::loads::{loads, phases};
pub use self::twin::Twin;

/// Default rounds per cell. Fewer than eight cannot give a verdict between runtimes; ten detect a difference of 10 % if
/// two runs of the same build differ by 2 to 3 %.
pub const DEFAULT_ROUNDS: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Rounds per cell of a quick run: two, so that there is a spread at all.
const QUICK_ROUNDS: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Maximum number of arrivals in a round.
const MAX_ARRIVALS: u64 = 1_000_000_000;
/// Estimate per round in addition to warm-up and measurement: starting and ending two processes.
const START_UP: Duration = Duration::from_millis(60);
/// Estimate per operation, for phases that end by count.
const OPERATION: Duration = Duration::from_micros(200);

/// Options on the command line; the scenarios decide the rest.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// The suite that the scenarios are from.
    pub suite: Option<String>,
    /// Replaces the runtimes of the scenarios, in order.
    pub runtimes: Option<Vec<String>>,
    /// Adds the floors of the stacks of a scenario's runtimes to them.
    pub floor: bool,
    /// Runtimes in other languages that may be requested, each with its worker.
    pub lanes: Vec<Lane>,
    /// Replaces the sweep of the scenarios, in order.
    pub concurrency: Option<Vec<NonZeroU32>>,
    /// Arrivals per second, in order; makes every load open.
    pub rates: Option<Vec<RateHz>>,
    /// Replaces the spacing of arrivals of open loads.
    pub arrivals: Option<Arrivals>,
    /// Adds a lag probe to every scenario.
    pub lag_probe: bool,
    /// Plans a search for rates: every cell is closed, and there are no blocks yet.
    pub search: bool,
    /// The runtime to compare the others with, by default the first.
    pub reference: Option<String>,
    /// A runtime to measure twice.
    pub twin: Option<Twin>,
    /// Numbers of blocks after which the run may end early, ascending; the last one is the number of blocks.
    pub looks: Vec<NonZeroU32>,
    /// Replaces the length of the measurement.
    pub duration: Option<Duration>,
    pub rounds: Option<NonZeroU32>,
    pub seed: u64,
    /// Few, short rounds, as a smoke test; `rounds` and `duration` have precedence.
    pub quick: bool,
    /// Leaves the warm-up as it is, whatever lanes ask for: the user has set it.
    pub keep_warmup: bool,
    pub placement: Placement,
    /// External servers by target name, instead of mocks.
    pub targets: BTreeMap<String, PlannedServer>,
}

/// A runtime in another language, and the worker that runs it.
#[derive(Clone, Debug)]
pub struct Lane {
    pub description: LaneDescription,
    pub worker: ForeignWorker,
    /// True if it is added to the runtimes of every scenario; otherwise it is there to be named.
    pub everywhere: bool,
}

impl Lane {
    /// The reason that it cannot run this workload under this load; `None` if it can.
    fn refusal(&self, workload: &str, load: Load) -> Option<String> {
        let LaneDescription {
            name,
            workloads,
            cannot,
            open_load,
            ..
        } = &self.description;
        if let Some(reason) = cannot.get(workload) {
            return Some(format!("the lane {name} cannot run here: {reason}"));
        }
        if !workloads.iter().any(|known| known == workload) {
            return Some(format!("the lane {name} has no workload `{workload}`"));
        }
        let open = matches!(load, Load::Open { .. });
        (open && !open_load).then(|| format!("the lane {name} has no open load"))
    }
}

/// A runtime of the plan: one of this program, or a lane.
enum Requested<'a> {
    Own(&'static Descriptor),
    Lane(&'a Lane),
}

impl Requested<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Own(descriptor) => descriptor.name,
            Self::Lane(lane) => &lane.description.name,
        }
    }

    fn refusal(&self, scenario: &Scenario, load: Load) -> Option<String> {
        match self {
            Self::Own(descriptor) => descriptor.refusal(scenario.needs).map(str::to_owned),
            Self::Lane(lane) => lane.refusal(scenario.about.name, load),
        }
    }
}

/// Makes the plan of a run: a cell for every scenario, load point and runtime, in the given order.
///
/// A cell whose runtime does not support the workload is in the plan, with the reason, but in no block. `sync` has one
/// session at every point of a sweep, but still a cell for each: so each comparison has a partner in the same block.
pub fn plan(scenarios: &[Scenario], options: &PlanOptions) -> Result<Plan, PlanError> {
    check_names(scenarios)?;
    check_targets(scenarios, &options.targets)?;
    let mut cells = Vec::new();
    for scenario in scenarios {
        let runtimes = runtimes(scenario, options)?;
        cells.extend(scenario_cells(scenario, &runtimes, options)?);
    }
    check_among(&cells, "--reference", options.reference.as_ref())?;
    let twin = options.twin.as_ref().map(|twin| &twin.runtime);
    check_among(&cells, "--twin", twin)?;
    if let Some(twin) = &options.twin {
        let mut all = scenarios.iter();
        all.try_for_each(|scenario| twin.check(scenario))?;
    }
    Ok(Plan {
        scenarios: scenarios
            .iter()
            .map(|scenario| planned(scenario, options))
            .collect::<Result<_, _>>()?,
        blocks: if options.search {
            Vec::new()
        } else {
            blocks(&cells, rounds(options), options.seed)
        },
        reference: options.reference.clone(),
        suite: options.suite.clone(),
        title: None,
        looks: options.looks.iter().map(|look| look.get()).collect(),
        runtimes: traits(&cells, &options.lanes),
        cells,
        placement: options.placement.clone(),
        gate: None,
        thresholds: Vec::new(),
    })
}

/// Traits of the runtimes of `cells`, by name.
fn traits(cells: &[Cell], lanes: &[Lane]) -> BTreeMap<String, RuntimeTraits> {
    let own = DESCRIPTORS
        .iter()
        .enumerate()
        .map(|(position, known)| (known.name.to_owned(), known.traits(position)));
    let foreign = lanes.iter().enumerate().map(|(index, lane)| {
        let LaneDescription { name, family, .. } = &lane.description;
        let traits = RuntimeTraits {
            family: *family,
            queues_before_service: false,
            note: (*family == RuntimeFamily::Floor).then(|| "floor".to_owned()),
            position: DESCRIPTORS.len() + index,
            system_calls: None,
            worker: Some(lane.worker.clone()),
        };
        (name.clone(), traits)
    });
    own.chain(foreign)
        .filter(|(name, _)| cells.iter().any(|cell| cell.runtime == *name))
        .collect()
}

fn check_names(scenarios: &[Scenario]) -> Result<(), PlanError> {
    if scenarios.is_empty() {
        return Err(PlanError::NoScenario);
    }
    let mut names = BTreeSet::new();
    match scenarios
        .iter()
        .find(|scenario| !names.insert(&scenario.name))
    {
        Some(second) => Err(PlanError::DuplicateName {
            name: second.name.clone(),
        }),
        None => Ok(()),
    }
}

fn check_targets(
    scenarios: &[Scenario],
    targets: &BTreeMap<String, PlannedServer>,
) -> Result<(), PlanError> {
    let known: BTreeSet<&str> = scenarios
        .iter()
        .flat_map(|scenario| scenario.about.targets.iter().copied())
        .collect();
    match targets.keys().find(|name| !known.contains(name.as_str())) {
        Some(name) => Err(PlanError::UnknownTarget {
            name: name.clone(),
            known: known.into_iter().map(str::to_owned).collect(),
        }),
        None => Ok(()),
    }
}

fn check_among(
    cells: &[Cell],
    option: &'static str,
    name: Option<&String>,
) -> Result<(), PlanError> {
    let Some(name) = name else {
        return Ok(());
    };
    let known = each_once(cells.iter().map(|cell| cell.runtime.clone()));
    if known.contains(name) {
        return Ok(());
    }
    Err(PlanError::AbsentRuntime {
        option,
        name: name.clone(),
        known,
    })
}

fn names<'a>(descriptors: impl Iterator<Item = &'a Descriptor>) -> Vec<String> {
    descriptors.map(|known| known.name.to_owned()).collect()
}

/// The runtimes of a scenario, each once.
fn runtimes<'a>(
    scenario: &Scenario,
    options: &'a PlanOptions,
) -> Result<Vec<Requested<'a>>, PlanError> {
    let mut requested = options
        .runtimes
        .clone()
        .or_else(|| scenario.runtimes.clone())
        .unwrap_or_else(|| names(default_runtimes()));
    if options.floor {
        requested.extend(floors_beside(&requested, scenario, &options.lanes));
    }
    let lanes = || options.lanes.iter();
    let added = lanes().filter(|lane| lane.everywhere);
    requested.extend(added.map(|lane| lane.description.name.clone()));
    let mut all: Vec<&str> = DESCRIPTORS.iter().map(|known| known.name).collect();
    all.extend(lanes().map(|lane| lane.description.name.as_str()));
    let known = each_once(requested).into_iter().map(|name| {
        let lane = lanes().find(|lane| lane.description.name == name);
        let own = descriptor(&name).map(Requested::Own);
        own.or(lane.map(Requested::Lane))
            .ok_or_else(|| PlanError::UnknownRuntime {
                suggestion: did_you_mean(&name, all.iter().copied()).map(str::to_owned),
                name,
            })
    });
    known.collect()
}

/// The floors of the stacks of these runtimes, as far as they have the scenario's workload.
fn floors_beside(requested: &[String], scenario: &Scenario, lanes: &[Lane]) -> Vec<String> {
    let of = |name: &String| lanes.iter().find(|lane| lane.description.name == *name);
    let stack = |name| of(name).map(|lane| lane.worker.stack.as_str());
    let stacks: Vec<Option<&str>> = requested.iter().map(stack).collect();
    let own = floors().filter(|_| stacks.contains(&None));
    let foreign = lanes.iter().filter(|lane| {
        let LaneDescription {
            family, workloads, ..
        } = &lane.description;
        let runs = || workloads.iter().any(|known| known == scenario.about.name);
        let is_measured = || stacks.contains(&Some(&lane.worker.stack));
        *family == RuntimeFamily::Floor && is_measured() && runs()
    });
    let foreign = foreign.map(|lane| lane.description.name.clone());
    names(own).into_iter().chain(foreign).collect()
}

/// The items without repetitions, in order.
fn each_once<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut unique = Vec::new();
    for item in items {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    unique
}

fn scenario_cells(
    scenario: &Scenario,
    runtimes: &[Requested<'_>],
    options: &PlanOptions,
) -> Result<Vec<Cell>, PlanError> {
    let mut cells = Vec::new();
    let loads = loads(scenario, options)?;
    feeds::check(scenario, options, &loads)?;
    for load in loads {
        for runtime in runtimes {
            let cell = Cell {
                scenario: scenario.name.clone(),
                runtime: runtime.name().to_owned(),
                load,
                arm: None,
                variant: None,
                unsupported: runtime.refusal(scenario, load),
            };
            let twin = options.twin.as_ref().and_then(|twin| twin.of(&cell));
            cells.push(cell);
            cells.extend(twin);
        }
    }
    Ok(cells)
}

fn planned(scenario: &Scenario, options: &PlanOptions) -> Result<PlannedScenario, PlanError> {
    let phases = phases(scenario, options);
    let mut servers = BTreeMap::new();
    for target in scenario.about.targets {
        servers.insert((*target).to_owned(), server(scenario, target, options)?);
    }
    Ok(PlannedScenario {
        name: scenario.name.clone(),
        title: if scenario
            .about
            .targets
            .iter()
            .any(|target| options.targets.contains_key(*target))
        {
            scenario.title_of_target.clone()
        } else {
            scenario.title.clone()
        },
        class: scenario.about.class.to_owned(),
        workload: scenario.about.name.to_owned(),
        operation: scenario.about.operation.to_owned(),
        params: scenario.params.clone(),
        unit_ns: nanoseconds(scenario.unit),
        servers,
        warmup: phases.warmup,
        stop: phases.stop,
        stages: phases.stages,
        lag_probe: scenario.lag_probe || options.lag_probe,
        error_budget: scenario.error_budget.unwrap_or(0.0),
        in_flight: scenario.in_flight,
    })
}

fn server(
    scenario: &Scenario,
    target: &str,
    options: &PlanOptions,
) -> Result<PlannedServer, PlanError> {
    if let Some(external) = options.targets.get(target) {
        return addressed(scenario, external);
    }
    match scenario.servers.get(target) {
        Some(mock) => Ok(PlannedServer::Mock {
            server: mock.kind.clone(),
            behaviour: mock.behaviour.clone(),
            tls: scenario.tls.as_ref().map(TlsSettings::without_files),
        }),
        None => Err(PlanError::NoServer {
            scenario: scenario.name.clone(),
            target: target.to_owned(),
        }),
    }
}

/// `server` with its address as passed to the workers of `scenario`. If the address ends with host and port, the
/// scenario supplies the path: only paths named by the user are used. A path in the address takes precedence over
/// those; without either, `/` is requested, never a path of the embedded server.
fn addressed(scenario: &Scenario, server: &PlannedServer) -> Result<PlannedServer, PlanError> {
    let mut server = server.clone();
    let (PlannedServer::External { url, .. } | PlannedServer::Arm { url, .. }) = &mut server else {
        return Ok(server);
    };
    if scenario.paths.requests {
        return Err(PlanError::EmbeddedRequests {
            scenario: scenario.name.clone(),
        });
    }
    let (
        PathParams {
            named, defaults, ..
        },
        Some((_, rest)),
    ) = (&scenario.paths, url.split_once("://"))
    else {
        return Ok(server);
    };
    let in_url = rest.find(['/', '?']).map(|start| &rest[start..]);
    let takes_paths = ["http:", "https:", "ws:", "wss:"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    if takes_paths && matches!(in_url, None | Some("/")) {
        if !named.is_empty() && !defaults.is_empty() {
            return Err(PlanError::DefaultPaths {
                scenario: scenario.name.clone(),
                params: defaults.clone(),
            });
        }
        url.truncate(url.trim_end_matches('/').len());
        if named.is_empty() {
            url.push('/');
        }
    }
    Ok(server)
}

fn rounds(options: &PlanOptions) -> NonZeroU32 {
    let default = if options.quick {
        QUICK_ROUNDS
    } else {
        DEFAULT_ROUNDS
    };
    options.rounds.unwrap_or(default)
}

/// One seeded permutation of all supported cells per round.
fn blocks(cells: &[Cell], rounds: NonZeroU32, seed: u64) -> Vec<Vec<usize>> {
    let supported: Vec<usize> = (0..cells.len())
        .filter(|index| cells[*index].unsupported.is_none())
        .collect();
    (0..u64::from(rounds.get()))
        .map(|block| {
            let mut cells = supported.clone();
            shuffle(&mut cells, seed, block * supported.len() as u64);
            cells
        })
        .collect()
}

/// SHA-256 over the canonical JSON (sorted keys, no spaces) of `{"plan": …, "seed": …}`, in hex.
pub fn plan_hash(plan: &Plan, seed: u64) -> String {
    hex(Sha256::digest(canonical_json(
        json!({"plan": plan, "seed": seed}),
    )))
}

/// Estimate of a plan's duration: warm-up, measurement and start-up of every round, with 200 µs per operation for
/// phases that end by count. Operations longer than their phase are not foreseen.
pub fn estimate(plan: &Plan) -> Duration {
    let rounds = plan.blocks.iter().flatten();
    rounds
        .map(|index| {
            let name = &plan.cells[*index].scenario;
            let scenario = plan
                .scenarios
                .iter()
                .find(|scenario| scenario.name == *name);
            START_UP
                + scenario.map_or(Duration::ZERO, |scenario| {
                    length(scenario.warmup) + length(scenario.stop)
                })
        })
        .sum()
}

fn length(stop: Stop) -> Duration {
    match stop {
        Stop::DurationNs(duration_ns) => Duration::from_nanos(duration_ns.get()),
        Stop::Ops(ops) => OPERATION.saturating_mul(u32::try_from(ops.get()).unwrap_or(u32::MAX)),
    }
}
