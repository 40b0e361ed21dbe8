//! The verdict of a gate over all of its checks, and reasons to take it as advice only.
//!
//! Wrong measurements come first, then a run that was cut short, then a machine that was busy; only then do the checks
//! count, a broken one before an undecided one.

use std::collections::{BTreeMap, BTreeSet};

use photofinish_record::machine::Machine;
use photofinish_record::{Completion, Record, Requirement};

use crate::describe;
use crate::gate::{Check, GateVerdict};
use crate::rounds::Rounds;
use crate::rule::{CheckVerdict, Look};

/// The share of blocks that may stay disturbed after all retries; beyond it the machine was too busy to judge.
const DISTURBED_SHARE: f64 = 0.25;

/// The verdict and its reason, from the head's record and its checks, sorted worst first.
pub(super) fn verdict(
    record: &Record,
    rounds: &Rounds<'_>,
    checks: &[Check],
    problems: &[String],
    look: Look,
) -> (GateVerdict, String) {
    if let Some(problem) = problems.first() {
        return (GateVerdict::Wrong, problem.clone());
    }
    if checks.is_empty() {
        let reason = "the gate is empty: nothing could fail";
        return (GateVerdict::Inconclusive, reason.to_owned());
    }
    if let Some(reason) = cut_short(record, rounds, look) {
        return (GateVerdict::Inconclusive, reason);
    }
    if let Some(reason) = unfit(rounds) {
        return (GateVerdict::Unfit, reason);
    }
    let with = |verdict| {
        let mut checks = checks.iter().filter(move |check| check.verdict == verdict);
        Some((checks.next()?, checks.count()))
    };
    if let Some((worst, others)) = with(CheckVerdict::Regression) {
        let worst = describe::whole_check(worst);
        return (
            GateVerdict::Regression,
            describe::first_and_more(&worst, others),
        );
    }
    if let Some((first, others)) = with(CheckVerdict::Inconclusive) {
        let reason = format!(
            "{} of {} undecided: {}: {}",
            1 + others,
            describe::plural(checks.len(), "check"),
            describe::check_name(first),
            first.reason.as_deref().unwrap_or_default()
        );
        return (GateVerdict::Inconclusive, reason);
    }
    let reason = match checks.len() {
        1 => "the check holds".to_owned(),
        all => format!("all {all} checks hold"),
    };
    (GateVerdict::Pass, reason)
}

/// The reason that the numbers allow no verdict: the run did not reach the first look.
fn cut_short(record: &Record, rounds: &Rounds<'_>, look: Look) -> Option<String> {
    match (&record.completion, look.number) {
        (Completion::Interrupted, _) => Some("the run was interrupted".to_owned()),
        (Completion::Failed { reason }, _) => Some(format!("the run failed: {reason}")),
        (Completion::Complete, 0) => Some(format!(
            "the run ended after {}, and the first planned look is after {}",
            describe::plural(rounds.blocks(), "block"),
            record.plan.looks.first().copied().unwrap_or(0)
        )),
        (Completion::Complete, _) => None,
    }
}

fn unfit(rounds: &Rounds<'_>) -> Option<String> {
    let mut disturbed: BTreeMap<usize, &str> = BTreeMap::new();
    for round in rounds.counted() {
        if let Some(reason) = &round.conditions.disturbance {
            disturbed.entry(round.block).or_insert(reason);
        }
    }
    let (_, first) = disturbed.first_key_value()?;
    let blocks = rounds.blocks();
    (disturbed.len() as f64 > DISTURBED_SHARE * blocks as f64).then(|| {
        let redone = BTreeSet::from_iter(rounds.discarded().map(|round| round.block));
        let in_vain = match disturbed
            .keys()
            .filter(|block| redone.contains(block))
            .count()
        {
            0 => "none redone".to_owned(),
            redone => format!("{redone} redone, in vain"),
        };
        format!(
            "the machine was too busy to measure: {} of {} disturbed ({in_vain}): {first}",
            disturbed.len(),
            describe::were(blocks, "block")
        )
    })
}

/// The reason that numbers from another time are advice only.
pub(super) fn advisory(base: &Machine, head: &Machine) -> Option<String> {
    let same_machine = base.cpu_model == head.cpu_model
        && base.cpus_online == head.cpus_online
        && base.memory_bytes == head.memory_bytes
        && base.arch == head.arch;
    let place = if !same_machine {
        "another machine"
    } else if base.boot_id != head.boot_id || head.boot_id.is_none() {
        "another boot of the machine, or another one like it"
    } else {
        return None;
    };
    Some(format!(
        "the base was measured on {place}: machines differ by more than a gate looks for, so this is advice; measure both \
         arms now for a gate"
    ))
}

/// Warnings that the arms seem to be swapped.
pub(super) fn swapped(record: &Record, stored: Option<&Record>, checks: &[Check]) -> Vec<String> {
    let mut warnings = Vec::new();
    if stored.is_some_and(|base| base.started_utc > record.started_utc) {
        warnings.push("the base was measured after the head: are the two swapped?".to_owned());
    }
    let faster = checks.iter().find(|check| match check.requirement {
        Requirement::Slowdown { limit } => check
            .slowdown
            .is_some_and(|slowdown| slowdown.high < 1.0 / (1.0 + limit) - 1.0),
        _ => false,
    });
    warnings.extend(faster.map(|check| {
        format!(
            "the head is better than the base by more than the limit ({}): an improvement, or the arms are swapped",
            describe::whole_check(check)
        )
    }));
    warnings
}
