//! What to measure: the arguments that `run` and `plan` share, and the plan they amount to.
//!
//! Scenarios are read and checked, targets parsed, CPUs laid out, all without running anything; whatever is wrong here
//! ends with exit code 2. Standing the targets up and running the plan is the business of `commands::run`.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use photofinish_harness::load::{Arrivals, RateHz};
use photofinish_harness::os;
use photofinish_harness::record::{Placement, PlacementKind, Plan, PlannedServer};
use photofinish_reports::gate::terms::{self, TermError};
use photofinish_reports::search::Objective;
use photofinish_scenarios::catalogue::{Located, locate};
use photofinish_scenarios::diagnostic::{Diagnostics, Source};
use photofinish_scenarios::plan::{PlanOptions, plan};
use photofinish_scenarios::scenario::{
    Checks, GateProblem, GateSpec, Override, Scenario, parse_rate, parse_time,
};
use photofinish_scenarios::suite::{self, Suite};

use crate::exit::Failure;
use crate::orchestrate::Redo;
use crate::placement::{CpuList, Layout, Wish, lay_out};
use crate::targets::Targets;
use crate::{output, servers};

/// The seed where none is given: the same command makes the same plan, with the same hash.
const DEFAULT_SEED: u64 = 1;

/// After how many rounds a run looks whether everything is decided. Few and planned: looking after each round would find
/// a difference sooner or later where there is none.
const LOOKS: [NonZeroU32; 4] = [
    NonZeroU32::new(10).unwrap(),
    NonZeroU32::new(16).unwrap(),
    NonZeroU32::new(24).unwrap(),
    NonZeroU32::new(40).unwrap(),
];

/// What to measure.
#[derive(Args, Debug)]
pub struct Request {
    /// Scenarios by name, or files of your own ending in .toml; without any, a short tour over HTTP, files and a
    /// database
    #[arg(value_name = "SCENARIO|FILE.toml")]
    scenarios: Vec<String>,

    /// Measures a suite instead of single scenarios: where-async-pays, or all for the whole catalogue
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(suite::names()),
        conflicts_with = "scenarios",
        help_heading = "What to measure"
    )]
    suite: Option<String>,

    /// Runtimes to compare, the first being what the others are compared with [default: all]
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "A,B",
        help_heading = "What to measure"
    )]
    runtimes: Option<Vec<String>>,

    /// Sessions at one time; several numbers make a sweep
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "N,N",
        help_heading = "What to measure"
    )]
    concurrency: Option<Vec<NonZeroU32>>,

    /// Arrivals per second, whatever the completions do: makes the load an open one, whose responses are timed from when
    /// they were due; several numbers make a sweep (20k is 20000)
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "R,R",
        value_parser = parse_rate,
        help_heading = "What to measure"
    )]
    rate: Option<Vec<RateHz>>,

    /// How the arrivals of an open load are spread [default: what the scenario says, or constant]
    #[arg(long, value_enum, value_name = "HOW", help_heading = "What to measure")]
    arrivals: Option<ArrivalsArgument>,

    /// Has a probe ride along that measures how late each runtime schedules it
    #[arg(long, help_heading = "What to measure")]
    lag_probe: bool,

    /// The runtime that the others are compared with [default: the first]
    #[arg(long, value_name = "RUNTIME", help_heading = "What to measure")]
    reference: Option<String>,

    /// Overrides a key of the scenario or a parameter of its workload, such as unit=1s or params.size=4KiB; repeatable
    #[arg(
        long = "set",
        value_name = "KEY=VALUE",
        help_heading = "What to measure"
    )]
    overrides: Vec<String>,

    /// Measures a server that is there already instead of the embedded one: http=URL,
    /// db=postgres://USER:PASSWORD@HOST:PORT/DB (or PGPASSWORD), db=local for a throwaway PostgreSQL,
    /// ws=ws://HOST:PORT, http-status=URL of nginx's stub_status to compare its counts
    #[arg(
        long = "target",
        value_name = "NAME=URL",
        help_heading = "What to measure"
    )]
    targets: Vec<String>,

    /// Allows targets that are not on this machine; load only what is yours to load
    #[arg(long, help_heading = "What to measure")]
    allow_remote: bool,

    /// Rounds per runtime and load, each in a fresh process [default: 10, or what the tour says]
    #[arg(long, value_name = "N", help_heading = "How long")]
    rounds: Option<NonZeroU32>,

    /// Looks for the highest rate that meets an objective, such as "response_p99 < 10ms", under each runtime
    #[arg(
        long,
        value_name = "OBJECTIVE",
        conflicts_with_all = ["rate", "rounds", "until_decided"],
        help_heading = "What to measure"
    )]
    find_max: Option<Objective>,

    /// Measures on until every comparison is decided, looking after 10, 16, 24 and 40 rounds
    #[arg(long, conflicts_with_all = ["rounds", "quick"], help_heading = "How long")]
    until_decided: bool,

    /// The most rounds that --until-decided comes to
    #[arg(
        long,
        value_name = "N",
        requires = "until_decided",
        help_heading = "How long"
    )]
    max_rounds: Option<NonZeroU32>,

    /// How long a round measures, such as 500ms or 10s [default: what the scenario says]
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "How long")]
    duration: Option<Duration>,

    /// Few short rounds, to see whether everything works
    #[arg(long, help_heading = "How long")]
    quick: bool,

    /// Keeps rounds that something disturbed, instead of redoing their block; so does --quick
    #[arg(long, help_heading = "How long")]
    no_redo: bool,

    /// Seeds the order of rounds, delays, keys and offsets
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED, help_heading = "How long")]
    pub seed: u64,

    /// How server and worker share the CPUs [default: split where there are two or more, else same]
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Where")]
    placement: Option<PlacementArgument>,

    /// CPUs to use, such as 0,2-3 [default: all that this process may use]
    #[arg(long, value_name = "LIST", help_heading = "Where")]
    cpus: Option<CpuList>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PlacementArgument {
    /// The first CPU for the server, the others for the worker
    Split,
    /// One CPU for both
    Same,
    /// All CPUs for both
    Shared,
}

