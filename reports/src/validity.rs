//! Validity: the status of a cell, and the reason, in one sentence, that its numbers must not be trusted.
//!
//! Mismatches between the counts of the two sides, violated expectations and failures beyond the budget make a cell
//! invalid; a cell that was unsupported or never measured has no numbers in the first place. Anything that only makes a
//! number doubtful is a warning, in `report/warnings.rs`.

use photofinish_record::{Completion, Failures, Measured, Measurement, Outcome};

use crate::describe;
use crate::rounds::Rounds;
use crate::shards;
use crate::summary::Status;

/// Status and reason of a cell without valid numbers.
pub(crate) type Invalidity = (Status, String);

/// Rejects a cell whose numbers must not be trusted.
pub(crate) fn validate(
    rounds: &Rounds<'_>,
    completion: &Completion,
    cell: usize,
) -> Result<(), Invalidity> {
    let planned = &rounds.plan.cells[cell];
    if let Some(reason) = &planned.unsupported {
        return Err((Status::Unsupported, reason.clone()));
    }
    if rounds.measured(cell).next().is_none() {
        return Err(not_measured(rounds, completion, cell));
    }
    let scenario = rounds.scenario(&planned.scenario);
    let budget = scenario.map_or(0.0, |scenario| scenario.error_budget);
    let of_shards = |round| {
        let apart = scenario.and_then(|scenario| shards::apart(round, scenario.stop));
        let absent = rounds
            .shards
            .and_then(|shards| shards::absent(round, shards));
        absent.or(apart)
    };
    let of_rounds = rounds.measured(cell).flat_map(|round| {
        let of_shards = of_shards(round).into_iter();
        of_shards.chain(round_errors(round, budget))
    });
    let partial = rounds.shards.and_then(describe::partial);
    let errors: Vec<String> = partial.into_iter().chain(of_rounds).collect();
    match errors.split_first() {
        None => Ok(()),
        Some((first, rest)) => Err((Status::Invalid, describe::first_and_more(first, rest.len()))),
    }
}

/// The reason a planned cell has no measured round.
fn not_measured(rounds: &Rounds<'_>, completion: &Completion, cell: usize) -> Invalidity {
    let reason = |outcome: &Outcome| match outcome {
        Outcome::Unsupported { reason } => Some((Status::Unsupported, reason.clone())),
        Outcome::Failed { reason } => Some((Status::Failed, reason.clone())),
        Outcome::Ok(_) => None,
    };
    let never_begun = match completion {
        Completion::Complete => "no round of it was planned",
        Completion::Interrupted => "the run was interrupted before its first round",
        Completion::Failed { .. } => "the run ended before its first round",
    };
    let mut outcomes = rounds.of_cell(cell).iter().map(|round| &round.outcome);
    outcomes
        .find_map(reason)
        .unwrap_or((Status::Failed, never_begun.to_owned()))
}

/// Mismatches, violations and errors over the budget of one round.
fn round_errors(round: &Measured, error_budget: f64) -> Vec<String> {
    let recorded = round.mismatches.iter().chain(&round.worker.violations);
    let failed = round.worker.failed_ops();
    let all = round.worker.ops.saturating_add(failed);
    let share = failed as f64 / all.max(1) as f64;
    let mut errors: Vec<String> = unfinished(round).into_iter().collect();
    errors.extend(recorded.cloned());
    errors.extend(out_of_ports(round));
    if share > error_budget {
        errors.push(over_budget(&round.worker, share, error_budget));
    }
    let was_due = round.worker.open.as_ref();
    if all == 0 && was_due.is_none_or(|open| open.scheduled > 0) {
        errors.push("no operation ended in the measured phase".to_owned());
    }
    errors
}

/// A round cut off with operations in flight: fewer sessions were at work than the load has.
fn unfinished(round: &Measured) -> Option<String> {
    let failures = round.worker.errors.get(Failures::UNFINISHED)?;
    Some(failures.example.clone())
}

/// A round that ran out of local ports measured this machine instead of the server.
fn out_of_ports(round: &Measured) -> Option<String> {
    let failures = round.worker.errors.get(Failures::PORTS)?;
    Some(format!(
        "{} operations found no local port to connect from, which says nothing about the server: a closed connection keeps \
         its port for a minute; keep connections open, or widen net.ipv4.ip_local_port_range",
        failures.count
    ))
}

fn over_budget(round: &Measurement, share: f64, budget: f64) -> String {
    let errors = round.errors.iter();
    let kinds = errors.map(|(kind, errors)| match kind.as_str() {
        // The kind alone says nothing.
        Failures::IO => format!("{} {kind} ({})", errors.count, errors.example),
        _ => format!("{} {kind}", errors.count),
    });
    format!(
        "{}% of operations failed; the limit is {}%: {}{}",
        two_digits(100.0 * share),
        two_digits(100.0 * budget),
        describe::list(kinds, ", "),
        turned_away(round)
    )
}

/// The likely cause if some sessions only ever failed and others worked.
fn turned_away(round: &Measurement) -> String {
    let (sessions, without) = (round.sessions, round.sessions_without_success);
    let has_server = !round.traffic.is_empty();
    if has_server && (1..sessions).contains(&without) {
        let served = sessions - without;
        format!(
            "; {without} of {sessions} sessions had no success: does the server refuse more than {}?",
            describe::plural(served as usize, "connection")
        )
    } else {
        String::new()
    }
}

/// At most two digits after the point, without trailing zeros.
fn two_digits(percent: f64) -> String {
    let text = format!("{percent:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
