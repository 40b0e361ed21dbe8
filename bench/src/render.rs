//! Renderings of results: text for the terminal, Markdown for documents, JSON for programs.

mod json;
mod markdown;
mod text;

pub(crate) use json::json;
pub(crate) use markdown::markdown;
pub(crate) use text::{missing, text};

use photofinish_reports::statistics::Estimate;
use photofinish_reports::units;

use crate::cpus::Cpus;
use crate::results::{Results, Row};

/// Conditions of the measurement.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    pub(crate) photofinish: Option<String>,
    pub(crate) blocks: u32,
    pub(crate) seconds: u32,
    pub(crate) seed: u64,
    pub(crate) cpus: Cpus,
    pub(crate) cpu_model: Option<String>,
    pub(crate) kernel: Option<String>,
    /// Of the minute before the first comparison.
    pub(crate) load_average: Option<f64>,
    /// Names of programs, and their versions.
    pub(crate) versions: Vec<(&'static str, String)>,
}

/// The cells that text and Markdown share: rate, CPU time, both ratios, checks.
fn cells(results: &Results, index: usize) -> [String; 5] {
    let Row {
        rate_hz,
        cpu_ns,
        rate_ratio,
        cpu_ratio,
        checks,
        failure,
        ..
    } = &results.rows[index];
    let is_reference = results.reference == Some(index);
    let ratio = |ratio: &Option<Estimate>| match ratio {
        _ if is_reference => "reference".to_owned(),
        Some(ratio) => format!("{} ({})", decimals(ratio.value), interval(ratio)),
        None => "–".to_owned(),
    };
    let checks = match failure {
        Some(failure) => failure_text(&results.rows[index], &failure.to_string()),
        None => (*checks).to_owned(),
    };
    [
        rate_hz.map_or("–".to_owned(), |rate| rate_text(results, rate.value)),
        cpu_ns.map_or("–".to_owned(), |cpu| units::duration(cpu.value)),
        ratio(rate_ratio),
        ratio(cpu_ratio),
        checks,
    ]
}

/// A rate; under an open load with the share of the requested one.
fn rate_text(results: &Results, rate_hz: f64) -> String {
    let text = units::per_second(rate_hz);
    match results.requested_rate_hz() {
        Some(requested) => format!(
            "{text}, {} of it",
            units::percent(rate_hz / f64::from(requested))
        ),
        None => text,
    }
}

fn failure_text(row: &Row, failure: &str) -> String {
    let failed = row.blocks.iter().filter(|block| block.is_none()).count();
    let failure = failure.replace('\n', "; ");
    format!(
        "failed in {failed} of {} blocks: {failure}",
        row.blocks.len()
    )
}

fn interval(estimate: &Estimate) -> String {
    format!("{}–{}", decimals(estimate.low), decimals(estimate.high))
}

/// Ratios of peers are near 1: two decimals.
fn decimals(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// A sentence about the confidence of the intervals, and one about the server.
fn remarks(results: &Results) -> Vec<String> {
    let confidence = results.confidence().map(|confidence| {
        format!(
            "Ratios: the reference's value divided by this one's, with {} confidence",
            units::confidence(confidence)
        )
    });
    let server = results.server_load().map(|(share, is_limit)| {
        let used = units::percent(share);
        if is_limit {
            format!("The server is the limit: it used {used} of its CPU")
        } else {
            format!("The server used at most {used} of its CPU")
        }
    });
    let note = results.comparison.note.map(str::to_owned);
    confidence.into_iter().chain(server).chain(note).collect()
}
