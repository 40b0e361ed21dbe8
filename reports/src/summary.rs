//! The summary of a run: one line of numbers per cell, over its rounds.
//!
//! This is the output of `run --format json` and the input of tables and charts. For each metric it has the median over
//! rounds with its interval; for each cell, the comparisons with the reference runtime of its group. A wrong
//! measurement gets a reason and no number. The types here are the JSON; `report` computes the numbers.

use std::collections::BTreeMap;

use photofinish_record::load::Load;
use photofinish_record::machine::Machine;
use photofinish_record::{Arm, Completion, Placement, Search, Tool};
use serde::{Deserialize, Serialize};

use crate::metrics::SampleCount;
use crate::rule::{Look, Rule, Verdict};
use crate::statistics::{CONFIDENCE, Estimate};
use crate::thresholds::check::ThresholdCheck;

mod group;
mod part;

pub use group::Group;
pub use part::PartSummary;

/// Name and version of the summary's format.
pub const SUMMARY_SCHEMA: &str = "photofinish-summary/1";

/// A run in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// Always [`SUMMARY_SCHEMA`].
    pub schema: String,
    pub id: String,
    /// Start of the run, RFC 3339, UTC.
    pub started_utc: String,
    pub tool: Tool,
    /// The seed of every draw.
    pub seed: u64,
    /// SHA-256 of the plan, in hex.
    pub plan_hash: String,
    pub machine: Machine,
    pub completion: Completion,
    pub placement: Placement,
    /// Reasons to doubt the numbers: the record's own warnings, then those that the rounds give.
    pub warnings: Vec<String>,
    /// The rule by which differences between runtimes became verdicts.
    pub rule: VerdictRule,
    /// Position among the planned looks; `null` where the run was to measure all its blocks.
    pub look: Option<Look>,
    /// All cells, in the plan's order.
    pub cells: Vec<CellSummary>,
    /// The search for the highest rate that meets an objective; the cells are then its steps.
    #[serde(default)]
    pub search: Option<Search>,
    /// Each threshold of the run in each cell of its scenario.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdCheck>,
}

/// A cell in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CellSummary {
    pub scenario: String,
    /// The scenario's class: `http`, `files`, `database`, ...
    pub class: String,
    /// The scenario in one line.
    pub title: String,
    pub runtime: String,
    /// True if the runtime is a floor: in comparisons, but never ranked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_floor: bool,
    /// Language and libraries, of a runtime in another language; runtimes are compared within their stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    pub load: Load,
    /// The side of a gate it is on.
    #[serde(default)]
    pub arm: Option<Arm>,
    pub status: Status,
    /// The reason for any status but `ok`, in one sentence.
    pub reason: Option<String>,
    /// Rounds measured.
    pub rounds: usize,
    /// Rounds that failed, in addition to the measured ones.
    pub rounds_failed: usize,
    /// Sessions that ran; `null` where nothing was measured.
    pub sessions: Option<u32>,
    /// Worker threads the runtime was given; `null` where nothing was measured.
    pub worker_threads: Option<u32>,
    /// True if every round held the rate of its open load; `null` of a closed one, and where nothing was measured.
    pub rate_held: Option<bool>,
    /// Arrivals of an open load; `null` of a closed one, and where nothing was measured.
    #[serde(default)]
    pub arrivals: Option<ArrivalCounts>,
    /// TLS handshakes over all rounds, set-up and warm-up included; left out if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshakes: Option<HandshakeCounts>,
    /// Failed operations over all rounds, by kind.
    pub errors_by_kind: BTreeMap<String, ErrorKind>,
    /// Named parts of the operations, in the workload's order; left out if it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartSummary>,
    /// Numbers over rounds, by metric; units close the names. Of an `invalid` cell only counts remain.
    pub metrics: BTreeMap<String, MetricSummary>,
    /// Comparisons with the reference runtime under the same scenario and load, by metric: the runtime that the plan
    /// names if it has numbers, else the first that has. None for that one itself, and of metrics with too few samples.
    pub comparisons: BTreeMap<String, Comparison>,
}

/// The rule of the verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerdictRule {
    /// The difference that does not matter, as a share: 0.02 is 2 %.
    #[serde(alias = "floor")]
    pub margin: f64,
    /// Upper bound on the rate at which one comparison of equals is called `faster` or `slower` at one look, 0..=1.
    pub alpha: f64,
}

impl From<&Rule> for VerdictRule {
    fn from(rule: &Rule) -> Self {
        Self {
            margin: rule.margin,
            alpha: rule.alpha(),
        }
    }
}