impl From<PlacementArgument> for PlacementKind {
    fn from(argument: PlacementArgument) -> Self {
        match argument {
            PlacementArgument::Split => Self::Split,
            PlacementArgument::Same => Self::Same,
            PlacementArgument::Shared => Self::Shared,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ArrivalsArgument {
    /// Evenly
    Constant,
    /// As from many independent users
    Poisson,
}

impl From<ArrivalsArgument> for Arrivals {
    fn from(argument: ArrivalsArgument) -> Self {
        match argument {
            ArrivalsArgument::Constant => Self::Constant,
            ArrivalsArgument::Poisson => Self::Poisson,
        }
    }
}

/// What is to be measured, checked, with nothing started yet.
pub struct Prepared {
    /// A title for people, where the run has one.
    pub title: Option<String>,
    /// The plan; of external servers it does not know yet what they are.
    pub plan: Plan,
    /// The seed of every draw.
    pub seed: u64,
    /// What the highest rate is looked for, where one is.
    pub search: Option<Wanted>,
    /// External servers to stand up.
    pub targets: Targets,
    /// What a reader must know before believing a number.
    pub warnings: Vec<String>,
    /// What a gate asks, by scenario.
    pub gates: Vec<(String, GateSpec)>,
}

/// The URL of a server behind the target of that name.
pub type ServerUrl = dyn Fn(&str) -> Result<String, Failure>;

/// What a gate has beyond what was asked for on the command line.
#[derive(Default)]
pub struct Beyond {
    /// The runtimes where neither the user nor the scenario names any; all where this is empty.
    pub runtimes: Vec<String>,
    /// The planned looks; those of the request where this is empty.
    pub looks: Vec<NonZeroU32>,
    /// The URL of the arm's own server, with `{port}` in it, from the target's name.
    pub server_url: Option<Box<ServerUrl>>,
}

/// What a search looks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What a rate must meet.
    pub objective: Objective,
    /// How arrivals are spread.
    pub arrivals: Arrivals,
}

/// The scenarios of a request, and what a suite says about running them.
struct Chosen {
    title: Option<String>,
    rounds: Option<NonZeroU32>,
    scenarios: Vec<Scenario>,
}

impl Request {
    /// Checks everything and makes the plan.
    pub fn prepare(&self) -> Result<Prepared, Failure> {
        self.prepare_with(&Beyond::default())
    }

    /// The same with what a gate has beyond it.
    pub fn prepare_with(&self, beyond: &Beyond) -> Result<Prepared, Failure> {
        let overrides = self.overrides()?;
        let chosen = match (self.scenarios.as_slice(), self.suite.as_deref()) {
            ([], name) => self.suite(&suite_called(name), &overrides)?,
            (names, _) => named(names, &overrides)?,
        };
        let targets = Targets::parse(&self.targets, self.allow_remote)?;
        let layout = self.layout(&chosen.scenarios)?;
        let mut planned = targets.planned();
        if let Some(url) = &beyond.server_url {
            let target = own_target(&chosen.scenarios, &planned)?;
            let url = url(&target)?;
            planned.insert(target, PlannedServer::Arm { url });
        }
        let mut options = self.options(&chosen, layout.placement.clone(), planned);
        if !beyond.looks.is_empty() {
            options.rounds = beyond.looks.last().copied();
            options.looks = beyond.looks.clone();
        }
        let unnamed = |scenario: &Scenario| scenario.runtimes.is_none();
        if !beyond.runtimes.is_empty() && chosen.scenarios.iter().all(unnamed) {
            options.runtimes = options.runtimes.or(Some(beyond.runtimes.clone()));
        }
        let plan = plan(&chosen.scenarios, &options)
            .map_err(|error| Failure::usage(error.to_string()).hint(error.hint()))?;
        let warnings = layout.warning.into_iter().collect();
        Ok(Prepared {
            title: chosen.title,
            gates: chosen
                .scenarios
                .iter()
                .map(|scenario| (scenario.name.clone(), scenario.gate.clone()))
                .collect(),
            search: self.wanted(),
            plan,
            seed: self.seed,
            targets,
            warnings,
        })
    }

    /// How often blocks may be redone.
    pub fn redo(&self, plan: &Plan) -> Redo {
        match self.quick || self.no_redo {
            true => Redo::NEVER,
            false => Redo::of_blocks(plan.blocks.len()),
        }
    }

    fn overrides(&self) -> Result<Vec<Override>, Failure> {
        let parsed = self
            .overrides
            .iter()
            .map(|argument| Override::parse(argument));
        parsed
            .collect::<Result<_, _>>()
            .map_err(|wrong| diagnosed(&wrong))
    }

    /// The scenarios of a suite. What the user sets goes over what the suite sets, in each scenario that has the key.
    fn suite(&self, suite: &Suite, overrides: &[Override]) -> Result<Chosen, Failure> {
        let mut scenarios = Vec::new();
        let mut fits_somewhere = vec![false; overrides.len()];
        for entry in &suite.scenarios {
            let mut all = entry.overrides.clone();
            for (asked, fits_somewhere) in overrides.iter().zip(&mut fits_somewhere) {
                if in_scenario(&entry.name, std::slice::from_ref(asked)).is_ok() {
                    all.push(asked.clone());
                    *fits_somewhere = true;
                }
            }
            scenarios.push(in_scenario(&entry.name, &all)?);
        }
        let misfit = fits_somewhere.iter().position(|fits| !fits);
        if let (Some(index), Some(first)) = (misfit, suite.scenarios.first()) {
            in_scenario(&first.name, &overrides[index..=index])?;
        }
        Ok(Chosen {
            title: Some(suite.title.clone()),
            rounds: suite.rounds,
            scenarios,
        })
    }

    fn layout(&self, scenarios: &[Scenario]) -> Result<Layout, Failure> {
        let is_open = |scenario: &Scenario| scenario.load.open.is_some();
        let wish = Wish {
            pacer: self.rate.is_some() || self.find_max.is_some() || scenarios.iter().any(is_open),
            kind: self.placement.map(PlacementKind::from),
            cpus: self.cpus.clone(),
        };
        lay_out(&wish, &os::allowed_cpus())
    }

    fn options(
        &self,
        chosen: &Chosen,
        placement: Placement,
        targets: BTreeMap<String, PlannedServer>,
    ) -> PlanOptions {
        PlanOptions {
            suite: self.suite.clone(),
            runtimes: self.runtimes.clone(),
            concurrency: self.concurrency.clone(),
            rates: self.rate.clone(),
            arrivals: self
                .arrivals
                .map(Arrivals::from)
                .filter(|_| self.find_max.is_none()),
            lag_probe: self.lag_probe,
            search: self.find_max.is_some(),
            reference: self.reference.clone(),
            looks: self.looks(),
            duration: self.duration,
            rounds: match self.looks().last() {
                Some(most) => Some(*most),
                None => self.rounds.or(chosen.rounds.filter(|_| !self.quick)),
            },
            seed: self.seed,
            quick: self.quick,
            placement,
            targets,
        }
    }
}

impl Request {
    fn wanted(&self) -> Option<Wanted> {
        Some(Wanted {
            objective: self.find_max.clone()?,
            arrivals: self.arrivals.map(Arrivals::from).unwrap_or_default(),
        })
    }

    /// Options that a gate has no use for: its looks are planned, and its reference is the base.
    pub fn unfit_for_a_gate(&self) -> Option<&'static str> {
        [
            (self.rounds.is_some(), "--rounds"),
            (self.until_decided, "--until-decided"),
            (self.find_max.is_some(), "--find-max"),
            (self.reference.is_some(), "--reference"),
            (self.suite.is_some(), "--suite"),
        ]
        .into_iter()
        .find_map(|(given, name)| given.then_some(name))
    }

    /// What was asked for by name.
    pub fn names(&self) -> &[String] {
        &self.scenarios
    }

    /// The planned looks of a run that ends when everything is decided; none of any other.
    fn looks(&self) -> Vec<NonZeroU32> {
        if !self.until_decided {
            return Vec::new();
        }
        let most = self.max_rounds.unwrap_or(LOOKS[LOOKS.len() - 1]);
        let below = LOOKS.into_iter().filter(|look| *look < most);
        below.chain([most]).collect()
    }
}

/// The one target that the arms' own server stands behind.
fn own_target(
    scenarios: &[Scenario],
    taken: &BTreeMap<String, PlannedServer>,
) -> Result<String, Failure> {
    let all = scenarios.iter().flat_map(|scenario| scenario.about.targets);
    let mut free: Vec<&str> = all
        .copied()
        .filter(|target| !taken.contains_key(*target))
        .collect();
    free.sort_unstable();
    free.dedup();
    match free.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Failure::usage("the scenario talks to no server, so the arms cannot be two servers")
            .hint("compare two executables with --base-exe and --head-exe, or choose a scenario with a target")),
        several => Err(Failure::usage(format!(
            "it is not clear which of the targets {} the arms' servers are",
            several.join(", ")
        ))
        .hint("gate scenarios with the same target, or put something else behind the others with --target")),
    }
}

