//! Checks: a term held against one cell, from its samples to a verdict with a reason.
//!
//! The rule says when a number decides anything; here is what it is asked, and what its answer is worth where a value has
//! too few operations behind it or can only be worse than it looks. The share of failed operations needs no rule. What the
//! checks come to all together is in `overall`.

use photofinish_record::{GateTerm, Requirement};

use super::rule::{Bounds, Decided, Decision, GateRule};
use super::side::{Pair, Side};
use super::{Check, CheckVerdict, Interval, terms};
use crate::describe;
use crate::metrics::{Better, Metric};
use crate::rounds::failures;

/// A metric with the way in which it is better.
type Judged<'a> = (&'a Metric, Better);

/// A term in one cell.
pub(super) fn check(term: &GateTerm, rule: &GateRule, pair: Pair<'_>) -> Check {
    let metric = terms::find(&term.metric);
    let blank = blank(term, metric, pair);
    match (term.requirement, metric) {
        (Requirement::Errors { most }, _) => errors(pair.head, most, blank),
        (_, None) => undecided(blank, format!("there is no metric `{}`", term.metric)),
        (Requirement::Slowdown { limit }, Some(metric)) => {
            slowdown(blank, rule, metric, pair, limit)
        }
        (Requirement::Below { value } | Requirement::Above { value }, Some(metric)) => {
            objective(blank, rule, metric, pair.head, value)
        }
    }
}

/// What is known of a check before anything is decided.
fn blank(term: &GateTerm, metric: Option<Judged<'_>>, pair: Pair<'_>) -> Check {
    let cell = pair.head.planned();
    let metric = metric.map(|(metric, _)| metric);
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
        base: metric.and_then(|metric| pair.base?.median(metric)),
        head: metric.and_then(|metric| pair.head.median(metric)),
        slowdown: None,
        value: None,
        samples: 0,
    }
}

fn slowdown(
    blank: Check,
    rule: &GateRule,
    (metric, better): Judged<'_>,
    pair: Pair<'_>,
    limit: f64,
) -> Check {
    let Some(base) = pair.base else {
        let reason = "the base has no such cell to compare it with";
        return undecided(blank, reason.to_owned());
    };
    let decided = rule.slowdown(&pair.samples(metric, base), better, limit);
    let check = Check {
        slowdown: decided.bounds.map(as_slowdown),
        ..blank
    };
    concluded(check, decided, rule, metric, [Some(base), Some(pair.head)])
}

fn objective(
    blank: Check,
    rule: &GateRule,
    (metric, better): Judged<'_>,
    head: Side<'_>,
    value: f64,
) -> Check {
    let decided = rule.objective(&head.by_block(metric), value, better);
    let check = Check {
        value: decided.bounds.map(as_value),
        ..blank
    };
    concluded(check, decided, rule, metric, [None, Some(head)])
}

/// The share of operations that failed: it is what it is, and needs no bounds.
fn errors(head: Side<'_>, most: f64, blank: Check) -> Check {
    let (mut failed, mut all, mut rounds) = (0, 0, 0);
    for (_, round) in head.rounds() {
        let failures = failures(&round.worker);
        failed += failures;
        all += failures + round.worker.ops;
        rounds += 1;
    }
    if all == 0 {
        return undecided(blank, "no operation of the head ended".to_owned());
    }
    let share = failed as f64 / all as f64;
    let value = Interval {
        estimate: share,
        low: share,
        high: share,
    };
    Check {
        verdict: match share <= most {
            true => CheckVerdict::Pass,
            false => CheckVerdict::Regression,
        },
        reason: Some(format!("{failed} of {all} operations failed")),
        head: Some(share),
        value: Some(value),
        samples: rounds,
        ..blank
    }
}

fn undecided(check: Check, reason: String) -> Check {
    Check {
        verdict: CheckVerdict::Inconclusive,
        reason: Some(reason),
        ..check
    }
}

/// Takes a decision into a check, unless the values it rests on are not sound enough for it.
fn concluded(
    check: Check,
    decided: Decided,
    rule: &GateRule,
    metric: &Metric,
    sides: [Option<Side<'_>>; 2],
) -> Check {
    let check = Check {
        samples: decided.samples,
        ..check
    };
    let too_few = sides
        .iter()
        .flatten()
        .find_map(|side| side.too_few_samples(metric));
    if let Some(reason) = too_few {
        return undecided(check, reason);
    }
    let lower = |side: Option<Side<'_>>| side.is_some_and(|side| side.is_lower_bound(metric));
    let unsound = match decided.decision {
        // The truth can only be worse for the side that is a lower bound.
        Decision::Pass => lower(sides[1]),
        Decision::Fail => lower(sides[0]),
        Decision::Undecided => false,
    };
    if unsound {
        return undecided(
            check,
            "operations had not ended, so that a value is a lower bound only".to_owned(),
        );
    }
    let verdict = match decided.decision {
        Decision::Pass => CheckVerdict::Pass,
        Decision::Fail => CheckVerdict::Regression,
        Decision::Undecided => {
            let reason = open(&check, decided, rule);
            return undecided(check, reason);
        }
    };
    Check { verdict, ..check }
}

/// Why a check is undecided.
fn open(check: &Check, decided: Decided, rule: &GateRule) -> String {
    let last = rule.looks.len();
    match (decided.bounds, decided.look) {
        (None, _) => "it cannot be known here: no round has it".to_owned(),
        (Some(_), 0) => format!(
            "{} so far, and the first planned look is after {}",
            describe::plural(decided.samples, "round"),
            rule.looks.first().copied().unwrap_or(0)
        ),
        (Some(_), look) if look == last => match check.slowdown {
            Some(slowdown) => format!(
                "after all {} the slowdown still lies between {} and {}: lengthen the rounds, or quieten the machine",
                decided.samples,
                describe::signed_percent(slowdown.low),
                describe::signed_percent(slowdown.high)
            ),
            None => "its bounds still lie on both sides of the objective".to_owned(),
        },
        (Some(_), look) => format!("undecided at look {look} of {last}, when the gate ended"),
    }
}

fn as_slowdown(bounds: Bounds) -> Interval {
    Interval {
        estimate: bounds.value - 1.0,
        low: bounds.low - 1.0,
        high: bounds.high - 1.0,
    }
}

fn as_value(bounds: Bounds) -> Interval {
    Interval {
        estimate: bounds.value,
        low: bounds.low,
        high: bounds.high,
    }
}
