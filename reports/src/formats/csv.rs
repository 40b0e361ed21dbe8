//! `csv`: one line per cell and round, for spreadsheets and statistics programs.
//!
//! RFC 4180: commas, quotes where needed, CRLF. Plain numbers in the units their columns' names end in; an empty field
//! is a number that is not known. The counts as they are come first, then every metric that is none of them. A cell that
//! was never measured has one line with its reason.

use photofinish_record::load::{Arrivals, Load};
use photofinish_record::{Arm, Cell, Measured, Measurement, Outcome, Record, Round};

use super::{Error, File, Format};
use crate::metrics::{self, Metric};
use crate::rounds;

pub(super) static FORMAT: Format = Format {
    name: "csv",
    extension: "csv",
    summary: "one line per cell and round, plain numbers",
    render,
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
    ("errors", |round| Some(rounds::failures(round) as f64)),
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
        Some(
            round
                .traffic
                .values()
                .map(|traffic| traffic.requests)
                .sum::<u64>() as f64,
        )
    }),
    ("bytes_out", |round| {
        Some(
            round
                .traffic
                .values()
                .map(|traffic| traffic.bytes_out)
                .sum::<u64>() as f64,
        )
    }),
    ("bytes_in", |round| {
        Some(
            round
                .traffic
                .values()
                .map(|traffic| traffic.bytes_in)
                .sum::<u64>() as f64,
        )
    }),
];

fn render(record: &Record) -> Result<Vec<File>, Error> {
    let metrics = further_metrics(record);
    let header = PLACE
        .iter()
        .copied()
        .chain(COLUMNS.iter().map(|(name, _)| *name))
        .chain(metrics.iter().map(|metric| &*metric.name))
        .map(str::to_owned);
    let mut text = line(header);
    for (index, cell) in record.plan.cells.iter().enumerate() {
        let mut rounds = rounds::of_cell(record, index).peekable();
        if rounds.peek().is_none() {
            text += &line(fields(
                cell,
                None,
                not_measured(cell),
                numbers(None, &metrics),
            ));
        }
        rounds.for_each(|round| text += &round_line(cell, round, &metrics));
    }
    Ok(vec![File {
        name: "rounds.csv".to_owned(),
        bytes: text.into_bytes(),
    }])
}

/// Every metric of the record's rounds that is no column of its own.
fn further_metrics(record: &Record) -> Vec<Metric> {
    let measured = rounds::counted(record).filter_map(|round| match &round.outcome {
        Outcome::Ok(measured) => Some(&measured.worker),
        _ => None,
    });
    let measured: Vec<&Measurement> = measured.collect();
    let mut metrics = metrics::all(measured.into_iter());
    metrics.retain(|metric| COLUMNS.iter().all(|(name, _)| *name != metric.name));
    metrics
}

fn not_measured(cell: &Cell) -> Said {
    Said {
        status: match cell.unsupported {
            Some(_) => "unsupported",
            None => "not-run",
        },
        reason: cell.unsupported.clone().unwrap_or_default(),
    }
}

/// What a line says of its round beside the numbers.
struct Said {
    status: &'static str,
    reason: String,
}

fn round_line(cell: &Cell, round: &Round, metrics: &[Metric]) -> String {
    let said = |status, reason: &str| Said {
        status,
        reason: reason.to_owned(),
    };
    let (said, worker) = match &round.outcome {
        Outcome::Ok(measured) => (judged(measured), Some(&measured.worker)),
        Outcome::Unsupported { reason } => (said("unsupported", reason), None),
        Outcome::Failed { reason } => (said("failed", reason), None),
    };
    line(fields(
        cell,
        Some(round.block),
        said,
        numbers(worker, metrics),
    ))
}

fn judged(measured: &Measured) -> Said {
    let wrong: Vec<&str> = measured
        .mismatches
        .iter()
        .chain(&measured.worker.violations)
        .map(String::as_str)
        .collect();
    Said {
        status: if wrong.is_empty() { "ok" } else { "invalid" },
        reason: wrong.join("; "),
    }
}

fn fields(
    cell: &Cell,
    block: Option<usize>,
    said: Said,
    numbers: impl Iterator<Item = Option<f64>>,
) -> impl Iterator<Item = String> {
    let [model, concurrency, rate_hz, arrivals] = place_of_load(cell.load);
    let text = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
    let place = [
        cell.scenario.clone(),
        cell.runtime.clone(),
        model,
        concurrency,
        rate_hz,
        arrivals,
        cell.arm.map_or("", Arm::name).to_owned(),
        block.map(|block| block.to_string()).unwrap_or_default(),
        said.status.to_owned(),
        said.reason,
    ];
    place.into_iter().chain(numbers.map(text))
}

/// Model, concurrency, rate and arrivals of a load.
pub(super) fn place_of_load(load: Load) -> [String; 4] {
    let (model, arrivals) = match load {
        Load::Closed { .. } => ("closed", ""),
        Load::Open { arrivals, .. } => ("open", name_of(arrivals)),
    };
    let rate_hz = load.rate_hz().map(|rate| rate.get().to_string());
    [
        model.to_owned(),
        load.concurrency().to_string(),
        rate_hz.unwrap_or_default(),
        arrivals.to_owned(),
    ]
}

fn name_of(arrivals: Arrivals) -> &'static str {
    match arrivals {
        Arrivals::Constant => "constant",
        Arrivals::Poisson => "poisson",
    }
}

/// The numbers of a measured round; all unknown of any other.
fn numbers(round: Option<&Measurement>, metrics: &[Metric]) -> impl Iterator<Item = Option<f64>> {
    let columns = COLUMNS.iter().map(move |(_, read)| round.and_then(read));
    let further = metrics
        .iter()
        .map(move |metric| round.and_then(|round| metric.read(round)));
    columns.chain(further)
}

/// A line of a file, its fields quoted where they must be.
pub(super) fn line(fields: impl Iterator<Item = String>) -> String {
    fields
        .map(|field| quoted(&field))
        .collect::<Vec<_>>()
        .join(",")
        + "\r\n"
}

fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

fn quantile(round: &Measurement, quantile: f64) -> Option<f64> {
    round.service.quantile_ns(quantile).map(|ns| ns as f64)
}

fn whole(number: Option<u64>) -> Option<f64> {
    number.map(|number| number as f64)
}
