//! A request: the arguments shared by `run`, `plan` and `gate`, and the plan made from them.
//!
//! Scenarios are read and checked (`selection`), targets parsed and CPUs laid out (`planning`), all without running
//! anything; any error found here ends with exit code 2. `run::measuring` takes over from there.

use std::collections::BTreeMap;
use std::num::{IntErrorKind, NonZeroU32, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use photofinish_record::load::{Arrivals, RateHz};
use photofinish_record::{DefaultOption, PlacementKind, Plan};
use photofinish_reports::search::Objective;
use photofinish_scenarios::plan::Twin;
use photofinish_scenarios::scenario::{GateSpec, parse_length, parse_rate, parse_sessions};
use photofinish_scenarios::suite;

use crate::exit::Failure;
use crate::lanes::OwnLane;
use crate::request::expect::ExpectArguments;
use crate::request::placement::CpuList;
use crate::request::redo::RedoBudget;
use crate::request::shards::ShardRequest;
use crate::store::redaction;
use crate::targets::Targets;

pub mod expect;
pub mod limits;
pub mod placement;
pub mod redo;
pub mod shards;

mod planning;
mod selection;
mod twin;

pub use selection::CHECKS;

/// The default seed: the same command makes the same plan, with the same hash.
const DEFAULT_SEED: u64 = 1;

#[derive(Args)]
pub struct Request {
    /// Scenarios by name, or your own files ending in .toml [default: a short tour of HTTP, files and a database]
    #[arg(value_name = "SCENARIO|FILE.toml")]
    scenarios: Vec<String>,

    #[command(flatten)]
    what: WhatArguments,

    #[command(flatten)]
    length: LengthArguments,

    #[command(flatten)]
    place: PlaceArguments,

    #[command(flatten)]
    expect: ExpectArguments,
}

#[derive(Args)]
#[command(next_help_heading = "What to measure")]
struct WhatArguments {
    /// Measure a suite instead of single scenarios: where-async-pays, or all for the whole catalogue
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(suite::names()),
        conflicts_with = "scenarios"
    )]
    suite: Option<String>,

    /// Runtimes to compare; the first is the reference; `python`, `node` and `go` add lanes [default: all but floors]
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    runtimes: Option<Vec<String>>,

    /// Add the floor of each measured language, a minimal event loop, to show how far each runtime is from it
    /// (`epoll` for the built-in runtimes)
    #[arg(long)]
    with_floor: bool,

    /// Add the runtimes of a worker of your own, a program that speaks the worker protocol (docs/PROTOCOL.md)
    #[arg(long = "lane", value_name = "COMMAND")]
    lanes: Vec<OwnLane>,

    /// Number of concurrent sessions; several numbers make a sweep
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "N,N",
        value_parser = parse_sessions,
        allow_hyphen_values = true
    )]
    concurrency: Option<Vec<NonZeroU32>>,

    /// Open load with this many arrivals per second, response times counted from when each was due; several numbers make
    /// a sweep (20k is 20000)
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "R,R",
        value_parser = parse_rate,
        allow_hyphen_values = true
    )]
    rate: Option<Vec<RateHz>>,

    /// Spacing of the arrivals of an open load [default: the scenario's, or constant]
    #[arg(long, value_name = "KIND", value_parser = arrivals())]
    arrivals: Option<Arrivals>,

    /// Add a probe that measures the scheduling delay of each runtime
    #[arg(long)]
    lag_probe: bool,

    /// Runtime to compare the others with [default: the first]
    #[arg(long, value_name = "RUNTIME")]
    reference: Option<String>,

    /// Measure one runtime twice, the second time as RUNTIME-twin: an A/A comparison, to see how often equal cells are
    /// called different; with other parameters for the twin, such as tokio,work=11000, to see how often a difference is
    /// missed
    #[arg(
        long,
        value_name = "RUNTIME[,KEY=VALUE]",
        value_parser = twin::parse,
        hide_short_help = true
    )]
    twin: Option<Twin>,

    /// Override a key of the scenario or a parameter of its workload, such as unit=1s or params.size=4KiB; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,

    /// Measure an existing server instead of the embedded one: http=URL,
    /// db=postgres://USER:PASSWORD@HOST:PORT/DB (or PGPASSWORD), db=local for a throwaway PostgreSQL,
    /// ws=ws://HOST:PORT, http-status=URL of nginx's stub_status to compare its counts
    #[arg(long = "target", value_name = "NAME=URL")]
    targets: Vec<String>,

    /// Allow targets on other machines; load only servers that you have permission to load
    #[arg(long)]
    allow_remote: bool,

    /// Search for the highest rate that meets an objective, such as "response_p99 < 10ms", under each runtime
    #[arg(long, value_name = "OBJECTIVE", conflicts_with_all = ["rate", "rounds", "until_decided"])]
    find_max: Option<Objective>,
}

