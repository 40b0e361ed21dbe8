//! `benchstat`: the Go benchmark format, one line per measured round, so that `benchstat` has the samples themselves.
//!
//! Names are `BenchmarkCell/scenario=…/runtime=…/load=…`, whose keys its filters and columns understand; anything but
//! letters, digits and `-._` is percent-encoded in them, since a space would end a name. The configuration lines only
//! hold facts across which numbers must not be compared, since benchstat makes a table for each combination. Unit lines
//! hold the better direction. Next: `benchmarks`, which decides what is omitted.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use photofinish_record::load::Load;
use photofinish_record::{Measurement, Record, percent_encoded};

use super::benchmarks::{Benchmark, benchmarks};
use super::{Error, File, Format, Render};
use crate::describe;
use crate::metrics::{Better, METRICS, Metric};
use crate::report::Report;
use crate::rounds::measured;
use crate::summary::CellSummary;

pub(super) static FORMAT: Format = Format {
    name: "benchstat",
    summary: "Go benchmark format, one line per cell and round, for benchstat",
    render: Render::Run(render),
};

fn render(report: &Report<'_>) -> Result<Vec<File>, Error> {
    let summary = &report.summary;
    let benchmarks = benchmarks(summary);
    let text = configuration(report.record) + &units(&benchmarks) + &results(report, &benchmarks);
    Ok(vec![File::text("benchstat.txt", text)])
}

/// `key: value` lines.
fn configuration(record: &Record) -> String {
    let cpu = record.machine.cpu_model.clone().unwrap_or_default();
    let lines = [
        ("os", record.machine.os.clone()),
        ("arch", record.machine.arch.clone()),
        ("cpu", cpu),
        ("placement", describe::placement(&record.plan)),
    ];
    let known = lines.iter().filter(|(_, value)| !value.is_empty());
    known
        .map(|(key, value)| format!("{key}: {}\n", one_line(value)))
        .collect()
}

fn units(benchmarks: &[Benchmark<'_>]) -> String {
    let used: BTreeSet<&str> = benchmarks
        .iter()
        .flat_map(Benchmark::metrics)
        .map(|compared| &*compared.metric.name)
        .collect();
    let line = |metric: &Metric| {
        let better = match metric.compared?.better {
            Better::Higher => "higher",
            Better::Lower => "lower",
        };
        Some(format!("Unit {} better={better}\n", unit(metric)))
    };
    let used = METRICS.iter().filter(|metric| used.contains(&*metric.name));
    used.filter_map(line).collect()
}

/// One line for each round of a benchmark, in the order in which they ran.
fn results(report: &Report<'_>, benchmarks: &[Benchmark<'_>]) -> String {
    let mut text = String::new();
    for round in report.rounds.counted() {
        let cell = report.summary.cells.get(round.cell);
        let benchmark = benchmarks
            .iter()
            .find(|benchmark| cell.is_some_and(|cell| std::ptr::eq(cell, benchmark.cell)));
        if let (Some(benchmark), Some(measured)) = (benchmark, measured(round)) {
            text += &line(benchmark, &measured.worker);
        }
    }
    text
}

/// Empty for a round without numbers: benchstat considers a line without any an error.
fn line(benchmark: &Benchmark<'_>, round: &Measurement) -> String {
    let mut values = per_op(benchmark.cell.load, round).unwrap_or_default();
    for compared in benchmark.metrics() {
        if let Some(value) = compared.metric.read(round) {
            let _ = write!(values, " {value} {}", unit(compared.metric));
        }
    }
    if values.is_empty() {
        return values;
    }
    format!("{} {}{values}\n", name(benchmark.cell), round.ops)
}

/// Under closed load, the time per operation as in Go's own benchmarks: wall time over operations. Readers older than
/// benchstat (benchcmp, and users of golang.org/x/tools) know this unit and few others.
fn per_op(load: Load, round: &Measurement) -> Option<String> {
    let known = matches!(load, Load::Closed { .. }) && round.throughput_ops_s > 0.0;
    known.then(|| format!(" {} ns/op", 1e9 / round.throughput_ops_s))
}

fn name(cell: &CellSummary) -> String {
    let (scenario, runtime) = (encoded(&cell.scenario), encoded(&cell.runtime));
    let load = encoded(&describe::point_slug(cell.load, None, None));
    let model = match cell.load {
        Load::Closed { .. } => "closed",
        Load::Open { .. } => "open",
    };
    // `load` comes last, since a name that ends in a hyphen and digits states the number of processors.
    let arm = cell.arm.map(|arm| format!("/arm={}", arm.name()));
    let arm = arm.unwrap_or_default();
    format!("BenchmarkCell/scenario={scenario}/runtime={runtime}/model={model}{arm}/load={load}")
}

/// `service-p50-ns` for `service_p50_ns`: benchstat scales the parts between hyphens, and replaces `ns` by `sec`.
fn unit(metric: &Metric) -> String {
    match metric.name.strip_suffix("_ns_per_op") {
        Some(what) => format!("{}-ns/op", what.replace('_', "-")),
        None if metric.unit == "ops/s" => metric.unit.to_owned(),
        None => metric.name.replace('_', "-"),
    }
}

fn encoded(text: &str) -> String {
    percent_encoded(text, |character| {
        character.is_alphanumeric() || "-._".contains(character)
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
