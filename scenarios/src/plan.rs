//! The plan: which cells a run measures, in which order, and how long that takes. Pure: it runs nothing.
//!
//! Scenarios, runtimes and loads meet here and become the harness's `Plan`, with nothing left to look up. The order is
//! drawn from the seed: every block holds every supported cell once, in a permutation of its own, so that drift of the
//! machine becomes noise between blocks instead of a difference between runtimes. Running a plan is the CLI's business.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use photofinish_harness::draw::draw_below;
use photofinish_harness::load::{Load, Stop};
use photofinish_harness::record::{Cell, Placement, Plan, PlannedScenario, PlannedServer};
use photofinish_harness::runtime::Descriptor;
use photofinish_harness::runtimes::{DESCRIPTORS, descriptor};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::diagnostic::{did_you_mean, listed};
use crate::scenario::Scenario;

/// Rounds per cell where nothing is said.
pub const DEFAULT_ROUNDS: NonZeroU32 = NonZeroU32::new(5).unwrap();

/// Rounds per cell of a quick run: two, so that a spread can be seen at all.
const QUICK_ROUNDS: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// The longest measurement of a quick run.
const QUICK_DURATION: Duration = Duration::from_millis(200);
/// The longest warm-up of a quick run.
const QUICK_WARMUP: Duration = Duration::from_millis(50);
/// The most operations of a quick run's measurement and warm-up.
const QUICK_OPS: NonZeroU64 = NonZeroU64::new(50).unwrap();

/// What a round takes beside warm-up and measurement: starting and ending two processes.
const START_UP: Duration = Duration::from_millis(60);
/// What an operation is taken to last where a phase ends by count.
const OPERATION: Duration = Duration::from_micros(200);

/// What the command line says about a run; what it leaves out, the scenarios say.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// The runtimes, in order, instead of those of the scenarios.
    pub runtimes: Option<Vec<String>>,
    /// The points of the sweep, in order, instead of those of the scenarios.
    pub concurrency: Option<Vec<NonZeroU32>>,
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
        cells.extend(scenario_cells(scenario, &runtimes, options));
    }
    let planned = scenarios.iter().map(|scenario| planned(scenario, options));
    Ok(Plan {
        scenarios: planned.collect::<Result<_, _>>()?,
        blocks: blocks(&cells, rounds(options), options.seed),
        cells,
        placement: options.placement.clone(),
        reference: None,
        looks: Vec::new(),
    })
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
) -> Vec<Cell> {
    let points = points(scenario, options);
    let cell = |concurrency: NonZeroU32, runtime: &Descriptor| Cell {
        scenario: scenario.name.clone(),
        runtime: runtime.name.to_owned(),
        load: Load::Closed { concurrency },
        unsupported: runtime.refusal(scenario.about.needs).map(str::to_owned),
    };
    let at_point = |point| runtimes.iter().map(move |runtime| cell(point, runtime));
    points.into_iter().flat_map(at_point).collect()
}

/// The points of a scenario's sweep, each once.
fn points(scenario: &Scenario, options: &PlanOptions) -> Vec<NonZeroU32> {
    let asked = options.concurrency.as_ref();
    let mut points: Vec<NonZeroU32> = Vec::new();
    for point in asked.unwrap_or(&scenario.load.concurrency) {
        if !points.contains(point) {
            points.push(*point);
        }
    }
    points
}

fn planned(scenario: &Scenario, options: &PlanOptions) -> Result<PlannedScenario, PlanError> {
    let (warmup, stop) = phases(scenario, options);
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
        unit_ns: u64::try_from(scenario.unit.as_nanos()).unwrap_or(u64::MAX),
        servers: servers.collect::<Result<_, _>>()?,
        warmup,
        stop,
        stages: Vec::new(),
        lag_probe: false,
        error_budget: scenario.error_budget,
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

/// Warm-up and stop rule of a scenario's rounds.
fn phases(scenario: &Scenario, options: &PlanOptions) -> (Stop, Stop) {
    let (warmup, stop) = (scenario.load.warmup, scenario.load.stop);
    let (warmup, stop) = match options.quick {
        true => (
            shortened(warmup, QUICK_WARMUP),
            shortened(stop, QUICK_DURATION),
        ),
        false => (warmup, stop),
    };
    (warmup, options.duration.map_or(stop, Stop::after))
}

fn shortened(stop: Stop, most: Duration) -> Stop {
    match (stop, Stop::after(most)) {
        (Stop::DurationNs(asked_ns), Stop::DurationNs(most_ns)) => {
            Stop::DurationNs(asked_ns.min(most_ns))
        }
        (Stop::Ops(ops), _) => Stop::Ops(ops.min(QUICK_OPS)),
        (asked, _) => asked,
    }
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
    let block = |block| shuffled(in_order.clone(), seed, block);
    (0..rounds.get()).map(block).collect()
}

/// Fisher and Yates's shuffle, in which every order is equally likely; each block has draws of its own.
fn shuffled(mut items: Vec<usize>, seed: u64, block: u32) -> Vec<usize> {
    let first_draw = u64::from(block) * items.len() as u64;
    for last in (1..items.len()).rev() {
        let other = draw_below(seed, first_draw + last as u64, last as u64 + 1);
        items.swap(last, other as usize);
    }
    items
}

/// SHA-256 over the canonical JSON (sorted keys, no spaces) of `{"plan": …, "seed": …}`, in hex.
pub fn plan_hash(plan: &Plan, seed: u64) -> String {
    let plan = serde_json::to_value(plan).expect("a plan is plain data");
    let mut text = String::new();
    write_canonical(&json!({"plan": plan, "seed": seed}), &mut text);
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes JSON without spaces and with sorted keys, whatever order a map keeps in this build.
fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(table) => {
            let mut parts: Vec<_> = table.iter().collect();
            parts.sort_by_key(|(key, _)| *key);
            write_list(text, ['{', '}'], parts, |(key, part), text| {
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(part, text);
            });
        }
        Value::Array(list) => write_list(text, ['[', ']'], list, write_canonical),
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn write_list<T>(
    text: &mut String,
    [open, close]: [char; 2],
    parts: impl IntoIterator<Item = T>,
    write: impl Fn(T, &mut String),
) {
    text.push(open);
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write(part, text);
    }
    text.push(close);
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

/// A scenario as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedScenario {
    /// Its name.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// `http`, `files`, `database`, ...
    pub class: String,
    /// The workload it runs.
    pub workload: String,
    /// The runtimes it is compared under.
    pub runtimes: Vec<ListedRuntime>,
}

/// A runtime beside a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedRuntime {
    /// Its name.
    pub name: String,
    /// Why it cannot do this scenario honestly; `None` where it can.
    pub unsupported: Option<String>,
}

/// What lists say of a scenario.
pub fn listed_scenario(scenario: &Scenario) -> ListedScenario {
    let names = scenario.runtimes.clone().unwrap_or_else(all_runtimes);
    let known = names.iter().filter_map(|name| descriptor(name));
    let runtimes = known.map(|runtime| ListedRuntime {
        name: runtime.name.to_owned(),
        unsupported: runtime.refusal(scenario.about.needs).map(str::to_owned),
    });
    ListedScenario {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        class: scenario.about.class.to_owned(),
        workload: scenario.about.name.to_owned(),
        runtimes: runtimes.collect(),
    }
}
