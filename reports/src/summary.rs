//! The summary: one line of numbers per cell, over its rounds.
//!
//! What `run --format json` prints and what tables and charts draw from. Per metric the median over rounds with its
//! interval; per cell the comparisons with the reference runtime of its group. What was measured wrongly gets a reason
//! here and no number. Next: `metrics` for what is read, `verdict` for what a difference means, `checks` for the warnings.

use std::collections::BTreeMap;

use photofinish_harness::load::Load;
use photofinish_harness::machine::Machine;
use photofinish_harness::record::{
    Arm, Completion, Measured, Measurement, Outcome, Placement, Record, Search, Tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checks;
use crate::metrics::{self, Metric, RESPONSE_P50, RESPONSE_P99, THROUGHPUT};
use crate::rounds::{blocks, failures, measured, of_cell, scenario};
use crate::statistics::{self, CONFIDENCE, Estimate};
use crate::validity;
use crate::verdict::{self, Comparison, Look, Pair, Rule};

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

/// The cells of one scenario under one load: those that may be compared.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Name of the scenario.
    pub scenario: &'a str,
    /// The load.
    pub load: Load,
    /// The side of a gate it is; runtimes are compared within one.
    pub arm: Option<Arm>,
    /// The cells, in the plan's order.
    pub cells: Vec<&'a CellSummary>,
}

impl Summary {
    /// Summarises a record. Never fails: what does not fit together becomes a warning.
    pub fn of(record: &Record) -> Self {
        let warnings = record
            .warnings
            .iter()
            .cloned()
            .chain(checks::warnings(record))
            .collect();
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
            warnings,
            rule: Rule::of(&record.plan),
            look: verdict::look(&record.plan, blocks(record)),
            search: record.search.clone(),
            cells: with_comparisons(
                record,
                (0..record.plan.cells.len())
                    .map(|cell| summarise(record, cell))
                    .collect(),
            ),
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

impl<'a> Group<'a> {
    fn holds(&self, cell: &CellSummary) -> bool {
        self.scenario == cell.scenario && self.load == cell.load && self.arm == cell.arm
    }

    /// The metric that its cells are ranked by, and that its verdicts are told by: throughput under closed load, response
    /// under open load, at the 99th percentile where every round has the samples for it.
    pub fn headline(&self) -> &'static str {
        let too_few = |cell: &&CellSummary| {
            cell.metric(RESPONSE_P99)
                .is_some_and(|metric| metric.advisory.is_some() && !metric.lower_bound)
        };
        match self.load {
            Load::Closed { .. } => THROUGHPUT,
            Load::Open { .. } if self.cells.iter().any(too_few) => RESPONSE_P50,
            Load::Open { .. } => RESPONSE_P99,
        }
    }

    /// The cells with numbers, the best by the headline's metric first.
    pub fn ranked(&self) -> Vec<&'a CellSummary> {
        let mut ranked: Vec<&CellSummary> = self
            .cells
            .iter()
            .copied()
            .filter(|cell| cell.status == Status::Ok)
            .collect();
        let headline = self.headline();
        let worth = |cell: &CellSummary| match (cell.metric(headline), self.load) {
            (None, _) => f64::NEG_INFINITY,
            (Some(metric), Load::Closed { .. }) => metric.median,
            (Some(metric), Load::Open { .. }) => -metric.median,
        };
        ranked.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
        ranked
    }

