//! `bmf`: Bencher Metric Format, for the `json` adapter of Bencher.
//!
//! Benchmark, measure, then the median with its interval as `lower_value` and `upper_value`. Only what runtimes are
//! compared by is in it. The format has no units: they close the measures' names, as in the summary. Throughput goes by the
//! name of Bencher's own measure, which is in operations per second too. Next: `benchmarks` for what is left out.

use std::collections::BTreeMap;

use photofinish_record::Record;
use serde::Serialize;

use super::benchmarks::{Judged, benchmarks};
use super::{Error, File, Format};
use crate::metrics::THROUGHPUT;
use crate::summary::Summary;

pub(super) static FORMAT: Format = Format {
    name: "bmf",
    extension: "json",
    summary: "Bencher Metric Format, for Bencher's json adapter",
    render,
};

/// A number of one benchmark.
#[derive(Serialize)]
struct Value {
    value: f64,
    lower_value: f64,
    upper_value: f64,
}

fn render(record: &Record) -> Result<Vec<File>, Error> {
    let summary = Summary::of(record);
    let measures: BTreeMap<String, BTreeMap<&str, Value>> = benchmarks(&summary)
        .into_iter()
        .map(|benchmark| {
            let measures = benchmark.judged().map(|judged| measure(&judged)).collect();
            (benchmark.name, measures)
        })
        .collect();
    let mut bytes = serde_json::to_vec_pretty(&measures)?;
    bytes.push(b'\n');
    Ok(vec![File {
        name: "bmf.json".to_owned(),
        bytes,
    }])
}

fn measure<'a>(judged: &Judged<'a>) -> (&'a str, Value) {
    let name = match &*judged.metric.name {
        THROUGHPUT => "throughput",
        name => name,
    };
    let value = Value {
        value: judged.over_rounds.median,
        lower_value: judged.over_rounds.low,
        upper_value: judged.over_rounds.high,
    };
    (name, value)
}
