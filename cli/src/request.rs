//! What to measure: the arguments that `run` and `plan` share, and the plan they amount to.
//!
//! Here are the arguments and what comes of them. Scenarios are read and checked (`request/chosen.rs`), targets parsed and
//! CPUs laid out (`request/planning.rs`), all without running anything; whatever is wrong here ends with exit code 2.
//! Standing the targets up and running the plan is the business of `commands::run`.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use photofinish_record::load::{Arrivals, RateHz};
use photofinish_record::{PlacementKind, Plan};
use photofinish_reports::search::Objective;
use photofinish_scenarios::scenario::{GateSpec, parse_rate, parse_time};
use photofinish_scenarios::suite;

use crate::exit::Failure;
use crate::request::placement::CpuList;
use crate::run::orchestrate::Redo;
use crate::targets::Targets;

pub mod limits;
pub mod placement;
mod planning;

mod chosen;

pub use chosen::CHECKS;

/// The seed where none is given: the same command makes the same plan, with the same hash.
const DEFAULT_SEED: u64 = 1;

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

impl Request {
    /// How often blocks may be redone.
    pub fn redo(&self, plan: &Plan) -> Redo {
        match self.quick || self.no_redo {
            true => Redo::NEVER,
            false => Redo::of_blocks(plan.blocks.len()),
        }
    }

    /// What was asked for by name.
    pub fn names(&self) -> &[String] {
        &self.scenarios
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
}