    /// The cells without numbers, in the plan's order.
    pub fn unranked(&self) -> Vec<&'a CellSummary> {
        self.cells
            .iter()
            .copied()
            .filter(|cell| cell.status != Status::Ok)
            .collect()
    }

    /// The runtime that the others are compared with by the headline's metric; `None` where there is no other.
    pub fn baseline(&self) -> Option<&'a str> {
        self.comparisons()
            .map(|(_, comparison)| comparison.against.as_str())
            .next()
    }

    /// The comparisons by the headline's metric, with the cells they are about, the best first.
    pub fn comparisons(&self) -> impl Iterator<Item = (&'a CellSummary, &'a Comparison)> + use<'a> {
        let headline = self.headline();
        self.ranked()
            .into_iter()
            .filter_map(move |cell| Some((cell, cell.comparisons.get(headline)?)))
    }

    /// Whether any of these comparisons has a verdict.
    pub fn has_verdicts(&self) -> bool {
        self.comparisons()
            .any(|(_, comparison)| comparison.verdict.is_some())
    }

    /// The most rounds any cell was measured in.
    pub fn rounds(&self) -> usize {
        self.cells.iter().map(|cell| cell.rounds).max().unwrap_or(0)
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

fn summarise(record: &Record, index: usize) -> CellSummary {
    let cell = &record.plan.cells[index];
    let scenario = scenario(record, &cell.scenario);
    let rounds: Vec<&Measured> = measured(record, index).map(|(_, round)| round).collect();
    let verdict = judge(record, index, &rounds);
    let (status, reason) = verdict.map_or_else(
        |(status, reason)| (status, Some(reason)),
        |()| (Status::Ok, None),
    );
    let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed { .. });
    let arrivals = arrivals(&rounds);
    CellSummary {
        scenario: cell.scenario.clone(),
        class: scenario
            .map(|scenario| scenario.class.clone())
            .unwrap_or_default(),
        title: scenario
            .map(|scenario| scenario.title.clone())
            .unwrap_or_default(),
        runtime: cell.runtime.clone(),
        load: cell.load,
        arm: cell.arm,
        status,
        reason,
        rounds: rounds.len(),
        rounds_failed: outcomes(record, index)
            .filter(|outcome| failed(outcome))
            .count(),
        sessions: rounds.first().map(|round| round.worker.sessions),
        worker_threads: rounds.first().map(|round| round.worker.worker_threads),
        rate_held: arrivals.map(|arrivals| arrivals.rounds_not_held == 0),
        arrivals,
        errors_by_kind: errors_by_kind(&rounds),
        metrics: metrics::all(rounds.iter().map(|round| &round.worker))
            .iter()
            .filter(|metric| status == Status::Ok || metric.counts_only)
            .filter_map(|metric| Some((metric.name.to_string(), over_rounds(metric, &rounds)?)))
            .collect(),
        comparisons: BTreeMap::new(),
    }
}

/// Whether the cell's numbers may be believed, and why not.
fn judge(record: &Record, index: usize, rounds: &[&Measured]) -> Result<(), (Status, String)> {
    if let Some(reason) = &record.plan.cells[index].unsupported {
        return Err((Status::Unsupported, reason.clone()));
    }
    if rounds.is_empty() {
        return Err(not_measured(record, index));
    }
    let budget = scenario(record, &record.plan.cells[index].scenario)
        .map_or(0.0, |scenario| scenario.error_budget);
    let wrong: Vec<String> = rounds
        .iter()
        .flat_map(|round| what_is_wrong(round, budget))
        .collect();
    match wrong.split_first() {
        None => Ok(()),
        Some((first, [])) => Err((Status::Invalid, first.clone())),
        Some((first, rest)) => Err((
            Status::Invalid,
            format!("{first} (and {} more)", rest.len()),
        )),
    }
}

/// Why a cell that was planned has no measured round.
fn not_measured(record: &Record, index: usize) -> (Status, String) {
    let reason = |outcome: &Outcome| match outcome {
        Outcome::Unsupported { reason } => Some((Status::Unsupported, reason.clone())),
        Outcome::Failed { reason } => Some((Status::Failed, reason.clone())),
        Outcome::Ok(_) => None,
    };
    let before = match &record.completion {
        Completion::Complete => "no round of it was planned",
        Completion::Interrupted => "the run was interrupted before its first round",
        Completion::Failed { .. } => "the run ended before its first round",
    };
    outcomes(record, index)
        .find_map(reason)
        .unwrap_or((Status::Failed, before.to_owned()))
}

fn outcomes(record: &Record, cell: usize) -> impl Iterator<Item = &Outcome> {
    of_cell(record, cell).map(|round| &round.outcome)
}

/// Mismatches, violations and errors over the budget of one round.
fn what_is_wrong(round: &Measured, error_budget: f64) -> Vec<String> {
    let stated = round
        .mismatches
        .iter()
        .chain(&round.worker.violations)
        .cloned();
    let failures = failures(&round.worker);
    let all = round.worker.ops + failures;
    let share = failures as f64 / all.max(1) as f64;
    let over = (share > error_budget).then(|| over_budget(&round.worker, share, error_budget));
    let nothing = (all == 0).then(|| "not one operation ended in the measured phase".to_owned());
    let stated = stated.chain(validity::out_of_ports(round));
    stated.chain(over).chain(nothing).collect()
}

fn over_budget(round: &Measurement, share: f64, budget: f64) -> String {
    let kinds: Vec<String> = round
        .errors
        .iter()
        .map(|(kind, errors)| format!("{} {kind}", errors.count))
        .collect();
    format!(
        "{}% of the operations failed where {}% may: {}",
        trimmed(100.0 * share),
        trimmed(100.0 * budget),
        kinds.join(", ")
    )
}

