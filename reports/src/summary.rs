//! The summary: one line of numbers per cell, over its rounds.
//!
//! What `run --format json` prints and what tables and charts draw from. Per metric the median over rounds with its
//! interval; per cell a ratio of throughput to the first runtime, from pairs within blocks. Metrics are one list,
//! [`METRICS`]: a new one is a line there. What was measured wrongly gets a reason here and no number. No verdicts.
//! Next: `statistics` for the intervals, `checks` for the warnings.

use std::collections::BTreeMap;

use photofinish_harness::latency::Latencies;
use photofinish_harness::load::Load;
use photofinish_harness::machine::Machine;
use photofinish_harness::record::{
    Completion, Measured, Measurement, Outcome, Placement, PlannedScenario, Record, Tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checks;
use crate::statistics::{self, CONFIDENCE, Estimate};
use crate::validity;

/// Name and version of the summary's format.
pub const SUMMARY_SCHEMA: &str = "photofinish-summary/1";

/// The metric that runtimes are ranked and compared by.
pub const THROUGHPUT: &str = "throughput_ops_s";

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
    /// All cells, in the plan's order.
    pub cells: Vec<CellSummary>,
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
    /// Failed operations over all rounds, by kind.
    pub errors_by_kind: BTreeMap<String, ErrorKind>,
    /// Numbers over rounds, by metric; units close the names. Of an `invalid` cell only counts remain.
    pub metrics: BTreeMap<String, MetricSummary>,
    /// Against the first runtime of the same scenario and load that was measured; `null` for that one itself.
    pub ratio: Option<Ratio>,
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

/// A metric over rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricSummary {
    /// The median over rounds.
    pub median: f64,
    /// Lower bound of the median's interval.
    pub low: f64,
    /// Upper bound of the median's interval.
    pub high: f64,
    /// `ops/s`, `ns`, `ns/op`, `switches/op`, `bytes`, `threads`, `ops`, `errors`.
    pub unit: String,
    /// The interval's confidence, 0..=1; less than 0.95 where there were fewer than six rounds, 0 for a single one.
    pub confidence: f64,
    /// Why to take the number as a hint only; `null` where it is sound.
    pub advisory: Option<String>,
}

/// How a runtime compares with another, from pairs within blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ratio {
    /// The metric compared.
    pub metric: String,
    /// The runtime it is compared with.
    pub against: String,
    /// Hodges–Lehmann estimate over the blocks' log-ratios; above 1 this cell's number is the greater.
    pub median: f64,
    /// Lower bound, exact signed-rank.
    pub low: f64,
    /// Upper bound, exact signed-rank.
    pub high: f64,
    /// The interval's confidence, 0..=1.
    pub confidence: f64,
    /// Blocks with both of the pair.
    pub pairs: usize,
}

/// The cells of one scenario under one load: those that may be compared.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Name of the scenario.
    pub scenario: &'a str,
    /// The load.
    pub load: Load,
    /// The cells, in the plan's order.
    pub cells: Vec<&'a CellSummary>,
}

/// How a metric is read from one measured round.
pub struct Metric {
    /// Its name, closed by the unit.
    pub name: &'static str,
    /// The unit on its own.
    pub unit: &'static str,
    /// The value in one round; `None` where it cannot be known.
    pub read: fn(&Measurement) -> Option<f64>,
    /// Successes a round needs for the value to be sound.
    needs_ops: u64,
    /// Whether it still means something when the round's content was wrong.
    counts_only: bool,
}

/// Every metric of a cell under closed load.
pub const METRICS: &[Metric] = &[
    metric(THROUGHPUT, "ops/s", |round| Some(round.throughput_ops_s)),
    // Twice ten samples around a median; a hundred beyond any higher percentile.
    service("service_p50_ns", 20, |round| quantile(round, 0.5)),
    service("service_p90_ns", 1_000, |round| quantile(round, 0.9)),
    service("service_p99_ns", 10_000, |round| quantile(round, 0.99)),
    service("service_p999_ns", 100_000, |round| quantile(round, 0.999)),
    metric("cpu_ns_per_op", "ns/op", |round| {
        per_op(round, sum(round.cost.cpu_user_ns, round.cost.cpu_system_ns))
    }),
    metric("context_switches_per_op", "switches/op", |round| {
        per_op(
            round,
            sum(
                round.cost.voluntary_switches,
                round.cost.involuntary_switches,
            ),
        )
    }),
    metric("peak_rss_bytes", "bytes", |round| {
        round.cost.peak_rss_bytes.map(|bytes| bytes as f64)
    }),
    metric("threads", "threads", |round| {
        round.cost.threads.map(|threads| threads as f64)
    }),
    count("ops", "ops", |round| Some(round.ops as f64)),
    count("errors", "errors", |round| Some(failures(round) as f64)),
];

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
            cells: with_ratios(
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
            match groups
                .iter_mut()
                .find(|group| group.scenario == cell.scenario && group.load == cell.load)
            {
                Some(group) => group.cells.push(cell),
                None => groups.push(Group {
                    scenario: &cell.scenario,
                    load: cell.load,
                    cells: vec![cell],
                }),
            }
        }
        groups
    }
}

