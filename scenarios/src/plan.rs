//! The plan: which cells a run measures, in which order, and how long that takes. Pure: it runs nothing.
//!
//! Scenarios, runtimes and loads meet here and become the harness's `Plan`, with nothing left to look up. The order is
//! drawn from the seed: every block holds every supported cell once, in a permutation of its own, so that drift of the
//! machine becomes noise between blocks instead of a difference between runtimes. Running a plan is the CLI's business.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use photofinish_harness::runtime::Descriptor;
use photofinish_harness::runtimes::{DESCRIPTORS, descriptor};
use photofinish_record::draw::shuffle;
use photofinish_record::load::{Arrivals, Load, RateHz, Stop};
use photofinish_record::{
    Cell, Placement, Plan, PlannedScenario, PlannedServer, RuntimeTraits, canonical_json, hex,
    nanoseconds,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::diagnostic::{did_you_mean, listed};
use crate::scenario::Scenario;

mod arms;
mod loads;

pub use self::arms::with_arms;
use self::loads::{MOST_ARRIVALS, loads, phases};

/// Rounds per cell where nothing is said. With fewer than eight no verdict between runtimes is attainable; ten tell 10 %
/// apart where two runs of the same differ by 2 to 3 %.
pub const DEFAULT_ROUNDS: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Rounds per cell of a quick run: two, so that a spread can be seen at all.
const QUICK_ROUNDS: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// What a round takes beside warm-up and measurement: starting and ending two processes.
const START_UP: Duration = Duration::from_millis(60);
/// What an operation is taken to last where a phase ends by count.
const OPERATION: Duration = Duration::from_micros(200);

/// What the command line says about a run; what it leaves out, the scenarios say.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// The suite that the scenarios are from.
    pub suite: Option<String>,
    /// The runtimes, in order, instead of those of the scenarios.
    pub runtimes: Option<Vec<String>>,
    /// The points of the sweep, in order, instead of those of the scenarios.
    pub concurrency: Option<Vec<NonZeroU32>>,
    /// Arrivals per second, in order: makes every load an open one.
    pub rates: Option<Vec<RateHz>>,
    /// How the arrivals of open loads are spread, instead of what the scenarios say.
    pub arrivals: Option<Arrivals>,
    /// Whether a lag probe rides along whatever the scenarios say.
    pub lag_probe: bool,
    /// Whether rates are looked for on the way: every cell is a closed one then, and there are no blocks yet.
    pub search: bool,
    /// The runtime that the others are compared with; the first where nothing is said.
    pub reference: Option<String>,
    /// Numbers of blocks after which the run may end early, ascending; the last one is the number of blocks.
    pub looks: Vec<NonZeroU32>,
    /// How long a round measures, instead of what the scenarios say.
    pub duration: Option<Duration>,
    /// Rounds per cell.
    pub rounds: Option<NonZeroU32>,
    /// The seed of the order.
    pub seed: u64,
    /// Few short rounds, to see whether everything works; `rounds` and `duration` go before.
    pub quick: bool,
    /// Which CPUs server and worker run on.
    pub placement: Placement,
    /// External servers by target name, in place of mocks.
    pub targets: BTreeMap<String, PlannedServer>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No scenario was given.
    #[error("there is no scenario to run")]
    Nothing,
    /// A name on the command line that is no runtime's.
    #[error("`--runtimes`: there is no runtime `{name}`")]
    UnknownRuntime {
        /// The name.
        name: String,
        /// What was probably meant.
        suggestion: Option<&'static str>,
    },
    /// A target on the command line that no scenario has.
    #[error("`--target {name}=…`: no scenario of this run has a target `{name}`")]
    UnknownTarget {
        /// The target's name.
        name: String,
        /// The targets the scenarios have.
        known: Vec<String>,
    },
    /// A target with neither mock nor external server.
    #[error("scenario `{scenario}` has no server behind its target `{target}`")]
    NoServer {
        /// The scenario.
        scenario: String,
        /// The target.
        target: String,
    },
    /// The reference is not among the runtimes.
    #[error("`--reference`: `{name}` is not among the runtimes of this run")]
    AbsentReference {
        /// The name.
        name: String,
        /// The runtimes of the run.
        known: Vec<String>,
    },
    /// `--arrivals` without any open load.
    #[error("`--arrivals` is for open loads, and every load of this run is closed")]
    NothingOpen,
    /// An open load of a workload that its clients ask when they like.
    #[error(
        "scenario `{scenario}` takes no arrivals on a schedule: its client asks as soon as it has an answer"
    )]
    AskedByItsClient {
        /// The scenario.
        scenario: String,
    },
    /// More arrivals in a round than can be meant.
    #[error("{rate_hz} arrivals per second over {seconds} s are too many for a round")]
    TooManyArrivals {
        /// The rate.
        rate_hz: RateHz,
        /// The length of the measurement.
        seconds: u64,
    },
    /// Results are told apart by the scenarios' names.
    #[error("two scenarios of this run are called `{name}`")]
    SameName {
        /// The name.
        name: String,
    },
}

