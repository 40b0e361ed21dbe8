//! Scenarios: a workload with parameters, servers, load and expectations, read from TOML and checked whole.
//!
//! [`Scenario::parse`] returns a scenario in which every name exists and every default is filled in, or every error in
//! the text, each at its line. The format is in `scenario/format.rs`; `scenario/read.rs` does the reading. Planning a
//! run is left to `plan.rs`; nothing here measures or starts anything.

mod document;
mod flaw;
mod format;
mod overrides;
mod read;
mod sections;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtime::Capability;
use photofinish_harness::workload::About;
use photofinish_record::load::{Arrivals, RateHz, Stage, Stop};
use photofinish_record::{InFlight, SourceLocation, TlsSettings};
use serde_json::Value;

pub(crate) use self::document::Document;
pub(crate) use self::flaw::{Side, check_all, typed};
pub use self::format::{override_keys, schema};
pub use self::overrides::Override;
use self::read::{Reading, read};
use crate::diagnostic::{Diagnostic, Diagnostics, Source};
pub use photofinish_workloads::quantity::{
    InvalidRate, InvalidTime, parse_length, parse_rate, parse_sessions, parse_time,
};

/// A name as a TOML key, quoted unless it is a bare key.
pub fn as_key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

/// A scenario, checked and complete.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's stem.
    pub name: String,
    pub title: String,
    /// The title if the user's own server, which may respond differently, replaces an embedded one.
    pub title_of_target: String,
    /// The workload it runs.
    pub about: About,
    /// The workload's parameters, complete with defaults.
    pub params: Value,
    pub paths: PathParams,
    /// Capabilities the workload needs with these parameters.
    pub needs: &'static [Capability],
    /// Writes that are the same in every round, by name.
    pub repeated_writes: Vec<String>,
    /// The length of one unit of delay.
    pub unit: Duration,
    /// The directory to which the files in the parameters are relative.
    pub directory: PathBuf,
    /// Runtimes to compare, in order and each once; `None` for all.
    pub runtimes: Option<Vec<String>>,
    /// The mock behind each of the workload's targets, by target name; a target without one needs an external server.
    pub servers: BTreeMap<String, ServerSpec>,
    /// TLS settings for the targets, if the file has some.
    pub tls: Option<TlsSettings>,
    pub load: LoadSpec,
    /// True if a lag probe runs alongside the sessions.
    pub lag_probe: bool,
    /// Failed operations allowed, as a share of all operations, 0..=1; `None` for the default.
    pub error_budget: Option<f64>,
    /// Limits on the metrics of a run.
    pub thresholds: Vec<ThresholdText>,
    /// Names of the parts of an operation.
    pub parts: Vec<String>,
    /// Expected number of requests in flight at its servers.
    pub in_flight: Option<InFlight>,
    pub gate: GateSpec,
}

/// Names of the parameters that are paths on a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathParams {
    /// Set in the user's file or with `--set`: valid for any measured server.
    pub named: Vec<String>,
    /// Left at the scenario's own value, which only the embedded server knows.
    pub defaults: Vec<String>,
    /// True for a catalogue scenario with requests of its own, which only the embedded server knows.
    pub requests: bool,
}

/// The conditions a new build has to meet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GateSpec {
    /// The slowdown up to which no regression is reported, as a share; `None` for the default.
    pub tolerance: Option<f64>,
    /// Conditions, by name of the metric.
    pub terms: Vec<GateText>,
    /// Names of the parts of an operation.
    pub parts: Vec<String>,
    /// The scenario's own line, for conditions that it does not contain.
    pub place: Option<SourceLocation>,
}

/// A condition as it was written; `reports` interprets it.
#[derive(Clone, Debug, PartialEq)]
pub struct GateText {
    pub metric: String,
    pub text: String,
    /// `None` for an override.
    pub place: Option<SourceLocation>,
}

/// A limit on a metric of a run, or of a part of its operations, as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdText {
    /// Name of the part; `None` for the whole operation.
    pub part: Option<String>,
    pub metric: String,
    pub text: String,
    /// `None` for an override.
    pub place: Option<SourceLocation>,
}

