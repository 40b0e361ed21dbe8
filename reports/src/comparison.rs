//! Comparison of two cells by one metric, block by block.
//!
//! The rule decides (`rule`); this module adds what only cells know: the measuring loop's overhead, which widens the
//! margin, and operations that had not ended, which make a value a lower bound.

use crate::describe;
use crate::metrics::{Metric, Overhead};
use crate::rounds::Rounds;
use crate::rule::{Caveat, MARGIN, Rule, Verdict};
use crate::statistics;
use crate::summary::Comparison;

/// Two cells of the plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellPair {
    pub(crate) cell: usize,
    pub(crate) reference: usize,
}

/// Compares a cell with its reference; `None` if no block has the metric for both, or if a round of either has too few
/// samples for it.
pub(crate) fn compare(rounds: &Rounds<'_>, metric: &Metric, pair: CellPair) -> Option<Comparison> {
    let CellPair { cell, reference } = pair;
    let compared = metric.compared_under(rounds.plan.cells[cell].load)?;
    let short = |cell| rounds.too_few_samples(cell, metric).is_some();
    if short(cell) || short(reference) {
        return None;
    }
    let rule = Rule::of(rounds.plan);
    let overhead_share = overhead_share(rounds, metric, compared.overhead, pair);
    let rule = Rule {
        margin: rule.margin.max(overhead_share.unwrap_or(0.0)),
        ..rule
    };
    let samples = rounds.pairs(reference, cell, metric);
    let difference = rule.compare(&samples, compared.better)?;
    let lower_bounds = [cell, reference].map(|cell| rounds.is_lower_bound(cell, metric));
    let (verdict, caveat) = match difference.verdict {
        None => (
            None,
            Some(Caveat::TooFewPairs {
                needed: rule.fewest_pairs(),
                pairs: difference.samples,
            }),
        ),
        Some(verdict) if !survives(verdict, lower_bounds) => (None, Some(Caveat::LowerBound)),
        Some(Verdict::Tie) if rule.margin > MARGIN => (
            Some(Verdict::Tie),
            Some(Caveat::WithinOverhead(compared.overhead)),
        ),
        verdict => (verdict, None),
    };
    Some(Comparison {
        against: rounds.plan.cells[reference].runtime.clone(),
        ratio: difference.ratio,
        pairs: difference.samples,
        margin: rule.margin,
        verdict,
        smallest_callable: verdict.map(|_| rule.smallest_callable(difference.ratio)),
        reason: caveat.map(describe::caveat),
    })
}

/// True if a verdict holds although one side is a lower bound: its true value can only be worse.
fn survives(verdict: Verdict, [cell_is_bound, reference_is_bound]: [bool; 2]) -> bool {
    match (cell_is_bound, reference_is_bound) {
        (false, false) => true,
        (true, false) => verdict == Verdict::Slower,
        (false, true) => verdict == Verdict::Faster,
        (true, true) => false,
    }
}

/// The measuring loop's overhead as a share of the smaller of the two medians: |a − b| < loop is the same as max(a, b)
/// / min(a, b) < 1 + loop / min(a, b). The larger overhead of the two runtimes counts.
fn overhead_share(
    rounds: &Rounds<'_>,
    metric: &Metric,
    overhead: Overhead,
    pair: CellPair,
) -> Option<f64> {
    let cells = [pair.cell, pair.reference];
    let medians_ns = cells.map(|cell| {
        let values = rounds.values(cell, metric).into_iter();
        let values_ns: Vec<f64> = values.filter_map(|value| overhead.as_ns(value)).collect();
        statistics::median(&values_ns)
    });
    let loops_ns = cells.map(|cell| {
        let loops_ns: Vec<f64> = rounds
            .measured(cell)
            .filter_map(|round| overhead.of_loop_ns(round.worker.overhead.as_ref()?))
            .collect();
        statistics::median(&loops_ns)
    });
    let lesser_ns = medians_ns[0]?.min(medians_ns[1]?);
    let greater_ns = loops_ns.into_iter().flatten().reduce(f64::max)?;
    (lesser_ns > 0.0).then(|| greater_ns / lesser_ns)
}