impl PlanError {
    /// What to try instead.
    pub fn hint(&self) -> String {
        let names = |names: &[String]| format!("expected {}", listed(names));
        match self {
            Self::Nothing => "`photofinish list` shows all scenarios".to_owned(),
            Self::UnknownRuntime {
                suggestion: Some(name),
                ..
            } => format!("did you mean `{name}`?"),
            Self::UnknownRuntime { .. } => names(&all_runtimes()),
            Self::UnknownTarget { known, .. } if known.is_empty() => {
                "they talk to no server at all".to_owned()
            }
            Self::UnknownTarget { known, .. } => names(known),
            Self::NoServer { target, .. } => {
                format!("add `[server.{target}]` to its file, or `--target {target}=…`")
            }
            Self::AbsentReference { known, .. } => names(known),
            Self::NothingOpen => "add `--rate`, in arrivals per second".to_owned(),
            Self::AskedByItsClient { .. } => {
                "leave out rates; `--concurrency` says how many connections the client keeps"
                    .to_owned()
            }
            Self::TooManyArrivals { .. } => {
                format!(
                    "a round has at most {MOST_ARRIVALS} arrivals; lower the rate or `--duration`"
                )
            }
            Self::SameName { .. } => {
                "run them one after another, or rename one of the files".to_owned()
            }
        }
    }
}

/// Makes the plan of a run. Its cells are every scenario under every load point and every runtime, in the order asked.
///
/// A cell whose runtime cannot do the workload honestly is in the plan with the reason, and in no block. A sweep has a
/// cell for each of its points even under `sync`, which has one session at every point: so each comparison has its
/// partner, measured in the same block.
pub fn plan(scenarios: &[Scenario], options: &PlanOptions) -> Result<Plan, PlanError> {
    check_names(scenarios)?;
    check_targets(scenarios, &options.targets)?;
    let mut cells = Vec::new();
    for scenario in scenarios {
        let runtimes = runtimes(scenario, options)?;
        cells.extend(scenario_cells(scenario, &runtimes, options)?);
    }
    check_reference(&cells, options.reference.as_ref())?;
    let planned = scenarios.iter().map(|scenario| planned(scenario, options));
    Ok(Plan {
        scenarios: planned.collect::<Result<_, _>>()?,
        blocks: match options.search {
            true => Vec::new(),
            false => blocks(&cells, rounds(options), options.seed),
        },
        reference: options.reference.clone(),
        suite: options.suite.clone(),
        looks: options.looks.iter().map(|look| look.get()).collect(),
        runtimes: traits(&cells),
        cells,
        placement: options.placement.clone(),
        gate: None,
    })
}

/// Traits of the runtimes of `cells`, by name.
fn traits(cells: &[Cell]) -> BTreeMap<String, RuntimeTraits> {
    let listed = DESCRIPTORS.iter().enumerate();
    let used = listed.filter(|(_, known)| cells.iter().any(|cell| cell.runtime == known.name));
    used.map(|(position, known)| (known.name.to_owned(), known.traits(position)))
        .collect()
}

fn check_names(scenarios: &[Scenario]) -> Result<(), PlanError> {
    if scenarios.is_empty() {
        return Err(PlanError::Nothing);
    }
    for (index, scenario) in scenarios.iter().enumerate() {
        if scenarios[..index]
            .iter()
            .any(|earlier| earlier.name == scenario.name)
        {
            let name = scenario.name.clone();
            return Err(PlanError::SameName { name });
        }
    }
    Ok(())
}

fn check_targets(
    scenarios: &[Scenario],
    targets: &BTreeMap<String, PlannedServer>,
) -> Result<(), PlanError> {
    let all = scenarios.iter().flat_map(|scenario| scenario.about.targets);
    let mut known: Vec<_> = all.map(|target| (*target).to_owned()).collect();
    known.sort();
    known.dedup();
    match targets.keys().find(|name| !known.contains(name)) {
        Some(name) => Err(PlanError::UnknownTarget {
            name: name.clone(),
            known,
        }),
        None => Ok(()),
    }
}

fn check_reference(cells: &[Cell], reference: Option<&String>) -> Result<(), PlanError> {
    let Some(name) = reference else {
        return Ok(());
    };
    let mut known: Vec<String> = Vec::new();
    for cell in cells {
        if !known.contains(&cell.runtime) {
            known.push(cell.runtime.clone());
        }
    }
    if known.contains(name) {
        return Ok(());
    }
    let name = name.clone();
    Err(PlanError::AbsentReference { name, known })
}

