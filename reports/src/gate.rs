//! The gate: whether the head may take the place of the base, recomputed from the raw rounds of a record.
//!
//! For each term and cell one [`Check`], decided by the rule in `gate/rule.rs`; over all of them one verdict. What was
//! measured wrongly, or on a machine that was busy with something else, is never a pass. A live gate asks the same
//! function after each planned look that a later, offline one asks of the whole record. What terms mean is in
//! `gate/terms.rs`; showing a report is the business of `terminal`, `page` and `formats`.

pub mod rule;
pub mod terms;

mod sides;

mod checks;
mod problems;
mod side;

mod advice;
mod overall;

use photofinish_record::load::Load;
use photofinish_record::machine::Machine;
use photofinish_record::{ArmSource, Record, Requirement, TextPlace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::sides::Sides;
use crate::describe;
use crate::metrics::Better;
use crate::verdict::Look;

/// Name and version of the gate report's format.
pub const GATE_SCHEMA: &str = "photofinish-gate/1";

/// What a gate came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateReport {
    /// Always [`GATE_SCHEMA`].
    pub schema: String,
    /// The id of the run that measured the head.
    pub id: String,
    /// Its start, RFC 3339, UTC.
    pub started_utc: String,
    /// Where it was measured.
    pub machine: Machine,
    /// What it came to.
    pub verdict: GateVerdict,
    /// Why, in one sentence.
    pub reason: String,
    /// What was there before.
    pub base: ArmSource,
    /// What is to take its place.
    pub head: ArmSource,
    /// Whether both were measured side by side; otherwise the numbers of the base are stored ones.
    pub paired: bool,
    /// Why the verdict is advice only, in one sentence; `null` where it is more.
    pub advisory: Option<String>,
    /// Blocks measured: pairs, where it is paired.
    pub blocks: usize,
    /// Which of the planned looks it ended with.
    pub look: Look,
    /// The slowdown that does not matter yet, as a share.
    pub floor: f64,
    /// Every term in every cell, the worst first.
    pub checks: Vec<Check>,
    /// What was measured wrongly, in one sentence each.
    pub problems: Vec<String>,
    /// What a reader must know before believing a number.
    pub warnings: Vec<String>,
}

/// What a gate came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GateVerdict {
    /// Every term holds: slowdowns of the limits are ruled out.
    Pass,
    /// At least one term is broken for certain.
    Regression,
    /// Nothing is broken for certain, and not everything holds for certain.
    Inconclusive,
    /// The machine was too busy to tell.
    Unfit,
    /// Measured, but wrong: errors, broken expectations, or arms that answer differently.
    Wrong,
}

impl GateVerdict {
    /// Its name: `pass`, `regression`, `inconclusive`, `unfit`, `wrong`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Regression => "regression",
            Self::Inconclusive => "inconclusive",
            Self::Unfit => "unfit",
            Self::Wrong => "wrong",
        }
    }
}

/// A term in a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the runtime.
    pub runtime: String,
    /// The load.
    pub load: Load,
    /// The metric, with its unit; `errors` for the share of failed operations.
    pub metric: String,
    /// The metric's unit; empty of a share.
    pub unit: String,
    /// What must hold of it.
    pub requirement: Requirement,
    /// The same as it was written.
    pub text: String,
    /// Where it was written.
    pub place: Option<TextPlace>,
    /// What came of it.
    pub verdict: CheckVerdict,
    /// Why it is undecided, or what else to know, in one sentence.
    pub reason: Option<String>,
    /// The median over the base's rounds, in the metric's unit.
    pub base: Option<f64>,
    /// The median over the head's rounds.
    pub head: Option<f64>,
    /// By what share the head is worse, 0.1 being 10 % slower; below 0 it is better. `null` of an objective.
    pub slowdown: Option<Interval>,
    /// The head's own value, of an objective.
    pub value: Option<Interval>,
    /// Pairs of rounds, or rounds of the head, that the decision rests on.
    pub samples: usize,
}

/// What came of a term in a cell.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CheckVerdict {
    /// It is broken for certain.
    Regression,
    /// Neither can be said.
    Inconclusive,
    /// It holds for certain.
    Pass,
}

impl CheckVerdict {
    /// Its name: `regression`, `inconclusive`, `pass`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Inconclusive => "inconclusive",
            Self::Pass => "pass",
        }
    }
}

/// An estimate between the two bounds that a decision rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Hodges–Lehmann estimate of a slowdown; the median of a value.
    pub estimate: f64,
    /// One-sided lower bound: with the error rate of failing at one look.
    pub low: f64,
    /// One-sided upper bound: with the error rate of passing at one look.
    pub high: f64,
}

/// Why no gate can be made of records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// A record of something else.
    #[error("the record {id} is of no gate: its cells have no arms")]
    NoGate {
        /// The record's id.
        id: String,
    },
}

impl GateReport {
    /// Recomputes a gate from the rounds of its record.
    pub fn of(record: &Record) -> Result<Self, GateError> {
        let gate = record.plan.gate.as_ref().ok_or_else(|| GateError::NoGate {
            id: record.id.clone(),
        })?;
        Ok(Sides::within(record).report(gate))
    }

    /// Holds the head of `record` against stored rounds: those of `base`, measured before.
    pub fn against(base: &Record, record: &Record) -> Result<Self, GateError> {
        let gate = record.plan.gate.as_ref().ok_or_else(|| GateError::NoGate {
            id: record.id.clone(),
        })?;
        Ok(Sides::across(base, record).report(gate))
    }

    /// Whether more rounds could change nothing: a term is broken for certain, or all of them are decided.
    pub fn is_decided(&self) -> bool {
        let any = |verdict| self.checks.iter().any(|check| check.verdict == verdict);
        !self.problems.is_empty()
            || any(CheckVerdict::Regression)
            || (!self.checks.is_empty() && !any(CheckVerdict::Inconclusive))
    }
}

/// The JSON Schema of [`GateReport`].
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(GateReport).to_value()
}

/// A check's place and metric: `http-get / tokio (16 sessions): throughput`.
pub fn name_of_check(check: &Check) -> String {
    format!(
        "{} / {} ({}): {}",
        check.scenario,
        check.runtime,
        check.load,
        terms::short_name(&check.metric)
    )
}

/// A check in one line: where, what, and by how much.
pub fn describe_check(check: &Check) -> String {
    format!("{} {}", name_of_check(check), describe::gate_finding(check))
}

/// Which way the metric of a check is better; `None` of the share of errors.
pub fn better(check: &Check) -> Option<Better> {
    terms::find(&check.metric).map(|(_, better)| better)
}
