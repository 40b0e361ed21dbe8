//! Sentences about single cells: cells without numbers, failed operations, missing sessions, handshakes, and arrivals of
//! open loads.
//!
//! Response times at a rate that was not held belong to a different load than the requested one; a mark next to the
//! number and a sentence with counts say so.

use super::plural;
use crate::summary::{CellSummary, ErrorKind, HandshakeCounts, Status};
use crate::units;

/// Runtimes without numbers for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Names, separated by commas.
    pub runtimes: String,
    pub status: Status,
    pub reason: String,
}

/// The runtimes among these cells that have no numbers, by reason, in the cells' order, each once.
pub fn absent<'a>(cells: impl IntoIterator<Item = &'a CellSummary>) -> Vec<Absent> {
    let mut absent: Vec<Absent> = Vec::new();
    for cell in cells.into_iter().filter(|cell| cell.status != Status::Ok) {
        let reason = cell.reason.clone().unwrap_or("no reason given".to_owned());
        match absent
            .iter_mut()
            .find(|known| known.status == cell.status && known.reason == reason)
        {
            Some(known) if known.runtimes.split(", ").any(|name| name == cell.runtime) => {}
            Some(known) => known.runtimes += &format!(", {}", cell.runtime),
            None => absent.push(Absent {
                runtimes: cell.runtime.clone(),
                status: cell.status,
                reason,
            }),
        }
    }
    absent
}

pub fn status(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Unsupported => "unsupported",
        Status::Invalid => "invalid",
        Status::Failed => "failed",
    }
}

/// A cell's failed operations by kind, with the first example of each; `None` if there are none.
pub fn errors(cell: &CellSummary) -> Option<String> {
    let kind = |(kind, errors): (&String, &ErrorKind)| {
        format!(
            "{} × {kind} ({})",
            units::count(errors.count as f64),
            errors.example
        )
    };
    let kinds = super::list(cell.errors_by_kind.iter().map(kind), ", ");
    (!kinds.is_empty()).then(|| format!("{}: errors: {kinds}", cell.runtime))
}

/// The number of sessions, if it differs from the requested one.
pub fn fewer_sessions(cell: &CellSummary) -> Option<String> {
    let sessions = cell.sessions?;
    let requested = cell.load.concurrency().get();
    (sessions != requested).then(|| {
        format!(
            "{} ran {}, not {requested}.",
            cell.runtime,
            plural(sessions as usize, "session")
        )
    })
}

/// The TLS handshakes of some cells; `None` if there were none.
pub fn handshakes<'a>(cells: impl Iterator<Item = &'a CellSummary>) -> Option<String> {
    let counts = cells.filter_map(|cell| {
        let HandshakeCounts { full, resumed } = cell.handshakes?;
        let [full, resumed] = [full, resumed].map(|count| units::count(count as f64));
        Some(format!(
            "{} {full} full and {resumed} resumed",
            cell.runtime
        ))
    });
    let counts = super::list(counts, ", ");
    (!counts.is_empty()).then(|| format!("TLS handshakes, warm-up included: {counts}."))
}

/// The arrivals of a cell that did not hold its rate, or whose operations did not all end.
pub fn arrivals(cell: &CellSummary) -> Option<String> {
    let arrivals = cell.arrivals.as_ref()?;
    let late = arrivals.scheduled.saturating_sub(arrivals.started_in_time);
    let counts = [
        (late, "had not started when the schedule ended"),
        (arrivals.late, "started more than 1ms late"),
        (arrivals.unfinished, "were left unfinished"),
        (arrivals.unsent, "were never sent"),
    ];
    let phrases = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, phrase)| format!("{} {phrase}", units::count(*count as f64)));
    let phrases = match super::list(phrases, ", ") {
        none if none.is_empty() => "all started in time".to_owned(),
        phrases => phrases,
    };
    let held = match arrivals.rounds_not_held {
        0 if arrivals.unfinished + arrivals.unsent == 0 => return None,
        0 => format!("{}:", cell.runtime),
        not_held => format!(
            "{} did not hold the rate in {not_held} of {}:",
            cell.runtime,
            plural(cell.rounds, "round"),
        ),
    };
    let scheduled = units::count(arrivals.scheduled as f64);
    Some(format!("{held} of {scheduled} operations due, {phrases}."))
}