/// Two digits after the point at most, and none that say nothing.
fn trimmed(percent: f64) -> String {
    let text = format!("{percent:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn errors_by_kind(rounds: &[&Measured]) -> BTreeMap<String, ErrorKind> {
    let mut kinds: BTreeMap<String, ErrorKind> = BTreeMap::new();
    for (kind, errors) in rounds.iter().flat_map(|round| &round.worker.errors) {
        kinds
            .entry(kind.clone())
            .and_modify(|known| known.count += errors.count)
            .or_insert_with(|| ErrorKind {
                count: errors.count,
                example: errors.example.clone(),
            });
    }
    kinds
}

fn arrivals(rounds: &[&Measured]) -> Option<ArrivalCounts> {
    let open = rounds.iter().filter_map(|round| round.worker.open.as_ref());
    let counts = open.map(|open| ArrivalCounts {
        scheduled: open.scheduled,
        started_in_time: open.started_in_time,
        late: open.late,
        unfinished: open.unfinished,
        unsent: open.unsent,
        rounds_not_held: usize::from(!open.rate_held),
        pacer_alone: open.pacer_alone,
    });
    counts.reduce(|sum, one| ArrivalCounts {
        scheduled: sum.scheduled + one.scheduled,
        started_in_time: sum.started_in_time + one.started_in_time,
        late: sum.late + one.late,
        unfinished: sum.unfinished + one.unfinished,
        unsent: sum.unsent + one.unsent,
        rounds_not_held: sum.rounds_not_held + one.rounds_not_held,
        pacer_alone: sum.pacer_alone && one.pacer_alone,
    })
}

fn over_rounds(metric: &Metric, rounds: &[&Measured]) -> Option<MetricSummary> {
    let values: Vec<f64> = rounds
        .iter()
        .filter_map(|round| metric.read(&round.worker))
        .collect();
    let estimate = statistics::median_with_interval(&values, CONFIDENCE)?;
    let too_few = too_few_samples(metric, rounds);
    let lower_bound = rounds
        .iter()
        .any(|round| metric.is_lower_bound(&round.worker));
    let unfinished =
        "a lower bound: operations that had not ended count as long as they had waited";
    Some(MetricSummary {
        median: estimate.value,
        low: estimate.low,
        high: estimate.high,
        unit: metric.unit.to_owned(),
        confidence: estimate.confidence,
        lower_bound: lower_bound && too_few.is_none(),
        advisory: too_few.or(lower_bound.then(|| unfinished.to_owned())),
    })
}

fn too_few_samples(metric: &Metric, rounds: &[&Measured]) -> Option<String> {
    let samples = rounds
        .iter()
        .filter_map(|round| metric.samples(&round.worker));
    let fewest = samples.min_by_key(|samples| samples.there)?;
    (fewest.there < fewest.needed).then(|| {
        format!(
            "needs {} operations in a round; the smallest round had {}",
            fewest.needed, fewest.there
        )
    })
}

/// Adds to each cell its comparisons with the reference of its group.
fn with_comparisons(record: &Record, mut cells: Vec<CellSummary>) -> Vec<CellSummary> {
    for index in 0..cells.len() {
        let Some(against) = reference(record, &cells, index) else {
            continue;
        };
        let pair = Pair {
            cell: index,
            against,
        };
        let comparisons = metrics::METRICS.iter().filter_map(|metric| {
            let comparison = verdict::compare(record, metric, pair)?;
            Some((metric.name.to_string(), comparison))
        });
        cells[index].comparisons = comparisons.collect();
    }
    cells
}

/// The cell that a cell is compared with: that of the plan's reference runtime if it has numbers, else the first of the
/// group that has. `None` for that one itself, and for a cell without numbers.
fn reference(record: &Record, cells: &[CellSummary], index: usize) -> Option<usize> {
    let comparable = |other: &&usize| {
        let (other, cell) = (&cells[**other], &cells[index]);
        other.status == Status::Ok
            && other.scenario == cell.scenario
            && other.load == cell.load
            && other.arm == cell.arm
    };
    let all: Vec<usize> = (0..cells.len()).collect();
    let named = |other: &&usize| record.plan.reference.as_ref() == Some(&cells[**other].runtime);
    let mut group = all.iter().filter(comparable);
    let first = group.clone().next();
    let against = *group.find(named).or(first)?;
    (against != index && cells[index].status == Status::Ok).then_some(against)
}
