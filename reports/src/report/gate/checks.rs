//! Checks: a term in one cell, from its samples to a verdict with a reason.
//!
//! The rule decides by numbers; this module adds the validity of a decision if a value has too few operations behind
//! it, or can only be worse than it looks. The share of failed operations needs no rule.

use photofinish_record::{GateTerm, Measurement, Requirement};

use super::{Pair, Side};
use crate::conditions;
use crate::describe;
use crate::gate::{Check, Interval};
use crate::metrics::{self, Metric, part_and_metric};
use crate::rule::{Caveat, CheckVerdict, Decision, Rule, Samples};
use crate::statistics;

pub(super) fn check(term: &GateTerm, rule: &Rule, pair: &Pair<'_>) -> Check {
    let found = conditions::find(&term.metric);
    let metric = found.as_ref().map(|(metric, better)| (&**metric, *better));
    let base = pair.base.as_ref();
    let blank = blank(term, base.ok().copied(), Some(pair.head));
    let is_share = matches!(term.requirement, Requirement::Errors { .. });
    if is_share || conditions::errors_name(&term.metric).is_some() {
        return errors(pair.head, term.requirement, blank);
    }
    let Some((metric, better)) = metric else {
        return undecided(blank, format!("there is no metric `{}`", term.metric));
    };
    match (term.requirement, base) {
        (Requirement::Errors { .. }, _) => blank,
        (Requirement::Slowdown { .. }, Err(reason)) => undecided(blank, reason.clone()),
        (Requirement::Slowdown { limit }, Ok(&base)) => {
            let decision = rule.slowdown(&samples(pair, base, metric), better, limit);
            let ratio = decision.bounds.map(|bounds| bounds.estimate);
            let check = Check {
                slowdown: ratio.map(|ratio| Interval::new(ratio.map(|ratio| ratio - 1.0))),
                ..blank
            };
            conclude(check, decision, rule, metric, [Some(base), Some(pair.head)])
        }
        (Requirement::Below { value } | Requirement::Above { value }, _) => {
            let decision = rule.objective(&by_block(pair.head, metric), value, better);
            let check = Check {
                value: decision.bounds.map(|bounds| Interval::new(bounds.estimate)),
                ..blank
            };
            conclude(check, decision, rule, metric, [None, Some(pair.head)])
        }
    }
}

/// The check of a cell that only the base has.
pub(super) fn lost(term: &GateTerm, base: Side<'_>) -> Check {
    undecided(
        blank(term, Some(base), None),
        "the head has no matching cell".to_owned(),
    )
}

/// A check before its decision, of a cell that at least one side has.
fn blank(term: &GateTerm, base: Option<Side<'_>>, head: Option<Side<'_>>) -> Check {
    let found = conditions::find(&term.metric);
    let metric = found.as_ref().map(|(metric, _)| &**metric);
    let cell = head.or(base).expect("one side has the cell").planned();
    let median = |side: Side<'_>| statistics::median(&side.rounds.values(side.cell, metric?));
    Check {
        scenario: cell.scenario.clone(),
        runtime: cell.runtime.clone(),
        load: cell.load,
        metric: term.metric.clone(),
        unit: metric.map_or(String::new(), |metric| metric.unit.to_owned()),
        requirement: term.requirement,
        text: term.text.clone(),
        place: term.place.clone(),
        verdict: CheckVerdict::Inconclusive,
        reason: None,
        base: base.and_then(median),
        head: head.and_then(median),
        slowdown: None,
        value: None,
        samples: 0,
    }
}

fn by_block(side: Side<'_>, metric: &Metric) -> Vec<Option<f64>> {
    side.rounds.by_block(side.cell, metric)
}

fn samples(pair: &Pair<'_>, base: Side<'_>, metric: &Metric) -> Samples {
    if pair.paired {
        return pair.head.rounds.pairs(base.cell, pair.head.cell, metric);
    }
    Samples::Apart {
        base: base.rounds.values(base.cell, metric),
        head: by_block(pair.head, metric),
    }
}

/// The share of operations that failed, or of runs of the part in the metric's name: exact, without bounds.
fn errors(head: Side<'_>, requirement: Requirement, blank: Check) -> Check {
    let rounds = || head.rounds.measured(head.cell).map(|round| &round.worker);
    let (part, _) = part_and_metric(&blank.metric);
    let sum = |count: fn(&OutcomeCounts) -> u64| {
        let counts = rounds().filter_map(|round| OutcomeCounts::of(round, part));
        counts
            .map(|ended| count(&ended))
            .fold(0, u64::saturating_add)
    };
    let failed = sum(|ended| ended.failed);
    let all = sum(|ended| ended.succeeded).saturating_add(failed);
    let what = part.map_or("operations".to_owned(), |part| format!("runs of `{part}`"));
    if all == 0 {
        return undecided(blank, format!("the head completed 0 {what}"));
    }
    let share = failed as f64 / all as f64;
    Check {
        verdict: if conditions::holds(requirement, share) {
            CheckVerdict::Pass
        } else {
            CheckVerdict::Regression
        },
        reason: Some(format!("{failed} of {all} {what} failed")),
        head: Some(share),
        value: Some(Interval {
            estimate: share,
            low: share,
            high: share,
        }),
        samples: rounds().count(),
        ..blank
    }
}

/// Operations of a round, or runs of one of its parts, that ended.
struct OutcomeCounts {
    succeeded: u64,
    failed: u64,
}

impl OutcomeCounts {
    /// `None` if the round has no such part.
    fn of(round: &Measurement, part: Option<&str>) -> Option<Self> {
        let Some(name) = part else {
            return Some(Self {
                succeeded: round.ops,
                failed: round.failed_ops(),
            });
        };
        metrics::part(name, round).map(|part| Self {
            succeeded: part.succeeded,
            failed: part.failed,
        })
    }
}

fn undecided(check: Check, reason: String) -> Check {
    Check {
        verdict: CheckVerdict::Inconclusive,
        reason: Some(reason),
        ..check
    }
}

/// Applies a decision to a check, unless the values of either side (base, head) are too unsound for it.
fn conclude(
    check: Check,
    decision: Decision,
    rule: &Rule,
    metric: &Metric,
    sides: [Option<Side<'_>>; 2],
) -> Check {
    let check = Check {
        samples: decision.samples,
        ..check
    };
    let too_few = |side: &Side<'_>| side.rounds.too_few_samples(side.cell, metric);
    if let Some(samples) = sides.iter().flatten().find_map(too_few) {
        let reason = describe::too_few_samples(samples);
        return undecided(check, format!("it {reason}: lengthen the rounds"));
    }
    let is_bound = |side: Option<Side<'_>>| {
        side.is_some_and(|side| side.rounds.is_lower_bound(side.cell, metric))
    };
    let lower_bound = |check| undecided(check, describe::caveat(Caveat::LowerBound));
    match decision.verdict {
        // The true value can only be worse for the side that is a lower bound.
        CheckVerdict::Pass if is_bound(sides[1]) => lower_bound(check),
        CheckVerdict::Regression if is_bound(sides[0]) => lower_bound(check),
        CheckVerdict::Inconclusive => {
            let reason = describe::undecided(&check, &decision, &rule.looks);
            undecided(check, reason)
        }
        verdict => Check { verdict, ..check },
    }
}
