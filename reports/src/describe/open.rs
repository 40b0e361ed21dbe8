//! What is said of open loads: whether the rate was held, what became of the arrivals, and how well they were paced.
//!
//! A rate that was not held makes response times tell of another load than the one that was asked for, so it is said
//! beside the number and again in a sentence with counts.

use super::{plural, value};
use crate::metrics::ACHIEVED;
use crate::summary::{ArrivalCounts, CellSummary};
use crate::units;

/// The rate that was achieved; with `not held` where any round fell behind the one that was asked for.
pub fn achieved(cell: &CellSummary) -> String {
    let rate = value(cell.metric(ACHIEVED));
    match cell.rate_held {
        Some(false) => format!("{rate} not held"),
        _ => rate,
    }
}

/// Said where a runtime did not begin with operations as fast as they were due.
pub fn rate_not_held(cell: &CellSummary) -> Option<String> {
    let arrivals = cell.arrivals.as_ref()?;
    (arrivals.rounds_not_held > 0).then(|| {
        format!(
            "{} did not hold the rate in {} of {}: of {} operations that were due, {}.",
            cell.runtime,
            arrivals.rounds_not_held,
            plural(cell.rounds, "round"),
            units::count(arrivals.scheduled as f64),
            what_became(arrivals)
        )
    })
}

/// Said where the rate was held, and yet operations did not end.
pub fn arrivals(cell: &CellSummary) -> Option<String> {
    let arrivals = cell.arrivals.as_ref()?;
    let left = arrivals.unfinished + arrivals.unsent;
    (arrivals.rounds_not_held == 0 && left > 0).then(|| {
        format!(
            "{}: of {} operations that were due, {}.",
            cell.runtime,
            units::count(arrivals.scheduled as f64),
            what_became(arrivals)
        )
    })
}

fn what_became(arrivals: &ArrivalCounts) -> String {
    let counts = [
        (
            arrivals.scheduled.saturating_sub(arrivals.started_in_time),
            "had not begun when the schedule ended",
        ),
        (arrivals.late, "began more than 1ms late"),
        (arrivals.unfinished, "were left unfinished"),
        (arrivals.unsent, "were never sent"),
    ];
    let said: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", units::count(*count as f64)))
        .collect();
    match said.as_slice() {
        [] => "all began in time".to_owned(),
        said => said.join(", "),
    }
}

/// How well arrivals were released, over cells of one load; `None` where none was open.
pub fn pacing<'a>(cells: impl Iterator<Item = &'a CellSummary>) -> Option<String> {
    let paced: Vec<(f64, bool)> = cells
        .filter_map(|cell| {
            let error = cell.metric("pacing_error_p99_ns")?;
            Some((error.median, cell.arrivals.as_ref()?.pacer_alone))
        })
        .collect();
    let errors = || paced.iter().map(|(error_ns, _)| *error_ns);
    let least = units::duration(errors().reduce(f64::min)?);
    let most = units::duration(errors().reduce(f64::max)?);
    let range = match least == most {
        true => least,
        false => format!("{least} to {most}"),
    };
    let alone = match paced.iter().all(|(_, alone)| *alone) {
        true => "had a CPU to itself",
        false => "shared its CPU",
    };
    Some(format!("The pacer {alone}; its error was {range} (p99)."))
}
