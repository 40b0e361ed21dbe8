//! `bmf`: Bencher Metric Format, for the `json` adapter of Bencher.
//!
//! Benchmark, measure, then the median with its interval as `lower_value` and `upper_value` (if there are rounds enough
//! for one), for the metrics by which runtimes are compared. The format has no units: the measures' names end in them, as in the summary. Throughput has
//! the name of Bencher's own measure, which is also in operations per second. Next: `benchmarks`, which decides what is
//! omitted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::benchmarks::{ComparedMetric, benchmarks};
use super::{Error, File, Format, Render};
use crate::metrics::THROUGHPUT;
use crate::report::Report;

pub(super) static FORMAT: Format = Format {
    name: "bmf",
    summary: "Bencher Metric Format, for Bencher's json adapter",
    render: Render::Run(render),
};

/// A number of one benchmark.
#[derive(Serialize)]
struct Value {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

fn render(report: &Report<'_>) -> Result<Vec<File>, Error> {
    let summary = &report.summary;
    let measures: BTreeMap<String, BTreeMap<&str, Value>> = benchmarks(summary)
        .into_iter()
        .map(|benchmark| {
            let measures = benchmark.metrics().map(|metric| measure(&metric)).collect();
            (benchmark.name, measures)
        })
        .collect();
    Ok(vec![File::json("bmf.json", &measures)?])
}

fn measure<'a>(compared: &ComparedMetric<'a>) -> (&'a str, Value) {
    let name = match &*compared.metric.name {
        THROUGHPUT => "throughput",
        name => name,
    };
    let bounds = compared.over_rounds.bounds();
    let value = Value {
        value: compared.over_rounds.median,
        lower_value: bounds.map(|(low, _)| low),
        upper_value: bounds.map(|(_, high)| high),
    };
    (name, value)
}
