//! Formats of a gate: one file each, one line each in [`GATE_FORMATS`].
//!
//! A format is a pure function from a gate's report to named files, as those of a run are from its record. They are read by
//! people who look at a change, in the place where they look at it; what the terminal and the page say is elsewhere.

mod annotations;
mod csv;
mod json;
mod junit;
mod markdown;

use super::{Error, File};
use crate::describe;
use crate::gate::terms::short_name;
use crate::gate::{Check, GateReport, GateVerdict};

/// Every format of a gate, in the order in which they are offered.
pub static GATE_FORMATS: &[&GateFormat] = &[
    &json::FORMAT,
    &csv::FORMAT,
    &markdown::FORMAT,
    &annotations::FORMAT,
    &junit::FORMAT,
];

/// A format of a gate.
#[derive(Debug)]
pub struct GateFormat {
    /// What a user types.
    pub name: &'static str,
    /// What its files' names end in, without the dot.
    pub extension: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// The report in this format; one file.
    pub render: fn(&GateReport) -> Result<File, Error>,
}

/// The format of that name.
pub fn find(name: &str) -> Option<&'static GateFormat> {
    GATE_FORMATS
        .iter()
        .copied()
        .find(|format| format.name == name)
}

/// A check in few words: `tokio · closed, 16 in flight · throughput`.
fn subject(check: &Check) -> String {
    let metric = short_name(&check.metric);
    format!("{} · {} · {metric}", check.runtime, check.load)
}

/// What was found and what was asked: `is 15% worse (+12% to +18%) where < +10% was asked for`.
fn finding(check: &Check) -> String {
    let found = describe::gate_finding(check);
    match check.slowdown {
        Some(_) => format!(
            "{found} where {} was asked for",
            describe::requirement(check)
        ),
        None => found,
    }
}

/// Whether what the checks came to may be believed: on a machine that was busy, or of arms that did other work, it may not.
fn are_checks_sound(report: &GateReport) -> bool {
    !matches!(report.verdict, GateVerdict::Unfit | GateVerdict::Wrong)
}