#[derive(Args)]
#[command(next_help_heading = "How long")]
struct LengthArguments {
    /// Rounds per runtime and load, each in a fresh process [default: 10, or the suite's]
    #[arg(long, value_name = "N", value_parser = parse_rounds, allow_hyphen_values = true)]
    rounds: Option<NonZeroU32>,

    /// Measure until every comparison is decided, checking after 10, 16, 24 and 40 rounds
    #[arg(long, conflicts_with_all = ["rounds", "quick"])]
    until_decided: bool,

    /// Maximum number of rounds with --until-decided
    #[arg(
        long,
        value_name = "N",
        requires = "until_decided",
        value_parser = parse_rounds,
        allow_hyphen_values = true
    )]
    max_rounds: Option<NonZeroU32>,

    /// Length of each round's measurement, such as 500ms or 10s [default: the scenario's]
    #[arg(long, value_name = "TIME", value_parser = parse_length, allow_hyphen_values = true)]
    duration: Option<Duration>,

    /// Few, short rounds, as a smoke test
    #[arg(long)]
    quick: bool,

    /// Keep disturbed rounds instead of redoing their block; --quick implies it
    #[arg(long)]
    no_redo: bool,

    /// Seed for the order of rounds, delays, keys and offsets
    #[arg(
        long,
        value_name = "N",
        default_value_t = DEFAULT_SEED,
        value_parser = parse_seed,
        allow_hyphen_values = true
    )]
    seed: u64,
}

#[derive(Args)]
#[command(next_help_heading = "Where")]
struct PlaceArguments {
    /// CPUs for the server and the worker [default: split if there are two or more CPUs, else same]
    #[arg(long, value_name = "KIND", value_parser = placements())]
    placement: Option<PlacementKind>,

    /// CPUs to use, such as 0,2-3 [default: all that this process may use]
    #[arg(long, value_name = "LIST")]
    cpus: Option<CpuList>,
}

/// Maximum number of rounds: a record holds all of them.
const MOST_ROUNDS: u32 = 1_000_000;

fn parse_rounds(text: &str) -> Result<NonZeroU32, String> {
    let number = text
        .trim()
        .parse()
        .ok()
        .filter(|number| *number <= MOST_ROUNDS);
    number
        .and_then(NonZeroU32::new)
        .ok_or_else(|| "expected a number of rounds from 1 to 1,000,000".to_owned())
}

fn parse_seed(text: &str) -> Result<u64, String> {
    let seed = text.trim().parse();
    seed.map_err(|_| "expected a whole number from 0 to 2^64 - 1".to_owned())
}

/// A number of a type without 0.
pub fn parse_positive<N: FromStr<Err = ParseIntError>>(text: &str) -> Result<N, String> {
    let number = text.trim().parse();
    number.map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => "expected a smaller number".to_owned(),
        _ => "expected a whole number from 1 up".to_owned(),
    })
}

fn placements() -> impl TypedValueParser<Value = PlacementKind> {
    named([
        (
            PlacementKind::Split,
            "split",
            "The first CPU for the server, the others for the worker",
        ),
        (PlacementKind::Same, "same", "One CPU for both"),
        (PlacementKind::Shared, "shared", "All CPUs for both"),
    ])
}

