//! What is said of cells that a table cannot show: those without numbers, their failures, and sessions that did not run.
//!
//! Runtimes that are absent for one reason are named together, so that a table of many does not drown in notes.

use super::plural;
use crate::summary::{CellSummary, ErrorKind, Status};
use crate::units;

/// Runtimes that have no numbers, for one and the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Their names.
    pub runtimes: String,
    /// What became of them.
    pub status: Status,
    /// Why, in one sentence.
    pub reason: String,
}

/// The runtimes among these cells that have no numbers, by reason, in the cells' order; each once.
pub fn absent(cells: &[&CellSummary]) -> Vec<Absent> {
    let mut absent: Vec<Absent> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.status != Status::Ok) {
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

/// A status in the word that people read.
pub fn status(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Unsupported => "unsupported",
        Status::Invalid => "invalid",
        Status::Failed => "failed",
    }
}

/// A cell's failed operations by kind, with the first of each.
pub fn errors(cell: &CellSummary) -> String {
    let kind = |(kind, errors): (&String, &ErrorKind)| {
        format!(
            "{} × {kind} ({})",
            units::count(errors.count as f64),
            errors.example
        )
    };
    let kinds: Vec<String> = cell.errors_by_kind.iter().map(kind).collect();
    format!("{}: errors: {}", cell.runtime, kinds.join(", "))
}

/// Said where a runtime ran another number of sessions than was asked for.
pub fn fewer_sessions(cell: &CellSummary) -> Option<String> {
    let sessions = cell.sessions?;
    let asked = cell.load.concurrency().get();
    (sessions != asked).then(|| {
        format!(
            "{} ran {}, not {asked}.",
            cell.runtime,
            plural(sessions as usize, "session")
        )
    })
}
