//! `csv`: one line per check, for spreadsheets and statistics programs.
//!
//! RFC 4180, plain numbers in the unit that stands beside them; shares are shares, 0.1 being 10 %. An empty field is a
//! number that is not known, or that such a check has not. The gate's verdict stands in every line; an empty gate has none.

use photofinish_record::Requirement;

use super::super::csv::{line, place_of_load};
use super::{Error, File, GateFormat};
use crate::gate::{Check, GateReport, Interval};

pub(super) static FORMAT: GateFormat = GateFormat {
    name: "csv",
    extension: "csv",
    summary: "one line per check, plain numbers",
    render,
};

const HEADER: [&str; 27] = [
    "id",
    "gate",
    "scenario",
    "runtime",
    "model",
    "concurrency",
    "rate_hz",
    "arrivals",
    "metric",
    "unit",
    "requirement",
    "limit",
    "text",
    "file",
    "line",
    "verdict",
    "reason",
    "base",
    "head",
    "slowdown",
    "slowdown_low",
    "slowdown_high",
    "value",
    "value_low",
    "value_high",
    "samples",
    "paired",
];

fn render(report: &GateReport) -> Result<File, Error> {
    let mut text = line(HEADER.iter().map(|name| (*name).to_owned()));
    for check in &report.checks {
        text += &line(fields(report, check).into_iter());
    }
    Ok(File {
        name: "gate.csv".to_owned(),
        bytes: text.into_bytes(),
    })
}

fn fields(report: &GateReport, check: &Check) -> [String; 27] {
    let [model, concurrency, rate_hz, arrivals] = place_of_load(check.load);
    let (requirement, limit) = match check.requirement {
        Requirement::Slowdown { limit } => ("slowdown", limit),
        Requirement::Below { value } => ("below", value),
        Requirement::Above { value } => ("above", value),
        Requirement::Errors { most } => ("errors", most),
    };
    let place = check.place.as_ref();
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let [slowdown, slowdown_low, slowdown_high] = parts(check.slowdown).map(number);
    let [value, value_low, value_high] = parts(check.value).map(number);
    [
        report.id.clone(),
        report.verdict.name().to_owned(),
        check.scenario.clone(),
        check.runtime.clone(),
        model,
        concurrency,
        rate_hz,
        arrivals,
        check.metric.clone(),
        check.unit.clone(),
        requirement.to_owned(),
        limit.to_string(),
        check.text.clone(),
        place.map(|place| place.file.clone()).unwrap_or_default(),
        place
            .map(|place| place.line.to_string())
            .unwrap_or_default(),
        check.verdict.name().to_owned(),
        check.reason.clone().unwrap_or_default(),
        number(check.base),
        number(check.head),
        slowdown,
        slowdown_low,
        slowdown_high,
        value,
        value_low,
        value_high,
        check.samples.to_string(),
        report.paired.to_string(),
    ]
}

fn parts(interval: Option<Interval>) -> [Option<f64>; 3] {
    let finite = |value: f64| value.is_finite().then_some(value);
    match interval {
        Some(found) => [found.estimate, found.low, found.high].map(finite),
        None => [None; 3],
    }
}
