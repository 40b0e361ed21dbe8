//! A cell over its rounds: medians with their intervals, failures by kind, what became of arrivals.
//!
//! Each metric says itself how it is read from a round and how many samples it needs. Whether the cell's numbers may be
//! shown at all is decided in `judging`; comparisons with other cells are added later, in `comparisons`.

use std::collections::BTreeMap;

use photofinish_record::{Measured, Outcome, Record};

use super::judging::{judge, outcomes};
use super::{ArrivalCounts, CellSummary, ErrorKind, MetricSummary, Status};
use crate::metrics::{self, Metric};
use crate::rounds::{measured, scenario};
use crate::statistics::{self, CONFIDENCE};

pub(super) fn summarise(record: &Record, index: usize) -> CellSummary {
    let cell = &record.plan.cells[index];
    let scenario = scenario(record, &cell.scenario);
    let rounds: Vec<&Measured> = measured(record, index).map(|(_, round)| round).collect();
    let (status, reason) = match judge(record, index, &rounds) {
        Ok(()) => (Status::Ok, None),
        Err((status, reason)) => (status, Some(reason)),
    };
    let failed = |outcome: &&Outcome| matches!(outcome, Outcome::Failed { .. });
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
        rounds_failed: outcomes(record, index).filter(failed).count(),
        sessions: rounds.first().map(|round| round.worker.sessions),
        worker_threads: rounds.first().map(|round| round.worker.worker_threads),
        rate_held: arrivals.map(|arrivals| arrivals.rounds_not_held == 0),
        arrivals,
        errors_by_kind: errors_by_kind(&rounds),
        metrics: metrics_of(&rounds, status),
        comparisons: BTreeMap::new(),
    }
}

/// All metrics that can be known; of a cell whose numbers are not to be believed only the counts.
fn metrics_of(rounds: &[&Measured], status: Status) -> BTreeMap<String, MetricSummary> {
    metrics::all(rounds.iter().map(|round| &round.worker))
        .iter()
        .filter(|metric| status == Status::Ok || metric.counts_only)
        .filter_map(|metric| Some((metric.name.to_string(), over_rounds(metric, rounds)?)))
        .collect()
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