fn all_runtimes() -> Vec<String> {
    let names = DESCRIPTORS.iter().map(|known| known.name.to_owned());
    names.collect()
}

/// The runtimes of a scenario, each once.
fn runtimes(
    scenario: &Scenario,
    options: &PlanOptions,
) -> Result<Vec<&'static Descriptor>, PlanError> {
    let asked = options
        .runtimes
        .clone()
        .or_else(|| scenario.runtimes.clone());
    let mut chosen: Vec<&'static Descriptor> = Vec::new();
    for name in asked.unwrap_or_else(all_runtimes) {
        let known = descriptor(&name).ok_or_else(|| PlanError::UnknownRuntime {
            suggestion: did_you_mean(&name, DESCRIPTORS.iter().map(|known| known.name)),
            name,
        })?;
        if !chosen.iter().any(|earlier| earlier.name == known.name) {
            chosen.push(known);
        }
    }
    Ok(chosen)
}

fn scenario_cells(
    scenario: &Scenario,
    runtimes: &[&'static Descriptor],
    options: &PlanOptions,
) -> Result<Vec<Cell>, PlanError> {
    let loads = loads(scenario, options)?;
    let cell = |load: Load, runtime: &Descriptor| Cell {
        scenario: scenario.name.clone(),
        runtime: runtime.name.to_owned(),
        load,
        arm: None,
        unsupported: runtime.refusal(scenario.needs).map(str::to_owned),
    };
    let at_load = |load| runtimes.iter().map(move |runtime| cell(load, runtime));
    Ok(loads.into_iter().flat_map(at_load).collect())
}

fn planned(scenario: &Scenario, options: &PlanOptions) -> Result<PlannedScenario, PlanError> {
    let phases = phases(scenario, options);
    let servers = scenario.about.targets.iter().map(|target| {
        let server = server(scenario, target, options)?;
        Ok(((*target).to_owned(), server))
    });
    Ok(PlannedScenario {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        class: scenario.about.class.to_owned(),
        workload: scenario.about.name.to_owned(),
        operation: scenario.about.operation.to_owned(),
        params: scenario.params.clone(),
        unit_ns: nanoseconds(scenario.unit),
        servers: servers.collect::<Result<_, _>>()?,
        warmup: phases.warmup,
        stop: phases.stop,
        stages: phases.stages,
        lag_probe: scenario.lag_probe || options.lag_probe,
        error_budget: scenario.error_budget,
        in_flight: scenario.in_flight,
    })
}

fn server(
    scenario: &Scenario,
    target: &str,
    options: &PlanOptions,
) -> Result<PlannedServer, PlanError> {
    let external = options.targets.get(target).cloned();
    let mock = || {
        scenario
            .servers
            .get(target)
            .map(|mock| PlannedServer::Mock {
                server: mock.kind.clone(),
                behaviour: mock.behaviour.clone(),
            })
    };
    external.or_else(mock).ok_or_else(|| PlanError::NoServer {
        scenario: scenario.name.clone(),
        target: target.to_owned(),
    })
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
    let supported = |index: &usize| cells[*index].unsupported.is_none();
    let in_order: Vec<usize> = (0..cells.len()).filter(supported).collect();
    (0..u64::from(rounds.get()))
        .map(|block| {
            let mut cells = in_order.clone();
            shuffle(&mut cells, seed, block * in_order.len() as u64);
            cells
        })
        .collect()
}

/// SHA-256 over the canonical JSON (sorted keys, no spaces) of `{"plan": …, "seed": …}`, in hex.
pub fn plan_hash(plan: &Plan, seed: u64) -> String {
    let plan = serde_json::to_value(plan).expect("a plan is plain data");
    let text = canonical_json(&json!({"plan": plan, "seed": seed}));
    hex(Sha256::digest(text))
}

/// How long a plan takes: warm-up, measurement and start-up of every round. A phase that ends by count is taken at 200 µs
/// an operation, and an operation longer than its phase is not foreseen: both are known only once measured.
pub fn estimate(plan: &Plan) -> Duration {
    let round = |cell: &Cell| {
        let scenario = plan
            .scenarios
            .iter()
            .find(|scenario| scenario.name == cell.scenario);
        let phases = scenario.map_or(Duration::ZERO, |scenario| {
            length(scenario.warmup) + length(scenario.stop)
        });
        START_UP + phases
    };
    let rounds = plan.blocks.iter().flatten();
    rounds.map(|index| round(&plan.cells[*index])).sum()
}

fn length(stop: Stop) -> Duration {
    match stop {
        Stop::DurationNs(duration_ns) => Duration::from_nanos(duration_ns.get()),
        Stop::Ops(ops) => OPERATION.saturating_mul(u32::try_from(ops.get()).unwrap_or(u32::MAX)),
    }
}
