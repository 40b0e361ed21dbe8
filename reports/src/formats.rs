//! Export formats: one file each, one line each in [`FORMATS`].
//!
//! A format is a pure function from a record to named files; the CLI writes them, or prints a single one. To add one,
//! write its file and its line; the conformance tests render every fixture record through whatever is listed.

mod csv;
mod hgrm;
mod hlog;
mod json;

use photofinish_harness::record::Record;

/// Every format, in the order in which they are offered.
pub static FORMATS: &[&Format] = &[&json::FORMAT, &csv::FORMAT, &hgrm::FORMAT, &hlog::FORMAT];

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
