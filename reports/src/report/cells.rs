//! The cells of a summary: medians with their intervals, failures by kind, arrivals, and comparisons with the reference.
//!
//! Each metric knows how to read it from a round and how many samples it needs; `validity` decides whether a cell has
//! numbers, `comparison` compares it.

use std::collections::BTreeMap;

use photofinish_record::{Completion, Measured, Outcome, RuntimeFamily};

use crate::comparison::{CellPair, compare};
use crate::describe;
use crate::metrics::{self, METRICS, Metric};
use crate::rounds::Rounds;
use crate::runtimes;
use crate::statistics::{self, CONFIDENCE};
use crate::summary::{
    ArrivalCounts, CellSummary, ErrorKind, HandshakeCounts, MetricSummary, PartSummary, Status,
};
use crate::validity::validate;

/// All cells, in the plan's order.
pub(super) fn summaries(rounds: &Rounds<'_>, completion: &Completion) -> Vec<CellSummary> {
    let indices = 0..rounds.plan.cells.len();
    let mut cells: Vec<CellSummary> = indices
        .map(|cell| summarise(rounds, completion, cell))
        .collect();
    for cell in 0..cells.len() {
        if let Some(reference) = reference(rounds, &cells, cell) {
            let pair = CellPair { cell, reference };
            let comparisons = METRICS.iter().filter_map(|metric| {
                Some((metric.name.to_string(), compare(rounds, metric, pair)?))
            });
            cells[cell].comparisons = comparisons.collect();
        }
    }
    cells
}

fn summarise(rounds: &Rounds<'_>, completion: &Completion, index: usize) -> CellSummary {
    let cell = &rounds.plan.cells[index];
    let scenario = rounds.scenario(&cell.scenario);
    let measured: Vec<&Measured> = rounds.measured(index).collect();
    let (status, reason) = match validate(rounds, completion, index) {
        Ok(()) => (Status::Ok, None),
        Err((status, reason)) => (status, Some(reason)),
    };
    let failed = rounds.of_cell(index).iter();
    let arrivals = arrivals(&measured);
    CellSummary {
        scenario: cell.scenario.clone(),
        class: scenario.map_or(String::new(), |scenario| scenario.class.clone()),
        title: scenario.map_or(String::new(), |scenario| scenario.title.clone()),
        runtime: cell.runtime.clone(),
        is_floor: runtimes::family(rounds.plan, &cell.runtime) == Some(RuntimeFamily::Floor),
        stack: runtimes::stack(rounds.plan, &cell.runtime),
        load: cell.load,
        arm: cell.arm,
        status,
        reason,
        rounds: measured.len(),
        rounds_failed: failed
            .filter(|round| matches!(round.outcome, Outcome::Failed { .. }))
            .count(),
        sessions: measured.first().map(|round| round.worker.sessions),
        worker_threads: measured.first().map(|round| round.worker.worker_threads),
        rate_held: arrivals.map(|arrivals| arrivals.rounds_not_held == 0),
        arrivals,
        handshakes: handshakes(&measured),
        errors_by_kind: errors_by_kind(&measured),
        parts: parts(rounds, index, status),
        metrics: summarised(
            rounds,
            index,
            status,
            metrics::all(measured.iter().map(|round| &round.worker)),
        ),
        comparisons: BTreeMap::new(),
    }
}

/// The metrics of a cell that have values.
fn summarised(
    rounds: &Rounds<'_>,
    cell: usize,
    status: Status,
    metrics: impl IntoIterator<Item = Metric>,
) -> BTreeMap<String, MetricSummary> {
    // For an invalid cell only the counts are meaningful.
    let meaningful = |metric: &Metric| status == Status::Ok || metric.counts_only;
    metrics
        .into_iter()
        .filter(meaningful)
        .filter_map(|metric| Some((metric.name.to_string(), over_rounds(rounds, cell, &metric)?)))
        .collect()
}