/// A mock server and its behaviour.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSpec {
    /// `http`, `wiremock`, `postgres`, …
    pub kind: String,
    /// The server's settings, with units of delay resolved to times.
    pub behaviour: Value,
}

/// The load of each round.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSpec {
    /// Numbers of concurrent sessions: the points of the sweep, in order, each once, at least one.
    pub concurrency: Vec<NonZeroU32>,
    /// The schedule of arrivals; `None` under closed load.
    pub open: Option<OpenSpec>,
    pub warmup: Stop,
    /// Stop rule of the measurement; if there are stages, their total length.
    pub stop: Stop,
}

/// The arrivals of an open load.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenSpec {
    /// Arrivals per second: the points of the sweep, in order, each once, at least one.
    pub rates: Vec<RateHz>,
    pub arrivals: Arrivals,
    /// Changes of the rate; empty if it is constant.
    pub stages: Vec<Stage>,
}

/// Checks a behaviour for a kind of server. The servers are another crate, so the caller passes the check in.
pub type CheckServer<'a> = &'a dyn Fn(&str, &Value) -> Result<(), ServerProblem>;

/// Kind of server for a target if the file names none; `None` if it needs the user's own server.
pub type DefaultServer<'a> = &'a dyn Fn(&str) -> Option<&'static str>;

/// Checks a gate's condition for a metric. Metrics are known to `reports`, so the caller passes the check in.
pub type CheckGate<'a> = &'a dyn Fn(&str, &str) -> Result<(), GateProblem>;

/// Checks a threshold's text for a metric; the flag is true for a metric of a part of the operation.
pub type CheckThreshold<'a> = &'a dyn Fn(&str, &str, bool) -> Result<(), GateProblem>;

/// Checks and defaults of the parts that other crates interpret.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    pub server: CheckServer<'a>,
    pub default_server: DefaultServer<'a>,
    pub gate: CheckGate<'a>,
    pub threshold: CheckThreshold<'a>,
}

/// An error in a condition of a gate or in a threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateProblem {
    UnknownMetric { known: Vec<String> },
    Text { message: String },
}

/// An error in a server's behaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerProblem {
    /// Keys and positions from the behaviour's root to the faulty part; `["kind"]` if there is no server of that kind.
    pub path: Vec<String>,
    /// One of serde's messages, which is reworded, or any other.
    pub message: String,
    /// Valid names at `path`: for an unknown kind, all kinds.
    pub expected: Vec<String>,
}

impl Scenario {
    /// Reads one scenario and applies the overrides; an override without a matching key is an error.
    pub fn parse(
        source: Source,
        overrides: &[Override],
        checks: Checks<'_>,
    ) -> Result<Self, Diagnostics> {
        let mut all = Self::parse_all(vec![source], overrides, checks)?;
        Ok(all.pop().expect("one source gives one scenario"))
    }

    /// Reads several scenarios. An override applies to every scenario with its key; an error if there is none.
    pub fn parse_all(
        sources: Vec<Source>,
        overrides: &[Override],
        checks: Checks<'_>,
    ) -> Result<Vec<Self>, Diagnostics> {
        let readings: Vec<Reading> = sources
            .into_iter()
            .map(|source| read(Arc::new(source), overrides, checks))
            .collect();
        let problems: Vec<Diagnostic> = readings
            .iter()
            .flat_map(|reading| reading.problems.clone())
            .chain((0..overrides.len()).filter_map(|index| common_misfit(&readings, index)))
            .collect();
        if !problems.is_empty() {
            return Err(Diagnostics::new(problems));
        }
        Ok(readings
            .into_iter()
            .map(|reading| reading.scenario.expect("no problems, no scenario"))
            .collect())
    }
}

/// The diagnostic of an override that matches no scenario; prefers one with a suggestion.
fn common_misfit(readings: &[Reading], index: usize) -> Option<Diagnostic> {
    let misfits: Vec<&Diagnostic> = readings
        .iter()
        .map(|reading| reading.misfits.get(&index))
        .collect::<Option<_>>()?;
    misfits
        .iter()
        .find(|misfit| misfit.label.is_some() && misfit.help.is_some())
        .or(misfits.first())
        .map(|misfit| (*misfit).clone())
}