impl<'a> Group<'a> {
    /// The cells with numbers, the highest throughput first.
    pub fn ranked(&self) -> Vec<&'a CellSummary> {
        let mut ranked: Vec<&CellSummary> = self
            .cells
            .iter()
            .copied()
            .filter(|cell| cell.status == Status::Ok)
            .collect();
        let throughput =
            |cell: &CellSummary| cell.metric(THROUGHPUT).map_or(0.0, |metric| metric.median);
        ranked.sort_by(|a, b| throughput(b).total_cmp(&throughput(a)));
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

    /// The runtime that ratios are against; `None` where no other was measured.
    pub fn baseline(&self) -> Option<&'a str> {
        self.cells
            .iter()
            .find_map(|cell| Some(cell.ratio.as_ref()?.against.as_str()))
    }

    /// The most rounds any cell was measured in.
    pub fn rounds(&self) -> usize {
        self.cells.iter().map(|cell| cell.rounds).max().unwrap_or(0)
    }

    /// What can be said of the highest throughput without a verdict.
    pub fn lead(&self) -> Lead<'a> {
        let ranked = self.ranked();
        let (first, second) = match ranked.as_slice() {
            [] => return Lead::Nothing,
            [first] => return Lead::Alone { first },
            [first, second, ..] => (*first, *second),
        };
        let rounds = first.rounds.min(second.rounds);
        match first.metric(THROUGHPUT).zip(second.metric(THROUGHPUT)) {
            Some(_) if rounds < FEWEST_ROUNDS => Lead::TooFewRounds { first, rounds },
            Some((a, b)) if a.estimate().is_apart_from(&b.estimate()) => {
                Lead::Apart { first, second }
            }
            _ => Lead::Unclear { first, second },
        }
    }
}

/// With fewer rounds an interval's confidence is 50 % or less, and its ends mean nothing.
const FEWEST_ROUNDS: usize = 3;

/// What can be said of the highest throughput in a group.
#[derive(Clone, Copy, Debug)]
pub enum Lead<'a> {
    /// The interval of the first lies wholly above that of the second.
    Apart {
        /// Highest throughput.
        first: &'a CellSummary,
        /// The next.
        second: &'a CellSummary,
    },
    /// The intervals of the first two overlap.
    Unclear {
        /// Highest median.
        first: &'a CellSummary,
        /// The next.
        second: &'a CellSummary,
    },
    /// Too few rounds for intervals.
    TooFewRounds {
        /// Highest median.
        first: &'a CellSummary,
        /// The fewer of the first two's.
        rounds: usize,
    },
    /// Only one runtime has numbers.
    Alone {
        /// That one.
        first: &'a CellSummary,
    },
    /// No runtime has numbers.
    Nothing,
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

/// The measured rounds of a cell with their blocks, in the order in which they ran.
pub(crate) fn measured(record: &Record, cell: usize) -> impl Iterator<Item = (usize, &Measured)> {
    record
        .rounds
        .iter()
        .filter(move |round| round.cell == cell)
        .filter_map(|round| match &round.outcome {
            Outcome::Ok(measured) => Some((round.block, &**measured)),
            _ => None,
        })
}

/// The scenario of that name in the plan.
pub(crate) fn scenario<'a>(record: &'a Record, name: &str) -> Option<&'a PlannedScenario> {
    record
        .plan
        .scenarios
        .iter()
        .find(|scenario| scenario.name == name)
}