/// The parts of a cell's operations: counts summed, numbers over rounds.
fn parts(rounds: &Rounds<'_>, cell: usize, status: Status) -> Vec<PartSummary> {
    let mut parts: Vec<PartSummary> = Vec::new();
    for of_round in rounds.measured(cell).flat_map(|round| &round.worker.parts) {
        let known = parts.iter().position(|part| part.name == of_round.name);
        let index = known.unwrap_or_else(|| {
            parts.push(PartSummary {
                name: of_round.name.clone(),
                count: 0,
                failed: 0,
                share: 0.0,
                statuses: BTreeMap::new(),
                errors_by_kind: BTreeMap::new(),
                metrics: summarised(rounds, cell, status, metrics::of_part(&of_round.name)),
            });
            parts.len() - 1
        });
        let part = &mut parts[index];
        part.count = part.count.saturating_add(of_round.count());
        part.failed = part.failed.saturating_add(of_round.failed);
        add(&mut part.statuses, &of_round.statuses);
        add(&mut part.errors_by_kind, &of_round.failures);
    }
    let all: f64 = parts.iter().map(|part| part.count as f64).sum();
    for part in parts.iter_mut().filter(|_| all > 0.0) {
        part.share = part.count as f64 / all;
    }
    parts
}

fn add(sums: &mut BTreeMap<String, u64>, counts: &BTreeMap<String, u64>) {
    for (key, count) in counts {
        let sum = sums.entry(key.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
}

fn handshakes(rounds: &[&Measured]) -> Option<HandshakeCounts> {
    let mut sum = HandshakeCounts::default();
    for traffic in rounds
        .iter()
        .flat_map(|round| round.worker.traffic.values())
    {
        sum.full = sum.full.saturating_add(traffic.full_handshakes);
        sum.resumed = sum.resumed.saturating_add(traffic.resumed_handshakes);
    }
    (sum != HandshakeCounts::default()).then_some(sum)
}

fn errors_by_kind(rounds: &[&Measured]) -> BTreeMap<String, ErrorKind> {
    let mut kinds: BTreeMap<String, ErrorKind> = BTreeMap::new();
    for (kind, errors) in rounds.iter().flat_map(|round| &round.worker.errors) {
        let known = kinds.entry(kind.clone()).or_insert_with(|| ErrorKind {
            count: 0,
            example: errors.example.clone(),
        });
        known.count = known.count.saturating_add(errors.count);
    }
    kinds
}

fn arrivals(rounds: &[&Measured]) -> Option<ArrivalCounts> {
    let mut counts: Option<ArrivalCounts> = None;
    for open in rounds.iter().filter_map(|round| round.worker.open.as_ref()) {
        let sum = counts.get_or_insert(ArrivalCounts {
            pacer_alone: true,
            ..ArrivalCounts::default()
        });
        for (total, of_round) in [
            (&mut sum.scheduled, open.scheduled),
            (&mut sum.started_in_time, open.started_in_time),
            (&mut sum.late, open.late),
            (&mut sum.unfinished, open.unfinished),
            (&mut sum.unsent, open.unsent),
        ] {
            *total = total.saturating_add(of_round);
        }
        sum.rounds_not_held += usize::from(!open.rate_held);
        sum.pacer_alone &= open.pacer_alone;
    }
    counts
}

fn over_rounds(rounds: &Rounds<'_>, cell: usize, metric: &Metric) -> Option<MetricSummary> {
    let estimate = statistics::median_with_interval(&rounds.values(cell, metric), CONFIDENCE)?;
    let too_few = rounds.too_few_samples(cell, metric);
    let lower_bound = rounds.is_lower_bound(cell, metric);
    Some(MetricSummary {
        median: estimate.value,
        low: estimate.low,
        high: estimate.high,
        unit: metric.unit.to_owned(),
        confidence: estimate.confidence,
        lower_bound,
        too_few,
        advisory: match too_few {
            Some(samples) => Some(describe::too_few_samples(samples)),
            None => lower_bound.then(|| describe::UNFINISHED.to_owned()),
        },
    })
}

/// The cell with which a cell is compared: that of the plan's reference runtime if it has numbers, else the first cell
/// of the group that has. Runtimes of different stacks are not compared. `None` for that cell itself, and for a cell without numbers.
fn reference(rounds: &Rounds<'_>, cells: &[CellSummary], index: usize) -> Option<usize> {
    let cell = &cells[index];
    let comparable: Vec<usize> = (0..cells.len())
        .filter(|other| {
            let other = &cells[*other];
            other.status == Status::Ok
                && other.scenario == cell.scenario
                && other.load == cell.load
                && other.arm == cell.arm
                && other.stack == cell.stack
        })
        .collect();
    let named = |other: &&usize| rounds.plan.reference.as_ref() == Some(&cells[**other].runtime);
    let reference = *comparable.iter().find(named).or(comparable.first())?;
    (reference != index && cell.status == Status::Ok).then_some(reference)
}
