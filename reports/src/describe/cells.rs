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

/// The runtimes among these cells that have no numbers, by reason, in the cells' order, each once. Numbers in a reason are those of
/// the first runtime.
pub fn absent<'a>(cells: impl IntoIterator<Item = &'a CellSummary>) -> Vec<Absent> {
    let mut absent: Vec<Absent> = Vec::new();
    for cell in cells.into_iter().filter(|cell| cell.status != Status::Ok) {
        let reason = cell.reason.clone().unwrap_or("no reason given".to_owned());
        match absent
            .iter_mut()
            .find(|known| known.status == cell.status && is_alike(&known.reason, &reason))
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

/// Words after a count or a time, which differs from cell to cell; other numbers, such as a status, tell failures apart.
const COUNTED: [&str; 9] = [
    "s",
    "ms",
    "of",
    "bytes",
    "operations",
    "sessions",
    "responses",
    "connections",
    "rounds",
];

/// True if two reasons differ only in counts, times, and names made for a round, such as `photofinish_3`.
pub fn is_alike(a: &str, b: &str) -> bool {
    a == b || shape(a) == shape(b)
}

/// The words of a reason, without those that differ from cell to cell.
fn shape(reason: &str) -> Vec<&str> {
    let separators = [' ', ',', ';', ':', '`', '(', ')'];
    let words: Vec<&str> = reason.split(separators).collect();
    let differs = |index: usize| {
        let word = words[index];
        let next = words.get(index + 1);
        word.bytes().any(|byte| byte.is_ascii_digit())
            && (word.contains('_') || next.is_some_and(|next| COUNTED.contains(next)))
    };
    let kept = (0..words.len()).map(|index| if differs(index) { "0" } else { words[index] });
    kept.collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_differ_in_counts_and_times_are_alike() {
        for (a, b, expected) in [
            ("took longer than 10 s", "took longer than 11 s", true),
            (
                "waited 8.6 s of the warm-up",
                "waited 9 s of the warm-up",
                true,
            ),
            ("16 of 16 sessions", "8 of 16 sessions", true),
            (
                "`CREATE SCHEMA photofinish_a1_2`",
                "`CREATE SCHEMA photofinish_a1_3`",
                true,
            ),
            (
                "expected status 200, got 404",
                "expected status 200, got 500",
                false,
            ),
            (
                "relation missing (42P01)",
                "relation missing (53300)",
                false,
            ),
            ("port 80 refused", "port 81 refused", false),
            ("took longer than 10 s", "took longer than ten s", false),
        ] {
            assert_eq!(is_alike(a, b), expected, "{a} and {b}");
        }
    }
}
