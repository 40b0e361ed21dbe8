//! `github-action-benchmark`: what the GitHub Action of that name reads, one file per direction.
//!
//! The action is told by its `tool` input which way is better, once per file: `customBiggerIsBetter` for the one,
//! `customSmallerIsBetter` for the other. It refuses a file without entries, so a direction that has none has no file. Its
//! `range` is one number after `±`: the farther end of the interval. Next: `benchmarks` for what is left out.

use photofinish_record::Record;
use serde::Serialize;

use super::benchmarks::{Benchmark, Judged, benchmarks};
use super::{Error, File, Format};
use crate::describe::plural;
use crate::metrics::Better;
use crate::summary::Summary;
use crate::units;

pub(super) static FORMAT: Format = Format {
    name: "github-action-benchmark",
    extension: "json",
    summary: "two files for github-action-benchmark: bigger is better, smaller is better",
    render,
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
    range: String,
    extra: String,
}

fn render(record: &Record) -> Result<Vec<File>, Error> {
    let summary = Summary::of(record);
    let benchmarks = benchmarks(&summary);
    let mut files = Vec::new();
    for (better, name) in FILES {
        let entries: Vec<Entry> = benchmarks
            .iter()
            .flat_map(|benchmark| entries(benchmark, better))
            .collect();
        if !entries.is_empty() {
            let mut bytes = serde_json::to_vec_pretty(&entries)?;
            bytes.push(b'\n');
            let name = name.to_owned();
            files.push(File { name, bytes });
        }
    }
    Ok(files)
}

fn entries(benchmark: &Benchmark<'_>, better: Better) -> impl Iterator<Item = Entry> {
    benchmark
        .judged()
        .filter(move |judged| judged.compared.better == better)
        .map(|judged| entry(benchmark, &judged))
}

fn entry(benchmark: &Benchmark<'_>, judged: &Judged<'_>) -> Entry {
    let (metric, found) = (judged.metric, judged.over_rounds);
    let reach = (found.high - found.median).max(found.median - found.low);
    let shown = |value| units::with_unit(value, metric.unit);
    Entry {
        name: format!("{}/{}", benchmark.name, metric.name),
        unit: metric.unit,
        value: found.median,
        range: format!("± {reach}"),
        extra: format!(
            "median of {}, between {} and {} with {} confidence",
            plural(benchmark.cell.rounds, "round"),
            shown(found.low),
            shown(found.high),
            units::percent(found.confidence),
        ),
    }
}
