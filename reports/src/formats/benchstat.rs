//! `benchstat`: the Go benchmark format, one line per measured round, so that `benchstat` has the samples themselves.
//!
//! Names are `BenchmarkCell/scenario=…/runtime=…/load=…`, whose keys its filters and columns understand; anything but
//! letters, digits and `-._` is percent-encoded in them, since a space would end a name. The configuration lines are only
//! what numbers must not be compared across, since benchstat puts each combination into a table of its own. Unit lines say
//! which way is better. Next: `benchmarks` for what is left out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use photofinish_record::load::Load;
use photofinish_record::{Measurement, Outcome, Record};

use super::benchmarks::{Benchmark, benchmarks};
use super::{Error, File, Format};
use crate::describe;
use crate::metrics::{Better, METRICS, Metric};
use crate::rounds;
use crate::summary::{CellSummary, Summary};

pub(super) static FORMAT: Format = Format {
    name: "benchstat",
    extension: "txt",
    summary: "Go benchmark format, one line per cell and round, for benchstat",
    render,
};

fn render(record: &Record) -> Result<Vec<File>, Error> {
    let summary = Summary::of(record);
    let benchmarks = benchmarks(&summary);
    let text =
        configuration(record) + &units(&benchmarks) + &results(record, &summary, &benchmarks);
    Ok(vec![File {
        name: "benchstat.txt".to_owned(),
        bytes: text.into_bytes(),
    }])
}

/// `key: value` lines.
fn configuration(record: &Record) -> String {
    let cpu = record.machine.cpu_model.clone().unwrap_or_default();
    let lines = [
        ("os", record.machine.os.clone()),
        ("arch", record.machine.arch.clone()),
        ("cpu", cpu),
        ("placement", describe::placement(&record.plan.placement)),
    ];
    let known = lines.iter().filter(|(_, value)| !value.is_empty());
    known
        .map(|(key, value)| format!("{key}: {}\n", one_line(value)))
        .collect()
}

fn units(benchmarks: &[Benchmark<'_>]) -> String {
    let used: BTreeSet<&str> = benchmarks
        .iter()
        .flat_map(Benchmark::judged)
        .map(|judged| &*judged.metric.name)
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
fn results(record: &Record, summary: &Summary, benchmarks: &[Benchmark<'_>]) -> String {
    let mut text = String::new();
    for round in rounds::counted(record) {
        let Outcome::Ok(measured) = &round.outcome else {
            continue;
        };
        let is_its = |benchmark: &&Benchmark<'_>| {
            summary
                .cells
                .get(round.cell)
                .is_some_and(|cell| std::ptr::eq(cell, benchmark.cell))
        };
        if let Some(benchmark) = benchmarks.iter().find(is_its) {
            text += &line(benchmark, &measured.worker);
        }
    }
    text
}

/// Nothing of a round without a number: a line without one is an error to benchstat.
fn line(benchmark: &Benchmark<'_>, round: &Measurement) -> String {
    let mut values = per_op(benchmark.cell.load, round).unwrap_or_default();
    for judged in benchmark.judged() {
        if let Some(value) = judged.metric.read(round) {
            let _ = write!(values, " {value} {}", unit(judged.metric));
        }
    }
    match values.is_empty() {
        true => values,
        false => format!("{} {}{values}\n", name(benchmark.cell), round.ops),
    }
}

/// Under closed load the time for each operation as Go's own benchmarks tell it, wall time over operations: readers older
/// than benchstat (benchcmp, and whatever parses with golang.org/x/tools) know this unit and few others.
fn per_op(load: Load, round: &Measurement) -> Option<String> {
    let known = matches!(load, Load::Closed { .. }) && round.throughput_ops_s > 0.0;
    known.then(|| format!(" {} ns/op", 1e9 / round.throughput_ops_s))
}

fn name(cell: &CellSummary) -> String {
    let (scenario, runtime) = (encoded(&cell.scenario), encoded(&cell.runtime));
    let load = encoded(&describe::point_slug(cell.load, None));
    let model = match cell.load {
        Load::Closed { .. } => "closed",
        Load::Open { .. } => "open",
    };
    // `load` comes last, since a name that ends in a hyphen and digits says how many processors it ran on.
    let arm = cell.arm.map(|arm| format!("/arm={}", arm.name()));
    let arm = arm.unwrap_or_default();
    format!("BenchmarkCell/scenario={scenario}/runtime={runtime}/model={model}{arm}/load={load}")
}

/// `service-p50-ns` of `service_p50_ns`: benchstat scales what stands between hyphens, and puts `sec` for `ns`.
fn unit(metric: &Metric) -> String {
    match metric.name.strip_suffix("_ns_per_op") {
        Some(what) => format!("{}-ns/op", what.replace('_', "-")),
        None if metric.unit == "ops/s" => metric.unit.to_owned(),
        None => metric.name.replace('_', "-"),
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for character in text.chars() {
        if character.is_alphanumeric() || "-._".contains(character) {
            encoded.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