/// Failed operations of a round, of all kinds.
pub(crate) fn failures(round: &Measurement) -> u64 {
    round.errors.values().map(|failures| failures.count).sum()
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
        status,
        reason,
        rounds: rounds.len(),
        rounds_failed: outcomes(record, index)
            .filter(|outcome| failed(outcome))
            .count(),
        sessions: rounds.first().map(|round| round.worker.sessions),
        worker_threads: rounds.first().map(|round| round.worker.worker_threads),
        errors_by_kind: errors_by_kind(&rounds),
        metrics: METRICS
            .iter()
            .filter(|metric| status == Status::Ok || metric.counts_only)
            .filter_map(|metric| Some((metric.name.to_owned(), over_rounds(metric, &rounds)?)))
            .collect(),
        ratio: None,
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
    record
        .rounds
        .iter()
        .filter(move |round| round.cell == cell)
        .map(|round| &round.outcome)
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

fn over_rounds(metric: &Metric, rounds: &[&Measured]) -> Option<MetricSummary> {
    let read = |round: &&Measured| (metric.read)(&round.worker).filter(|value| value.is_finite());
    let values: Vec<f64> = rounds.iter().filter_map(read).collect();
    let estimate = statistics::median_with_interval(&values, CONFIDENCE)?;
    Some(MetricSummary {
        median: estimate.value,
        low: estimate.low,
        high: estimate.high,
        unit: metric.unit.to_owned(),
        confidence: estimate.confidence,
        advisory: advisory(metric, rounds),
    })
}

fn advisory(metric: &Metric, rounds: &[&Measured]) -> Option<String> {
    let fewest = rounds
        .iter()
        .map(|round| round.worker.service.count())
        .min()?;
    (fewest < metric.needs_ops).then(|| {
        format!(
            "needs {} operations in a round; the smallest round had {fewest}",
            metric.needs_ops
        )
    })
}

/// Adds to each cell its ratio to the first one of its group that has numbers.
fn with_ratios(record: &Record, mut cells: Vec<CellSummary>) -> Vec<CellSummary> {
    for index in 0..cells.len() {
        let comparable = |other: &CellSummary| {
            other.status == Status::Ok
                && other.scenario == cells[index].scenario
                && other.load == cells[index].load
        };
        let first = cells.iter().position(comparable);
        let Some(first) =
            first.filter(|first| *first != index && cells[index].status == Status::Ok)
        else {
            continue;
        };
        cells[index].ratio = ratio(record, index, first);
    }
    cells
}

/// The throughput of one cell against another, paired by block; of a block measured twice the later round counts.
pub(crate) fn ratio(record: &Record, cell: usize, against: usize) -> Option<Ratio> {
    let by_block = |cell| -> BTreeMap<usize, f64> {
        measured(record, cell)
            .map(|(block, round)| (block, round.worker.throughput_ops_s))
            .collect()
    };
    let bases = by_block(against);
    let pairs: Vec<(f64, f64)> = by_block(cell)
        .into_iter()
        .filter_map(|(block, throughput)| Some((throughput, *bases.get(&block)?)))
        .collect();
    let estimate = statistics::paired_ratio(&pairs, CONFIDENCE)?;
    Some(Ratio {
        metric: THROUGHPUT.to_owned(),
        against: record.plan.cells[against].runtime.clone(),
        median: estimate.value,
        low: estimate.low,
        high: estimate.high,
        confidence: estimate.confidence,
        pairs: pairs.len(),
    })
}

type Read = fn(&Measurement) -> Option<f64>;

const fn metric(name: &'static str, unit: &'static str, read: Read) -> Metric {
    Metric {
        name,
        unit,
        read,
        needs_ops: 0,
        counts_only: false,
    }
}

const fn service(name: &'static str, needs_ops: u64, read: Read) -> Metric {
    Metric {
        name,
        unit: "ns",
        read,
        needs_ops,
        counts_only: false,
    }
}

const fn count(name: &'static str, unit: &'static str, read: Read) -> Metric {
    Metric {
        name,
        unit,
        read,
        needs_ops: 0,
        counts_only: true,
    }
}

fn quantile(round: &Measurement, quantile: f64) -> Option<f64> {
    round.service.quantile_ns(quantile).map(|ns| ns as f64)
}

/// Failed operations cost too, and are operations.
fn per_op(round: &Measurement, total: Option<u64>) -> Option<f64> {
    let ops = round.ops + failures(round);
    (ops > 0).then_some(total? as f64 / ops as f64)
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a?.saturating_add(b?))
}

/// The service times of all rounds of a cell in one histogram: for display only, never for inference.
pub(crate) fn merged_service(record: &Record, cell: usize) -> Latencies {
    let mut merged = Latencies::new();
    measured(record, cell).for_each(|(_, round)| merged.merge(&round.worker.service));
    merged
}