/// Comparison of a runtime with the reference by one metric, from pairs within blocks: the Hodges–Lehmann estimate over
/// the blocks' log-ratios with its signed-rank interval. Above 1 this cell's number is the greater.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Comparison {
    /// The reference runtime.
    pub against: String,
    #[serde(flatten)]
    pub ratio: Estimate,
    /// Blocks with both of the pair.
    pub pairs: usize,
    /// The difference up to which it is a tie, as a share: 0.02 is 2 %.
    #[serde(alias = "floor")]
    pub margin: f64,
    /// `null` where no verdict is attainable, with the reason.
    pub verdict: Option<Verdict>,
    /// The smallest difference that this run could have called, as a share: a ratio at least that far from 1 in the
    /// same direction, with an interval of this shape, would have been `faster` or `slower`. (1 + margin) · median /
    /// low − 1 above 1, (1 + margin) · high / median − 1 below. `null` where no verdict is attainable.
    pub smallest_callable: Option<f64>,
    /// The reason for no verdict, or for a tie within the measuring loop's own time.
    pub reason: Option<String>,
}

/// The validity of a cell's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Ok,
    /// The runtime cannot run it honestly.
    Unsupported,
    /// Measured, but wrong: an identity mismatch, a violated expectation, or errors over the budget.
    Invalid,
    /// Not measured.
    Failed,
}

/// TLS handshakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HandshakeCounts {
    pub full: u64,
    /// Those that resumed an earlier session.
    pub resumed: u64,
}

/// Failed operations of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorKind {
    /// Number over all rounds.
    pub count: u64,
    /// The first one, in words.
    pub example: String,
}

/// Arrivals of an open load, summed over all rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArrivalCounts {
    /// Arrivals in the schedules.
    pub scheduled: u64,
    /// Arrivals started before their schedule ended.
    pub started_in_time: u64,
    /// Arrivals started more than 1 ms after they were due.
    pub late: u64,
    /// Arrivals started but not ended when their round was stopped.
    pub unfinished: u64,
    /// Arrivals not started when their round was stopped.
    pub unsent: u64,
    /// Rounds that did not hold the rate.
    pub rounds_not_held: usize,
    /// True if the pacer had a CPU to itself in every round.
    pub pacer_alone: bool,
}

/// A metric over rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MetricSummary {
    /// The median over rounds.
    pub median: f64,
    /// Lower bound of the median's interval.
    pub low: f64,
    /// Upper bound of the median's interval.
    pub high: f64,
    /// `ops/s`, `ns`, `ns/op`, `switches/op`, `bytes`, ...; empty of a plain number.
    pub unit: String,
    /// The interval's confidence, 0..=1; less than 0.95 where there were fewer than six rounds, 0 for a single one.
    pub confidence: f64,
    /// The reason to take the number as a hint only; `null` where it is sound.
    pub advisory: Option<String>,
    /// True if the true value can only be greater: unfinished operations count with the time they had waited, and
    /// times beyond 60 s count as 60 s.
    #[serde(default)]
    pub lower_bound: bool,
    /// Number of operations in the smallest round, if too few for this percentile.
    #[serde(default)]
    pub too_few: Option<SampleCount>,
}

impl Summary {
    /// The cells by scenario and load, in the order of their first appearance.
    pub fn groups(&self) -> Vec<Group<'_>> {
        groups(&self.cells)
    }
}

/// Cells by scenario, load and stack, in the order of their first appearance.
pub(crate) fn groups(cells: &[CellSummary]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for cell in cells {
        let same = |group: &&mut Group<'_>| {
            group.scenario == cell.scenario
                && group.load == cell.load
                && group.arm == cell.arm
                && group.stack == cell.stack.as_deref()
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.cells.push(cell),
            None => groups.push(Group {
                scenario: &cell.scenario,
                load: cell.load,
                arm: cell.arm,
                stack: cell.stack.as_deref(),
                cells: vec![cell],
            }),
        }
    }
    groups
}

impl CellSummary {
    /// A metric by name; `None` if unknown.
    pub fn metric(&self, name: &str) -> Option<&MetricSummary> {
        self.metrics.get(name)
    }
}

impl MetricSummary {
    /// The bounds of its interval; `None` if there are too few rounds for [`CONFIDENCE`], which readers expect.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        // Rounding may push an attainable confidence just below the limit.
        (self.confidence >= CONFIDENCE - 1e-9).then_some((self.low, self.high))
    }

    /// The median and its interval as an estimate.
    pub fn estimate(&self) -> Estimate {
        Estimate {
            value: self.median,
            low: self.low,
            high: self.high,
            confidence: self.confidence,
        }
    }
}