fn arrivals() -> impl TypedValueParser<Value = Arrivals> {
    named([
        (Arrivals::Constant, "constant", "Evenly spaced"),
        (
            Arrivals::Poisson,
            "poisson",
            "Random, as from many independent users",
        ),
        (Arrivals::Bursts, "bursts", "Together, every 10 ms"),
    ])
}

/// Parses one of these values by its name; each has a help text.
fn named<const N: usize, T>(
    values: [(T, &'static str, &'static str); N],
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let names = values.map(|(_, name, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(names).map(move |given| {
        let known = values.iter().find(|(_, name, _)| *name == given);
        known.expect("one of the possible values").0
    })
}

/// A run that is planned and checked, with nothing started yet.
pub struct PreparedRun {
    /// A title for people, if the run has one.
    pub title: Option<String>,
    /// The plan, in which the software of external servers is still unknown.
    pub plan: Plan,
    pub seed: u64,
    pub search: Option<SearchGoal>,
    /// External servers to start.
    pub targets: Targets,
    pub redos: RedoBudget,
    /// The share that this process runs; `None` for all of it.
    pub shard: Option<ShardRequest>,
    /// Options that were not on the command line.
    pub defaults: Vec<DefaultOption>,
    /// Reasons to doubt the numbers.
    pub warnings: Vec<String>,
    /// The `[gate]` tables, by scenario.
    pub gates: Vec<(String, GateSpec)>,
    /// The directories of the scenario files, by name of the scenario.
    pub directories: BTreeMap<String, PathBuf>,
}

impl PreparedRun {
    /// Removes secrets from everything that is printed and recorded.
    pub fn redact(&mut self) -> Result<(), Failure> {
        let unreadable = || Failure::could_not_run("the plan cannot be recorded");
        self.plan = redaction::all_texts(&self.plan, &redaction::text).ok_or_else(unreadable)?;
        for warning in &mut self.warnings {
            *warning = redaction::text(warning);
        }
        Ok(())
    }
}

/// The URL of a server behind the target of that name.
pub type ServerUrl = dyn Fn(&str) -> Result<String, Failure>;

/// Options that a command adds to its request.
#[derive(Default)]
pub struct Additions {
    /// The runtimes if neither the user nor the scenario names any; empty for all.
    pub runtimes: Vec<String>,
    /// The planned looks; empty for those of the request.
    pub looks: Vec<NonZeroU32>,
    /// The user's own server, started from its command.
    pub own_server: Option<OwnServer>,
    /// True for a gate, whose own limits replace thresholds.
    pub is_gate: bool,
}

/// The user's own server, behind the only target without one.
pub struct OwnServer {
    /// Its URL by target name, containing `{port}`.
    pub url: Box<ServerUrl>,
    /// The path that must answer with success before a round; `None` for that of the scenario, with any answer.
    pub ready: Option<String>,
}

/// The goal of a search for the highest rate.
#[derive(Clone, Debug)]
pub struct SearchGoal {
    pub objective: Objective,
    pub arrivals: Arrivals,
}

impl Request {
    /// The scenarios, as the user named them.
    pub fn names(&self) -> &[String] {
        &self.scenarios
    }

    /// True if targets on other machines may be loaded.
    pub fn allows_remote(&self) -> bool {
        self.what.allow_remote
    }

    /// True if the run ends as soon as a threshold is missed for good.
    pub fn fails_fast(&self) -> bool {
        self.expect.fail_fast
    }

    /// An option that was given but that a gate cannot take: its looks are planned, and its reference is the base.
    pub fn option_unfit_for_a_gate(&self) -> Option<&'static str> {
        [
            (self.length.rounds.is_some(), "--rounds"),
            (self.length.until_decided, "--until-decided"),
            (self.what.find_max.is_some(), "--find-max"),
            (self.what.reference.is_some(), "--reference"),
            (self.what.suite.is_some(), "--suite"),
            (self.what.twin.is_some(), "--twin"),
        ]
        .into_iter()
        .find_map(|(given, name)| given.then_some(name))
        .or_else(|| self.expect.given())
    }
}
