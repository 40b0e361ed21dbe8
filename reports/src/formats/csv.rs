//! `csv`: one line per cell and round, or per check of a gate, for spreadsheets and statistics programs.
//!
//! RFC 4180: commas, quotes where needed, CRLF. Plain numbers in the units that their columns' names end in (or the unit
//! beside them, in a gate); an empty field is an unknown number. The counts of a round come first, then every other metric;
//! a cell that was never measured has one line with the reason. The verdict of a gate is in every line; an empty gate has
//! none.

use photofinish_record::load::{Arrivals, Load};
use photofinish_record::{Arm, Cell, Measured, Measurement, Outcome, Requirement, Traffic};

use super::{Error, File, Format, Render};
use crate::gate::{Check, GateReport, Interval};
use crate::metrics::{self, Metric};
use crate::report::Report;
use crate::rounds::{Rounds, measured};

pub(super) static RUN: Format = Format {
    name: "csv",
    extension: "csv",
    summary: "one line per cell and round, plain numbers",
    render: Render::Run(render),
};

pub(super) static GATE: Format = Format {
    name: "csv",
    extension: "csv",
    summary: "one line per check, plain numbers",
    render: Render::Gate(render_gate),
};

/// A column of numbers of one measured round.
type Column = (&'static str, fn(&Measurement) -> Option<f64>);

const PLACE: [&str; 10] = [
    "scenario",
    "runtime",
    "model",
    "concurrency",
    "rate_hz",
    "arrivals",
    "arm",
    "block",
    "status",
    "reason",
];

const COLUMNS: &[Column] = &[
    ("sessions", |round| Some(f64::from(round.sessions))),
    ("worker_threads", |round| {
        Some(f64::from(round.worker_threads))
    }),
    ("ops", |round| Some(round.ops as f64)),
    ("errors", |round| Some(round.failed_ops() as f64)),
    ("elapsed_ns", |round| Some(round.elapsed_ns as f64)),
    ("throughput_ops_s", |round| Some(round.throughput_ops_s)),
    ("service_mean_ns", |round| round.service.mean_ns()),
    ("service_p50_ns", |round| quantile(round, 0.5)),
    ("service_p90_ns", |round| quantile(round, 0.9)),
    ("service_p99_ns", |round| quantile(round, 0.99)),
    ("service_p999_ns", |round| quantile(round, 0.999)),
    ("service_max_ns", |round| quantile(round, 1.0)),
    ("cpu_user_ns", |round| whole(round.cost.cpu_user_ns)),
    ("cpu_system_ns", |round| whole(round.cost.cpu_system_ns)),
    ("voluntary_switches", |round| {
        whole(round.cost.voluntary_switches)
    }),
    ("involuntary_switches", |round| {
        whole(round.cost.involuntary_switches)
    }),
    ("minor_faults", |round| whole(round.cost.minor_faults)),
    ("major_faults", |round| whole(round.cost.major_faults)),
    ("peak_rss_bytes", |round| whole(round.cost.peak_rss_bytes)),
    ("threads", |round| whole(round.cost.threads)),
    ("requests", |round| {
        traffic(round, |traffic| traffic.requests)
    }),
    ("bytes_out", |round| {
        traffic(round, |traffic| traffic.bytes_out)
    }),
    ("bytes_in", |round| {
        traffic(round, |traffic| traffic.bytes_in)
    }),
];

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

fn render(report: &Report<'_>) -> Result<Vec<File>, Error> {
    let rounds = &report.rounds;
    let metrics = further_metrics(rounds);
    let header = PLACE
        .iter()
        .copied()
        .chain(COLUMNS.iter().map(|(name, _)| *name))
        .chain(metrics.iter().map(|metric| &*metric.name));
    let mut text = line(header.map(str::to_owned));
    for (index, cell) in rounds.plan.cells.iter().enumerate() {
        if rounds.of_cell(index).is_empty() {
            let (status, reason) = match &cell.unsupported {
                Some(reason) => ("unsupported", reason.clone()),
                None => ("not-run", String::new()),
            };
            text += &line(round_fields(cell, None, (status, reason), None, &metrics));
        }
        for round in rounds.of_cell(index) {
            let status = match &round.outcome {
                Outcome::Ok(measured) => validity(measured),
                Outcome::Unsupported { reason } => ("unsupported", reason.clone()),
                Outcome::Failed { reason } => ("failed", reason.clone()),
            };
            let worker = measured(round).map(|measured| &measured.worker);
            text += &line(round_fields(
                cell,
                Some(round.block),
                status,
                worker,
                &metrics,
            ));
        }
    }
    Ok(vec![File::text("rounds.csv", text)])
}

/// Every metric of the record's rounds that is no column of its own.
fn further_metrics(rounds: &Rounds<'_>) -> Vec<Metric> {
    let measured: Vec<&Measured> = rounds.counted().filter_map(measured).collect();
    let mut metrics = metrics::all(measured.iter().map(|round| &round.worker));
    metrics.retain(|metric| COLUMNS.iter().all(|(name, _)| *name != metric.name));
    metrics
}

fn validity(measured: &Measured) -> (&'static str, String) {
    let errors = measured
        .mismatches
        .iter()
        .chain(&measured.worker.violations);
    let errors: Vec<&str> = errors.map(String::as_str).collect();
    let status = if errors.is_empty() { "ok" } else { "invalid" };
    (status, errors.join("; "))
}

/// The fields of a line; all numbers are unknown of a round that was not measured.
fn round_fields(
    cell: &Cell,
    block: Option<usize>,
    (status, reason): (&str, String),
    round: Option<&Measurement>,
    metrics: &[Metric],
) -> impl Iterator<Item = String> {
    let [model, concurrency, rate_hz, arrivals] = load_fields(cell.load);
    let place = [
        cell.scenario.clone(),
        cell.runtime.clone(),
        model,
        concurrency,
        rate_hz,
        arrivals,
        cell.arm.map_or("", Arm::name).to_owned(),
        block.map(|block| block.to_string()).unwrap_or_default(),
        status.to_owned(),
        reason,
    ];
    let columns = COLUMNS.iter().map(move |(_, read)| round.and_then(read));
    let further = metrics
        .iter()
        .map(move |metric| round.and_then(|round| metric.read(round)));
    place.into_iter().chain(columns.chain(further).map(number))
}

fn render_gate(report: &GateReport) -> Result<File, Error> {
    let mut text = line(HEADER.iter().map(|name| (*name).to_owned()));
    for check in &report.checks {
        text += &line(gate_fields(report, check).into_iter());
    }
    Ok(File::text("gate.csv", text))
}

fn gate_fields(report: &GateReport, check: &Check) -> [String; 27] {
    let [model, concurrency, rate_hz, arrivals] = load_fields(check.load);
    let (requirement, limit) = match check.requirement {
        Requirement::Slowdown { limit } => ("slowdown", limit),
        Requirement::Below { value } => ("below", value),
        Requirement::Above { value } => ("above", value),
        Requirement::Errors { most } => ("errors", most),
    };
    let place = check.place.as_ref();
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

/// Model, concurrency, rate and arrivals of a load.
fn load_fields(load: Load) -> [String; 4] {
    let (model, arrivals) = match load {
        Load::Closed { .. } => ("closed", ""),
        Load::Open { arrivals, .. } => ("open", arrivals_name(arrivals)),
    };
    let rate_hz = load.rate_hz().map(|rate| rate.get().to_string());
    [
        model.to_owned(),
        load.concurrency().to_string(),
        rate_hz.unwrap_or_default(),
        arrivals.to_owned(),
    ]
}

pub(super) fn arrivals_name(arrivals: Arrivals) -> &'static str {
    match arrivals {
        Arrivals::Constant => "constant",
        Arrivals::Poisson => "poisson",
    }
}

/// A line of a file, its fields quoted where they must be.
fn line(fields: impl Iterator<Item = String>) -> String {
    fields
        .map(|field| quoted(&field))
        .collect::<Vec<_>>()
        .join(",")
        + "\r\n"
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// A number, or an empty field if it is not known.
fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn traffic(round: &Measurement, count: fn(&Traffic) -> u64) -> Option<f64> {
    Some(round.traffic.values().map(count).sum::<u64>() as f64)
}

fn quantile(round: &Measurement, quantile: f64) -> Option<f64> {
    round.service.quantile_ns(quantile).map(|ns| ns as f64)
}

fn whole(number: Option<u64>) -> Option<f64> {
    number.map(|number| number as f64)
}
