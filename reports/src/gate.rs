//! The report of a gate: the verdict on whether the head may replace the base.
//!
//! The types here are the JSON document: one [`Check`] for each term and cell, and one verdict over all of them.
//! `gate/terms.rs` defines the meaning of terms, `report/gate.rs` decides them, and `describe` puts them into words.

pub mod terms;

use photofinish_record::load::Load;
use photofinish_record::machine::Machine;
use photofinish_record::{ArmSource, Requirement, SourceLocation};
use serde::{Deserialize, Serialize};

pub use crate::rule::CheckVerdict;
use crate::rule::Look;
use crate::statistics::Estimate;

/// Name and version of the gate report's format.
pub const GATE_SCHEMA: &str = "photofinish-gate/1";

/// The verdict of a gate with everything it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GateReport {
    /// Always [`GATE_SCHEMA`].
    pub schema: String,
    /// The id of the run that measured the head.
    pub id: String,
    /// Its start, RFC 3339, UTC.
    pub started_utc: String,
    pub machine: Machine,
    pub verdict: GateVerdict,
    /// The reason for the verdict, in one sentence.
    pub reason: String,
    pub base: ArmSource,
    pub head: ArmSource,
    /// True if both were measured side by side; otherwise the numbers of the base are stored ones.
    pub paired: bool,
    /// The reason why the verdict is advice only, in one sentence; `null` where it is more.
    pub advisory: Option<String>,
    /// Blocks measured: pairs, where it is paired.
    pub blocks: usize,
    pub look: Look,
    /// The slowdown that does not matter, as a share.
    #[serde(alias = "floor")]
    pub tolerance: f64,
    /// Every term in every cell, the worst first.
    pub checks: Vec<Check>,
    /// Wrong measurements, in one sentence each.
    pub problems: Vec<String>,
    /// Reasons to doubt the numbers.
    pub warnings: Vec<String>,
}

/// The verdict of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum GateVerdict {
    /// Every term certainly holds.
    Pass,
    /// At least one term is certainly broken.
    Regression,
    /// No term is certainly broken, and not all certainly hold.
    Inconclusive,
    /// The machine was too busy to tell.
    Unfit,
    /// Measured, but wrong: errors, broken expectations, or arms that answer differently.
    Wrong,
}

impl GateVerdict {
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    pub scenario: String,
    pub runtime: String,
    pub load: Load,
    /// The metric, with its unit; `errors` for the share of failed operations.
    pub metric: String,
    /// The metric's unit; empty of a share.
    pub unit: String,
    pub requirement: Requirement,
    /// The term as it was written.
    pub text: String,
    /// The line it was written on; `null` if it came from the command line.
    pub place: Option<SourceLocation>,
    pub verdict: CheckVerdict,
    /// The reason why it is undecided, or other information, in one sentence.
    pub reason: Option<String>,
    /// The median over the base's rounds, in the metric's unit.
    pub base: Option<f64>,
    /// The median over the head's rounds.
    pub head: Option<f64>,
    /// The share by which the head is worse, 0.1 being 10 % slower; below 0 it is better. `null` of an objective.
    pub slowdown: Option<Interval>,
    /// The head's own value, of an objective.
    pub value: Option<Interval>,
    /// Pairs of rounds, or rounds of the head, that the decision rests on.
    pub samples: usize,
}

/// An estimate between the two bounds that decide.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interval {
    /// Hodges–Lehmann estimate of a slowdown; the median of a value.
    pub estimate: f64,
    /// One-sided lower bound, with the error rate of failing at one look.
    pub low: f64,
    /// One-sided upper bound, with the error rate of passing at one look.
    pub high: f64,
}

impl Interval {
    pub(crate) fn new(estimate: Estimate) -> Self {
        Self {
            estimate: estimate.value,
            low: estimate.low,
            high: estimate.high,
        }
    }
}

/// A record that cannot be gated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record {id} is not of a gate: its cells have no arms")]
pub struct NotAGate {
    pub id: String,
}

impl GateReport {
    /// True if the verdicts of the checks can be trusted: not on a busy machine, nor if the arms did different work.
    pub(crate) fn checks_are_valid(&self) -> bool {
        !matches!(self.verdict, GateVerdict::Unfit | GateVerdict::Wrong)
    }
}

/// True if more rounds could not change the verdict: a term is certainly broken, or all are decided.
pub(crate) fn is_decided(problems: &[String], checks: &[Check]) -> bool {
    let any = |verdict| checks.iter().any(|check| check.verdict == verdict);
    !problems.is_empty()
        || any(CheckVerdict::Regression)
        || (!checks.is_empty() && !any(CheckVerdict::Inconclusive))
}
