//! The verdict of a gate over all of its checks, with the reason in one sentence.
//!
//! What was measured wrongly comes first, then what was cut short, then a machine that was busy: only then do checks
//! speak, a broken one before an undecided one. How a single check is decided is in `checks`.

use std::collections::BTreeMap;

use photofinish_record::{Completion, Record};

use super::{Check, CheckVerdict, GateVerdict, describe_check, name_of_check};
use crate::describe;
use crate::rounds::{blocks, counted};
use crate::verdict::Look;

/// The share of blocks that may stay disturbed after all redoing; beyond it the machine was too busy to tell.
const DISTURBED_SHARE: f64 = 0.25;

/// What the head's record comes to, with its checks, the worst first, and its problems.
pub(super) fn verdict(
    head: &Record,
    checks: &[Check],
    problems: &[String],
    look: Look,
) -> (GateVerdict, String) {
    if let Some(problem) = problems.first() {
        return (GateVerdict::Wrong, problem.clone());
    }
    if checks.is_empty() {
        let reason = "the gate is empty: there is nothing that could fail";
        return (GateVerdict::Inconclusive, reason.to_owned());
    }
    if let Some(reason) = cut_short(head, look) {
        return (GateVerdict::Inconclusive, reason);
    }
    if let Some(reason) = unfit(head) {
        return (GateVerdict::Unfit, reason);
    }
    let broken = broken(checks).map(|reason| (GateVerdict::Regression, reason));
    let undecided = || undecided(checks).map(|reason| (GateVerdict::Inconclusive, reason));
    let all_hold = || (GateVerdict::Pass, all_hold(checks));
    broken.or_else(undecided).unwrap_or_else(all_hold)
}

/// Why nothing can be said although the record has numbers: it does not reach the first look.
fn cut_short(head: &Record, look: Look) -> Option<String> {
    let first = head.plan.looks.first().copied().unwrap_or(0);
    match (&head.completion, look.number) {
        (Completion::Interrupted, _) => Some("the run was interrupted".to_owned()),
        (Completion::Failed { reason }, _) => Some(format!("the run failed: {reason}")),
        (Completion::Complete, 0) => Some(format!(
            "it was looked at after {} only, and the first planned look is after {first}",
            describe::plural(blocks(head), "block")
        )),
        (Completion::Complete, _) => None,
    }
}

fn unfit(head: &Record) -> Option<String> {
    let mut disturbed: BTreeMap<usize, &str> = BTreeMap::new();
    for round in counted(head) {
        if let Some(reason) = &round.conditions.disturbance {
            disturbed.entry(round.block).or_insert(reason);
        }
    }
    let all = blocks(head);
    let (_, first) = disturbed.first_key_value()?;
    (disturbed.len() as f64 > DISTURBED_SHARE * all as f64).then(|| {
        format!(
            "the machine was too busy to tell: {} of {} stayed disturbed after redoing: {first}",
            disturbed.len(),
            describe::plural(all, "block")
        )
    })
}

/// The worst check that is broken, and how many more are.
fn broken(checks: &[Check]) -> Option<String> {
    let broken = all_with(checks, CheckVerdict::Regression);
    let (worst, others) = broken.split_first()?;
    Some(match others.len() {
        0 => describe_check(worst),
        others => format!("{} (and {others} more)", describe_check(worst)),
    })
}

/// The first check that is undecided, and how many are.
fn undecided(checks: &[Check]) -> Option<String> {
    let undecided = all_with(checks, CheckVerdict::Inconclusive);
    let first = undecided.first()?;
    Some(format!(
        "{} of {} undecided: {}: {}",
        undecided.len(),
        describe::plural(checks.len(), "check"),
        name_of_check(first),
        first.reason.as_deref().unwrap_or_default()
    ))
}

fn all_hold(checks: &[Check]) -> String {
    match checks.len() {
        1 => "the check holds".to_owned(),
        all => format!("all {all} checks hold"),
    }
}

fn all_with(checks: &[Check], verdict: CheckVerdict) -> Vec<&Check> {
    let with = |check: &&Check| check.verdict == verdict;
    checks.iter().filter(with).collect()
}
