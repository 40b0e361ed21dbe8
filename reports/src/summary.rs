//! The summary: one line of numbers per cell, over its rounds.
//!
//! What `run --format json` prints and what tables and charts draw from. Per metric the median over rounds with its
//! interval; per cell the comparisons with the reference runtime of its group. What was measured wrongly gets a reason
//! and no number. Here are the types, which are the JSON; `cell`, `judging` and `comparisons` below fill them. Next:
//! `metrics` for what is read, `verdict` for what a difference means, `checks` for the warnings.

use std::collections::BTreeMap;

use photofinish_record::load::Load;
use photofinish_record::machine::Machine;
use photofinish_record::{Arm, Completion, Placement, Record, Search, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checks;
use crate::rounds::blocks;
use crate::statistics::Estimate;
use crate::verdict::{self, Comparison, Look, Rule};

mod group;

mod cell;
mod comparisons;
mod judging;

pub use group::Group;

/// Name and version of the summary's format.
pub const SUMMARY_SCHEMA: &str = "photofinish-summary/1";

/// A run in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Always [`SUMMARY_SCHEMA`].
    pub schema: String,
    /// The run's id.
    pub id: String,
    /// Start of the run, RFC 3339, UTC.
    pub started_utc: String,
    /// What measured it.
    pub tool: Tool,
    /// The seed of every draw.
    pub seed: u64,
    /// SHA-256 of the plan, in hex.
    pub plan_hash: String,
    /// Where it was measured.
    pub machine: Machine,
    /// Whether the run came to its end.
    pub completion: Completion,
    /// Which CPUs server and worker ran on.
    pub placement: Placement,
    /// What a reader must know before believing a number: the record's own warnings, then what the rounds show.
    pub warnings: Vec<String>,
    /// How differences between runtimes became verdicts.
    pub rule: Rule,
    /// Which of the planned looks this is; `null` where the run was to measure all its blocks.
    pub look: Option<Look>,
    /// All cells, in the plan's order.
    pub cells: Vec<CellSummary>,
    /// What was found where the highest rate that meets an objective was looked for; the cells are then the steps of it.
    #[serde(default)]
    pub search: Option<Search>,
}

/// A cell in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellSummary {
    /// Name of the scenario.
    pub scenario: String,
    /// The scenario's class: `http`, `files`, `database`, ...
    pub class: String,
    /// The scenario in one line.
    pub title: String,
    /// Name of the runtime.
    pub runtime: String,
    /// How operations were asked for.
    pub load: Load,
    /// The side of a gate it is on.
    #[serde(default)]
    pub arm: Option<Arm>,
    /// Whether there are numbers to believe.
    pub status: Status,
    /// Why not, in one sentence; `null` where `status` is `ok`.
    pub reason: Option<String>,
    /// Rounds measured.
    pub rounds: usize,
    /// Rounds that failed, beside the measured ones.
    pub rounds_failed: usize,
    /// Sessions that ran; `null` where nothing was measured.
    pub sessions: Option<u32>,
    /// Worker threads the runtime was given; `null` where nothing was measured.
    pub worker_threads: Option<u32>,
    /// Whether every round held the rate of its open load; `null` of a closed one, and where nothing was measured.
    pub rate_held: Option<bool>,
    /// What became of the arrivals of an open load; `null` of a closed one, and where nothing was measured.
    #[serde(default)]
    pub arrivals: Option<ArrivalCounts>,
    /// Failed operations over all rounds, by kind.
    pub errors_by_kind: BTreeMap<String, ErrorKind>,
    /// Numbers over rounds, by metric; units close the names. Of an `invalid` cell only counts remain.
    pub metrics: BTreeMap<String, MetricSummary>,
    /// Against the reference runtime under the same scenario and load, by metric: the one that the plan names if it has
    /// numbers, else the first that has. Empty for that one itself, and of metrics with too few samples.
    pub comparisons: BTreeMap<String, Comparison>,
}

/// Whether a cell has numbers to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Measured.
    Ok,
    /// The runtime cannot do it honestly.
    Unsupported,
    /// Measured, but wrong: an identity mismatch, a violated expectation, or errors over the budget.
    Invalid,
    /// Not measured.
    Failed,
}

/// Failed operations of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorKind {
    /// How many, over all rounds.
    pub count: u64,
    /// The first one, in words.
    pub example: String,
}

/// What became of the arrivals of an open load, summed over all rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArrivalCounts {
    /// Arrivals in the schedules.
    pub scheduled: u64,
    /// Those that a session had begun with when their schedule ended.
    pub started_in_time: u64,
    /// Those begun with more than 1 ms after they were due.
    pub late: u64,
    /// Those that had begun and not ended when their round was ended.
    pub unfinished: u64,
    /// Those that no session had begun with when their round was ended.
    pub unsent: u64,
    /// Rounds that did not hold the rate.
    pub rounds_not_held: usize,
    /// Whether the pacer had a CPU to itself in every round.
    pub pacer_alone: bool,
}

/// A metric over rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Why to take the number as a hint only; `null` where it is sound.
    pub advisory: Option<String>,
    /// Whether the truth can only be greater: operations that had not ended count with the time they had waited.
    #[serde(default)]
    pub lower_bound: bool,
}

impl Summary {
    /// Summarises a record. Never fails: what does not fit together becomes a warning.
    pub fn of(record: &Record) -> Self {
        let cells = (0..record.plan.cells.len()).map(|index| cell::summarise(record, index));
        let warnings = record.warnings.iter().cloned();
        Self {
            schema: SUMMARY_SCHEMA.to_owned(),
            id: record.id.clone(),
            started_utc: record.started_utc.clone(),
            tool: record.tool.clone(),
            seed: record.seed,
            plan_hash: record.plan_hash.clone(),
            machine: record.machine.clone(),
            completion: record.completion.clone(),
            placement: record.plan.placement.clone(),
            warnings: warnings.chain(checks::warnings(record)).collect(),
            rule: Rule::of(&record.plan),
            look: verdict::look(&record.plan, blocks(record)),
            search: record.search.clone(),
            cells: comparisons::with_comparisons(record, cells.collect()),
        }
    }

    /// The cells by scenario and load, in the order of their first appearance.
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for cell in &self.cells {
            match groups.iter_mut().find(|group| group.holds(cell)) {
                Some(group) => group.cells.push(cell),
                None => groups.push(Group {
                    scenario: &cell.scenario,
                    load: cell.load,
                    arm: cell.arm,
                    cells: vec![cell],
                }),
            }
        }
        groups
    }
}

impl CellSummary {
    /// A metric by name; `None` where it could not be known.
    pub fn metric(&self, name: &str) -> Option<&MetricSummary> {
        self.metrics.get(name)
    }

    /// The runtime's name with its note, such as `async-std (discontinued)`.
    pub fn runtime_with_note(&self) -> String {
        match crate::runtimes::note(&self.runtime) {
            Some(note) => format!("{} ({note})", self.runtime),
            None => self.runtime.clone(),
        }
    }
}

impl MetricSummary {
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

/// The JSON Schema of [`Summary`].
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Summary).to_value()
}
