//! `github-action-benchmark`: input for the GitHub Action of that name, one file per direction.
//!
//! The action's `tool` input sets the better direction, once per file: `customBiggerIsBetter` or
//! `customSmallerIsBetter`. It rejects a file without entries, so a direction without any has no file. Its `range` is
//! one number after `±`: the distance to the farther end of the interval; absent if the rounds are too few for one. Next: `benchmarks`, which decides what is
//! omitted.

use serde::Serialize;

use super::benchmarks::{Benchmark, ComparedMetric, benchmarks};
use super::{Error, File, Format, Render};
use crate::describe::plural;
use crate::metrics::Better;
use crate::report::Report;
use crate::units;

pub(super) static FORMAT: Format = Format {
    name: "github-action-benchmark",
    summary: "two files for github-action-benchmark: bigger is better, smaller is better",
    render: Render::Run(render),
};

const FILES: [(Better, &str); 2] = [
    (Better::Higher, "bigger-is-better.json"),
    (Better::Lower, "smaller-is-better.json"),
];

#[derive(Serialize)]
struct Entry {
    name: String,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

fn render(report: &Report<'_>) -> Result<Vec<File>, Error> {
    let summary = &report.summary;
    let benchmarks = benchmarks(summary);
    let mut files = Vec::new();
    for (better, name) in FILES {
        let entries: Vec<Entry> = benchmarks
            .iter()
            .flat_map(|benchmark| entries(benchmark, better))
            .collect();
        if !entries.is_empty() {
            files.push(File::json(name, &entries)?);
        }
    }
    Ok(files)
}

fn entries(benchmark: &Benchmark<'_>, better: Better) -> impl Iterator<Item = Entry> {
    benchmark
        .metrics()
        .filter(move |compared| compared.better == better)
        .map(|compared| entry(benchmark, &compared))
}

fn entry(benchmark: &Benchmark<'_>, compared: &ComparedMetric<'_>) -> Entry {
    let (metric, summary) = (compared.metric, compared.over_rounds);
    let range = summary.bounds().map(|(low, high)| {
        let reach = (high - summary.median).max(summary.median - low);
        format!("± {reach}")
    });
    let shown = |value| units::with_unit(value, metric.unit);
    Entry {
        name: format!("{}/{}", benchmark.name, metric.name),
        unit: metric.unit,
        value: summary.median,
        range,
        extra: format!(
            "median of {}, between {} and {} with {} confidence",
            plural(benchmark.cell.rounds, "round"),
            shown(summary.low),
            shown(summary.high),
            units::percent(summary.confidence),
        ),
    }
}
