//! Export formats: one file each, one line each in [`FORMATS`]; those of a gate are in [`gate`].
//!
//! A format is a pure function from a record to named files; the CLI writes them, or prints a single one. To add one,
//! write its file and its line; the conformance tests render every fixture record through whatever is listed.

mod benchmarks;
mod test_report;
mod xml;

mod benchstat;
mod bmf;
mod csv;
mod github_action_benchmark;
mod hgrm;
mod hlog;
mod json;
mod junit;
mod openmetrics;

pub mod gate;

use std::borrow::Cow;

use photofinish_record::latency::Latencies;
use photofinish_record::{Measurement, Record};

use crate::metrics::response;

/// Every format, in the order in which they are offered.
pub static FORMATS: &[&Format] = &[
    &json::FORMAT,
    &csv::FORMAT,
    &hgrm::FORMAT,
    &hlog::FORMAT,
    &junit::FORMAT,
    &openmetrics::FORMAT,
    &bmf::FORMAT,
    &github_action_benchmark::FORMAT,
    &benchstat::FORMAT,
];

/// An export format.
#[derive(Debug)]
pub struct Format {
    /// What a user types.
    pub name: &'static str,
    /// What its files' names end in, without the dot.
    pub extension: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// The record in this format.
    pub render: fn(&Record) -> Result<Vec<File>, Error>,
}

/// A kind of time with a histogram in each round.
struct Times {
    /// What a name ends in; nothing of service time, which every round has.
    ending: &'static str,
    /// The histogram; `None` where the round has none, since its load was closed.
    of: for<'a> fn(&'a Measurement) -> Option<Cow<'a, Latencies>>,
}

/// Every kind of time that is exported as a histogram.
const TIMES: [Times; 3] = [
    Times {
        ending: "",
        of: |round| Some(Cow::Borrowed(&round.service)),
    },
    Times {
        ending: ".response",
        of: |round| round.open.as_ref().map(response),
    },
    Times {
        ending: ".lag",
        of: |round| Some(Cow::Borrowed(&round.open.as_ref()?.lag)),
    },
];

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, without folders.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Why a record could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log needs the time of day at which the run started.
    #[error("the record's start time {started_utc:?} is not an RFC 3339 time")]
    StartTime {
        /// What the record says.
        started_utc: String,
        /// What is wrong with it.
        source: jiff::Error,
    },
    /// A number that JSON cannot hold.
    #[error("the summary is not JSON")]
    Json(#[from] serde_json::Error),
}

/// The format of that name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|format| format.name == name)
}