/// A scenario of the catalogue with these overrides.
fn in_scenario(name: &str, overrides: &[Override]) -> Result<Scenario, Failure> {
    let parsed = Scenario::parse(source(name)?, overrides, CHECKS);
    parsed.map_err(|wrong| diagnosed(&wrong))
}

/// What others own, and scenarios ask them about.
pub const CHECKS: Checks<'static> = Checks {
    server: &servers::check,
    gate: &check_gate,
};

fn check_gate(metric: &str, text: &str) -> Result<(), GateProblem> {
    match terms::parse(metric, text) {
        Ok(_) => Ok(()),
        Err(TermError::UnknownMetric { known, .. }) => Err(GateProblem::UnknownMetric { known }),
        Err(error) => Err(GateProblem::Text {
            message: error.to_string(),
        }),
    }
}

/// The suite of this name; without one, the tour.
fn suite_called(name: Option<&str>) -> Suite {
    let asked = name.and_then(suite::suite);
    asked.unwrap_or_else(suite::tour)
}

fn named(names: &[String], overrides: &[Override]) -> Result<Chosen, Failure> {
    let sources = names
        .iter()
        .map(|name| source(name))
        .collect::<Result<_, _>>()?;
    let scenarios = Scenario::parse_all(sources, overrides, CHECKS);
    let scenarios = scenarios.map_err(|wrong| diagnosed(&wrong))?;
    Ok(Chosen {
        title: None,
        rounds: None,
        scenarios,
    })
}

fn source(name: &str) -> Result<Source, Failure> {
    match locate(name) {
        Ok(Located::Catalogue(entry)) => Ok(entry.source()),
        Ok(Located::File(path)) => read(&path),
        Err(unknown) => Err(Failure::usage(unknown.to_string()).hint(unknown.hint())),
    }
}

fn read(path: &Path) -> Result<Source, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Source::of_file(path, text)),
        Err(error) => Err(Failure::usage(format!("cannot read the scenario {}", path.display()))
            .caused_by(error)
            .hint("`photofinish list` shows the scenarios that ship; a file of your own needs its path")),
    }
}

fn diagnosed(wrong: &Diagnostics) -> Failure {
    Failure::usage(wrong.render(output::stderr_has_colour()))
}
