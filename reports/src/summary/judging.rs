//! Whether a cell's numbers may be believed, and in one sentence why not.
//!
//! Mismatches of the two sides' counts, violated expectations and failures beyond the budget make a cell invalid; what was
//! refused or never measured has no numbers to begin with. What only makes a number doubtful is a warning, in `checks`.

use photofinish_record::{Completion, Measured, Measurement, Outcome, Record};

use super::Status;
use crate::rounds::{failures, of_cell, scenario};
use crate::validity;

/// Whether the cell's numbers may be believed, and why not.
pub(super) fn judge(
    record: &Record,
    index: usize,
    rounds: &[&Measured],
) -> Result<(), (Status, String)> {
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

pub(super) fn outcomes(record: &Record, cell: usize) -> impl Iterator<Item = &Outcome> {
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
