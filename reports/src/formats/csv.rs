//! `csv`: one line per cell and round, or per check of a gate, for spreadsheets and statistics programs.
//!
//! RFC 4180: commas, quotes if needed, CRLF. Plain numbers in the units given by the suffix of the column names (or by
//! the column next to them, in a gate); an empty field is an unknown number. The counts of a round come first, then
//! every other metric; a cell that was never measured has one line with the reason. Every line has the verdict of a
//! gate; an empty gate has no lines.

use photofinish_record::load::{Arrivals, Load};
use photofinish_record::{
    Arm, Cell, Measured, Measurement, Outcome, Requirement, SourceLocation, Traffic,
};

use super::{Error, File, Format, Render};
use crate::describe;
use crate::gate::{Check, GateReport, Interval};
use crate::metrics::{self, Metric};
use crate::report::Report;
use crate::rounds::{Rounds, measured};
use crate::summary::CellSummary;

pub(super) static RUN: Format = Format {
    name: "csv",
    summary: "one line per cell and round, plain numbers",
    render: Render::Run(render),
};

pub(super) static GATE: Format = Format {
    name: "csv",
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
        bytes(round, |traffic| traffic.bytes_out)
    }),
    ("bytes_in", |round| bytes(round, |traffic| traffic.bytes_in)),
    ("reconnects", |round| {
        traffic(round, |traffic| traffic.reconnects)
    }),
    ("full_handshakes", |round| {
        traffic(round, |traffic| traffic.full_handshakes)
    }),
    ("resumed_handshakes", |round| {
        traffic(round, |traffic| traffic.resumed_handshakes)
    }),
];

/// A column of a gate's checks.
type GateColumn = (&'static str, fn(&GateReport, &Check) -> String);

const GATE_COLUMNS: [GateColumn; 27] = [
    ("id", |report, _| report.id.clone()),
    ("gate", |report, _| report.verdict.name().to_owned()),
    ("scenario", |_, check| check.scenario.clone()),
    ("runtime", |_, check| check.runtime.clone()),
    ("model", |_, check| load_fields(check.load)[0].clone()),
    ("concurrency", |_, check| load_fields(check.load)[1].clone()),
    ("rate_hz", |_, check| load_fields(check.load)[2].clone()),
    ("arrivals", |_, check| load_fields(check.load)[3].clone()),
    ("metric", |_, check| check.metric.clone()),
    ("unit", |_, check| check.unit.clone()),
    ("requirement", |_, check| requirement(check).0.to_owned()),
    ("limit", |_, check| requirement(check).1.to_string()),
    ("text", |_, check| check.text.clone()),
    ("file", |_, check| place(check, |place| place.file.clone())),
    ("line", |_, check| {
        place(check, |place| place.line.to_string())
    }),
    ("verdict", |_, check| check.verdict.name().to_owned()),
    ("reason", |_, check| {
        check.reason.clone().unwrap_or_default()
    }),
    ("base", |_, check| number(check.base)),
    ("head", |_, check| number(check.head)),
    ("slowdown", |_, check| {
        part(check.slowdown, |slowdown| slowdown.estimate)
    }),
    ("slowdown_low", |_, check| {
        part(check.slowdown, |slowdown| slowdown.low)
    }),
    ("slowdown_high", |_, check| {
        part(check.slowdown, |slowdown| slowdown.high)
    }),
    ("value", |_, check| {
        part(check.value, |value| value.estimate)
    }),
    ("value_low", |_, check| part(check.value, |value| value.low)),
    ("value_high", |_, check| {
        part(check.value, |value| value.high)
    }),
    ("samples", |_, check| check.samples.to_string()),
    ("paired", |report, _| report.paired.to_string()),
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
            let cell_summary = report.summary.cells.get(index);
            let status = match &round.outcome {
                Outcome::Ok(measured) => validity(measured, cell_summary),
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

/// Every metric of the record's rounds that does not have its own column.
fn further_metrics(rounds: &Rounds<'_>) -> Vec<Metric> {
    let measured: Vec<&Measured> = rounds.counted().filter_map(measured).collect();
    let mut metrics = metrics::all(measured.iter().map(|round| &round.worker));
    metrics.retain(|metric| COLUMNS.iter().all(|(name, _)| *name != metric.name));
    metrics
}

/// Status and reason of a measured round: those of its cell, if the round itself gives no other reason.
fn validity(measured: &Measured, cell: Option<&CellSummary>) -> (&'static str, String) {
    let errors = [&measured.mismatches[..], &measured.worker.violations].concat();
    match cell {
        _ if !errors.is_empty() => ("invalid", errors.join("; ")),
        Some(cell) => {
            let reason = cell.reason.clone().unwrap_or_default();
            (describe::status(cell.status), reason)
        }
        None => ("ok", String::new()),
    }
}

/// The fields of a line; if the round was not measured, all numbers are unknown.
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
    let mut text = line(GATE_COLUMNS.iter().map(|(name, _)| (*name).to_owned()));
    for check in &report.checks {
        text += &line(GATE_COLUMNS.iter().map(|(_, field)| field(report, check)));
    }
    Ok(File::text("gate.csv", text))
}

fn requirement(check: &Check) -> (&'static str, f64) {
    match check.requirement {
        Requirement::Slowdown { limit } => ("slowdown", limit),
        Requirement::Below { value } => ("below", value),
        Requirement::Above { value } => ("above", value),
        Requirement::Errors { most } => ("errors", most),
    }
}

fn place(check: &Check, read: fn(&SourceLocation) -> String) -> String {
    check.place.as_ref().map_or(String::new(), read)
}

fn part(interval: Option<Interval>, read: fn(Interval) -> f64) -> String {
    number(interval.map(read).filter(|value| value.is_finite()))
}

/// Model, concurrency, rate and arrivals of a load.
pub(super) fn load_fields(load: Load) -> [String; 4] {
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
        Arrivals::Bursts => "bursts",
    }
}

/// A line of a file, its fields quoted if necessary. A spreadsheet would execute a text that begins like a formula, so it
/// gets an apostrophe; numbers may be negative.
pub(super) fn line(fields: impl Iterator<Item = String>) -> String {
    let quoted = |field: String| {
        let formula =
            field.starts_with(['=', '+', '-', '@', '\t']) && field.parse::<f64>().is_err();
        let field = if formula { format!("'{field}") } else { field };
        if field.contains([',', '"', '\r', '\n']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field
        }
    };
    describe::list(fields.map(quoted), ",") + "\r\n"
}

/// A number, or an empty field if unknown.
pub(super) fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn traffic(round: &Measurement, count: fn(&Traffic) -> u64) -> Option<f64> {
    let counts = round.traffic.values().map(count);
    Some(counts.fold(0, u64::saturating_add) as f64)
}

/// `None` if the worker does not know them for every target.
fn bytes(round: &Measurement, count: fn(&Traffic) -> Option<u64>) -> Option<f64> {
    let counts: Option<Vec<u64>> = round.traffic.values().map(count).collect();
    Some(counts?.into_iter().fold(0, u64::saturating_add) as f64)
}

fn quantile(round: &Measurement, quantile: f64) -> Option<f64> {
    round.service.quantile_ns(quantile).map(|ns| ns as f64)
}

fn whole(number: Option<u64>) -> Option<f64> {
    number.map(|number| number as f64)
}
