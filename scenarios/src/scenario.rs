//! Scenarios: a workload with parameters, servers, load and expectations, read from TOML and checked whole.
//!
//! [`Scenario::parse`] gives a scenario in which every name exists and every default is filled in, or all that is wrong
//! with the text, each flaw at its line. The format is in `scenario/format.rs`; `scenario/read.rs` does the reading. What
//! a run makes of scenarios is the business of `plan.rs`, and nothing here measures or starts anything.

mod document;
mod flaw;
mod format;
mod overrides;
mod quantity;
mod read;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtime::Capability;
use photofinish_harness::workload::About;
use photofinish_record::load::{Arrivals, RateHz, Stage, Stop};
use photofinish_record::{InFlight, TextPlace};
use serde_json::Value;

pub(crate) use self::document::Document;
pub(crate) use self::flaw::{Side, check_all, typed};
pub use self::format::schema;
pub use self::overrides::Override;
pub use self::quantity::{NotARateText, NotATime, parse_rate, parse_time};
use self::read::{Reading, read};
use crate::diagnostic::{Diagnostic, Diagnostics, Source};

/// A scenario, checked and complete.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name: the file's stem.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// The workload it runs.
    pub about: About,
    /// The workload's parameters, complete with defaults.
    pub params: Value,
    /// What the workload needs of a runtime with these parameters.
    pub needs: &'static [Capability],
    /// The length of one unit of delay.
    pub unit: Duration,
    /// The runtimes it is meant for, in order and each once; `None` for all.
    pub runtimes: Option<Vec<String>>,
    /// The mock behind each of the workload's targets, by target name; a target without one needs an external server.
    pub servers: BTreeMap<String, ServerSpec>,
    /// How operations are asked for, and for how long.
    pub load: LoadSpec,
    /// Whether a probe rides along that measures how late the runtime schedules it.
    pub lag_probe: bool,
    /// Failed operations allowed, as a share of all operations, 0..=1.
    pub error_budget: f64,
    /// How many requests its servers may have in flight; `None` where nothing is expected of it.
    pub in_flight: Option<InFlight>,
    /// What a gate asks of a new build.
    pub gate: GateSpec,
}

/// What a gate asks of a new build.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GateSpec {
    /// The slowdown that does not matter yet, as a share; `None` for what is usual.
    pub floor: Option<f64>,
    /// What is asked of which metric, in the order of the names.
    pub terms: Vec<GateText>,
    /// Where the scenario itself stands, for what is asked without being written there.
    pub place: Option<TextPlace>,
}

/// A text about a metric; what it means is known by whoever compares records.
#[derive(Clone, Debug, PartialEq)]
pub struct GateText {
    /// The metric's name as it was written.
    pub metric: String,
    /// What is asked of it.
    pub text: String,
    /// Where it stands; `None` of an override.
    pub place: Option<TextPlace>,
}

/// A mock server and its behaviour.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSpec {
    /// Which server: `http`, `wiremock`, `postgres`.
    pub kind: String,
    /// How it behaves; units of delay are resolved to times.
    pub behaviour: Value,
}

/// How operations are asked for, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSpec {
    /// Sessions at one time: the points of the sweep, in order and each once; there is at least one.
    pub concurrency: Vec<NonZeroU32>,
    /// When arrivals come; `None` under closed load.
    pub open: Option<OpenSpec>,
    /// The phase before the measurement.
    pub warmup: Stop,
    /// When the measurement ends; where there are stages, after the last of them.
    pub stop: Stop,
}

/// When the arrivals of an open load come.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenSpec {
    /// Arrivals per second: the points of the sweep, in order and each once; there is at least one.
    pub rates: Vec<RateHz>,
    /// How they are spread.
    pub arrivals: Arrivals,
    /// How the rate changes; empty where it stays.
    pub stages: Vec<Stage>,
}

/// Says whether a server of some kind could serve a behaviour; servers stand alone, so whoever knows them passes this in.
pub type CheckServer<'a> = &'a dyn Fn(&str, &Value) -> Result<(), ServerProblem>;

/// Says whether a text asks something of a metric; metrics are not known here, so whoever knows them passes this in.
pub type CheckGate<'a> = &'a dyn Fn(&str, &str) -> Result<(), GateProblem>;

/// The checks of what others own.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    /// Of servers' behaviours.
    pub server: CheckServer<'a>,
    /// Of what a gate asks.
    pub gate: CheckGate<'a>,
}

/// Why a text asks nothing of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateProblem {
    /// There is no such metric.
    UnknownMetric {
        /// The names there are.
        known: Vec<String>,
    },
    /// The text is at fault.
    Text {
        /// What is wrong with it, and what would be right.
        message: String,
    },
}

/// Why a server could not serve a behaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerProblem {
    /// Keys and positions from the behaviour's root to the part at fault; `["kind"]` if there is no server of that kind.
    pub path: Vec<String>,
    /// What is wrong with it; serde's words are understood and put into ours.
    pub message: String,
    /// The names that would have been right there: for an unknown kind, all kinds.
    pub expected: Vec<String>,
}

impl Scenario {
    /// Reads one scenario with overrides laid over it; an override it has no key for is an error.
    pub fn parse(
        source: Source,
        overrides: &[Override],
        checks: Checks<'_>,
    ) -> Result<Self, Diagnostics> {
        let mut all = Self::parse_all(vec![source], overrides, checks)?;
        Ok(all.pop().expect("one source gives one scenario"))
    }

    /// Reads several scenarios. An override applies to each of them that has its key; if none has, it is an error.
    pub fn parse_all(
        sources: Vec<Source>,
        overrides: &[Override],
        checks: Checks<'_>,
    ) -> Result<Vec<Self>, Diagnostics> {
        let read = |source| read(Arc::new(source), overrides, checks);
        let readings: Vec<_> = sources.into_iter().map(read).collect();
        let mut problems: Vec<_> = readings
            .iter()
            .flat_map(|reading| reading.problems.clone())
            .collect();
        let fitting_none = |index| misfit_of_all(&readings, index);
        problems.extend((0..overrides.len()).filter_map(fitting_none));
        if !problems.is_empty() {
            return Err(Diagnostics::new(problems));
        }
        let scenarios = readings.into_iter().map(|reading| reading.scenario);
        Ok(scenarios
            .map(|scenario| scenario.expect("no problems, no scenario"))
            .collect())
    }
}

/// What to say of an override that fits no scenario: where one of them has a guess at what was meant, that.
fn misfit_of_all(readings: &[Reading], index: usize) -> Option<Diagnostic> {
    let misfits = readings.iter().map(|reading| reading.misfits.get(&index));
    let misfits = misfits.collect::<Option<Vec<_>>>()?;
    let guesses = |misfit: &&&Diagnostic| misfit.label.is_some() && misfit.help.is_some();
    let best = misfits.iter().find(guesses).or(misfits.first())?;
    Some((*best).clone())
}
