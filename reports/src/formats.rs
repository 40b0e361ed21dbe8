//! Export formats: one file each, and one line in [`FORMATS`] for runs, gates, or both.
//!
//! A format is a pure function from a report to named files; the CLI writes them, or prints a single one. To add one,
//! write its file and its line; the conformance tests render every fixture in every listed format.

mod annotations;
mod benchmarks;
mod benchstat;
mod bmf;
mod csv;
mod csv_parts;
mod github_action_benchmark;
mod hgrm;
mod hlog;
mod json;
mod junit;
mod markdown;
mod openmetrics;
mod test_report;

use photofinish_record::InvalidTime;
use serde::Serialize;

use crate::gate::GateReport;
use crate::metrics::Times;
use crate::report::Report;

/// Every format, in display order.
pub static FORMATS: &[&Format] = &[
    &json::RUN,
    &csv::RUN,
    &csv_parts::FORMAT,
    &hgrm::FORMAT,
    &hlog::FORMAT,
    &junit::RUN,
    &openmetrics::FORMAT,
    &bmf::FORMAT,
    &github_action_benchmark::FORMAT,
    &benchstat::FORMAT,
    &markdown::RUN,
    &annotations::RUN,
    &json::GATE,
    &csv::GATE,
    &markdown::GATE,
    &annotations::GATE,
    &junit::GATE,
];

/// An export format. A run format and a gate format may have the same name.
#[derive(Debug)]
pub struct Format {
    /// The name that users type.
    pub name: &'static str,
    /// A one-line description.
    pub summary: &'static str,
    pub render: Render,
}

/// The subject of a format, and its rendering. A gate is rendered into one file.
#[derive(Clone, Copy, Debug)]
pub enum Render {
    Run(fn(&Report<'_>) -> Result<Vec<File>, Error>),
    Gate(fn(&GateReport) -> Result<File, Error>),
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path below the directory of the output.
    pub name: String,
    pub bytes: Vec<u8>,
}

impl File {
    pub(crate) fn text(name: &str, text: String) -> Self {
        Self {
            name: name.to_owned(),
            bytes: text.into_bytes(),
        }
    }

    pub(crate) fn json(name: &str, value: &impl Serialize) -> Result<Self, Error> {
        Ok(Self::text(
            name,
            serde_json::to_string_pretty(value)? + "\n",
        ))
    }
}

/// Reasons a report could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such format: `{0}`")]
    UnknownFormat(String),
    /// The log needs the time of day at which the run started.
    #[error("the record's start time {started_utc:?} is not an RFC 3339 time")]
    StartTime {
        started_utc: String,
        source: InvalidTime,
    },
    /// A number that JSON cannot represent.
    #[error("the summary is not JSON")]
    Json(#[from] serde_json::Error),
}

/// The formats of runs.
pub fn of_runs() -> impl Iterator<Item = &'static Format> {
    let formats = FORMATS.iter().copied();
    formats.filter(|format| matches!(format.render, Render::Run(_)))
}

/// The formats of gates.
pub fn of_gates() -> impl Iterator<Item = &'static Format> {
    let formats = FORMATS.iter().copied();
    formats.filter(|format| matches!(format.render, Render::Gate(_)))
}

/// Renders a run in the format called `name`.
pub fn export(name: &str, report: &Report<'_>) -> Result<Vec<File>, Error> {
    let render = of_runs().find(|format| format.name == name);
    match render.map(|format| format.render) {
        Some(Render::Run(render)) => render(report),
        _ => Err(Error::UnknownFormat(name.to_owned())),
    }
}

/// Renders a gate in the format called `name`.
pub fn export_gate(name: &str, report: &GateReport) -> Result<File, Error> {
    let render = of_gates().find(|format| format.name == name);
    match render.map(|format| format.render) {
        Some(Render::Gate(render)) => render(report),
        _ => Err(Error::UnknownFormat(name.to_owned())),
    }
}

/// Every kind of time that is exported as a histogram, with the suffix of its name.
const TIMES: [(&str, Times); 3] = [
    ("", Times::Service),
    (".response", Times::Response),
    (".lag", Times::Lag),
];
