//! `openmetrics`: the run as an OpenMetrics exposition, for Prometheus and other readers of its text format.
//!
//! One gauge family per metric, in seconds and bytes as specified, with the unit at the end of its name; the label
//! `estimate` distinguishes the median over rounds from the bounds of its interval. Without timestamps: the program
//! that scrapes or pushes it adds the time. Cells without numbers are only in the `photofinish_cell_status` state set.
//! Next: `benchmarks`, which decides which percentiles are omitted.

use std::collections::{BTreeMap, BTreeSet};

use photofinish_record::UtcTime;
use photofinish_record::load::Load;

use super::benchmarks::{is_sound, name};
use super::csv::arrivals_name;
use super::{Error, File, Format, Render};
use crate::describe;
use crate::metrics::{Better, METRICS, named};
use crate::names::Unique;
use crate::report::Report;
use crate::summary::{CellSummary, MetricSummary, PartSummary, Status, Summary};

pub(super) static FORMAT: Format = Format {
    name: "openmetrics",
    summary: "OpenMetrics text: medians and their bounds as gauges, for Prometheus",
    render: Render::Run(render),
};

/// Name and value of a label.
type Label = (&'static str, String);

fn render(report: &Report<'_>) -> Result<Vec<File>, Error> {
    let summary = &report.summary;
    let cells = labelled(summary);
    let mut families = vec![run(summary), states(&cells), rounds(&cells)];
    families.extend(start(summary));
    families.extend(part_counts(&cells));
    let mut taken = Unique::default();
    for family in &families {
        taken.name(family.name.clone());
    }
    families.extend(measured(&cells, taken));
    let text: String = families.iter().map(Family::text).collect();
    Ok(vec![File::text("openmetrics.txt", text + "# EOF\n")])
}

/// Samples of one name.
struct Family {
    name: String,
    kind: &'static str,
    /// The suffix of the name; empty for a number without a unit.
    unit: String,
    help: String,
    samples: Vec<Sample>,
}

type Sample = (Vec<Label>, f64);

impl Family {
    fn new(name: &str, kind: &'static str, unit: &str, help: &str, samples: Vec<Sample>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            unit: unit.to_owned(),
            help: help.to_owned(),
            samples,
        }
    }

    fn text(&self) -> String {
        let Self { name, kind, .. } = self;
        let mut text = format!("# TYPE {name} {kind}\n");
        if !self.unit.is_empty() {
            text += &format!("# UNIT {name} {}\n", self.unit);
        }
        text += &format!("# HELP {name} {}\n", escaped(&self.help));
        let ending = if *kind == "info" { "_info" } else { "" };
        for (labels, value) in &self.samples {
            let label = |(key, value): &Label| format!("{key}=\"{}\"", escaped(value));
            let labels = describe::list(labels.iter().map(label), ",");
            text += &format!("{name}{ending}{{{labels}}} {value}\n");
        }
        text
    }
}

/// Escapes backslashes, quotes and line breaks, both in labels and in help texts.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// The cells with their labels; of cells with the same name only the first, since each series may exist only once.
fn labelled(summary: &Summary) -> Vec<(&CellSummary, Vec<Label>)> {
    let mut seen = BTreeSet::new();
    let cells = summary.cells.iter();
    let first = cells.filter(|cell| seen.insert(name(cell)));
    first.map(|cell| (cell, labels(cell))).collect()
}

fn labels(cell: &CellSummary) -> Vec<Label> {
    let mut labels = vec![
        ("scenario", cell.scenario.clone()),
        ("runtime", cell.runtime.clone()),
        ("model", "closed".to_owned()),
        ("concurrency", cell.load.concurrency().to_string()),
    ];
    if let Load::Open {
        arrivals, rate_hz, ..
    } = cell.load
    {
        labels[2].1 = "open".to_owned();
        labels.push(("arrivals", arrivals_name(arrivals).to_owned()));
        labels.push(("rate_hz", rate_hz.get().to_string()));
    }
    if let Some(arm) = cell.arm {
        labels.push(("arm", arm.name().to_owned()));
    }
    labels
}

fn run(summary: &Summary) -> Family {
    let labels = vec![
        ("id", summary.id.clone()),
        ("version", summary.tool.version.clone()),
        ("plan_hash", summary.plan_hash.clone()),
        ("os", summary.machine.os.clone()),
        ("arch", summary.machine.arch.clone()),
    ];
    let help = "The run and its machine.";
    Family::new("photofinish_run", "info", "", help, vec![(labels, 1.0)])
}

/// `None` if the record's start is not a valid time.
fn start(summary: &Summary) -> Option<Family> {
    let start: UtcTime = summary.started_utc.parse().ok()?;
    Some(Family::new(
        "photofinish_run_start_timestamp_seconds",
        "gauge",
        "seconds",
        "Start of the run since the Unix epoch.",
        vec![(Vec::new(), start.unix_s())],
    ))
}

fn states(cells: &[(&CellSummary, Vec<Label>)]) -> Family {
    const NAME: &str = "photofinish_cell_status";
    let states = [
        Status::Ok,
        Status::Unsupported,
        Status::Invalid,
        Status::Failed,
    ];
    let samples = cells.iter().flat_map(|(cell, labels)| {
        states.map(|state| {
            let label = vec![(NAME, describe::status(state).to_owned())];
            let value = f64::from(u8::from(state == cell.status));
            ([labels.clone(), label].concat(), value)
        })
    });
    let help = "Validity of a cell's numbers.";
    Family::new(NAME, "stateset", "", help, samples.collect())
}

fn rounds(cells: &[(&CellSummary, Vec<Label>)]) -> Family {
    let samples = cells
        .iter()
        .map(|(cell, labels)| (labels.clone(), cell.rounds as f64));
    Family::new(
        "photofinish_cell_rounds",
        "gauge",
        "rounds",
        "Rounds measured, each a fresh process.",
        samples.collect(),
    )
}

/// Statuses and failures of parts over all rounds; none if no operation has parts.
fn part_counts(cells: &[(&CellSummary, Vec<Label>)]) -> Vec<Family> {
    type Read = fn(&PartSummary) -> &BTreeMap<String, u64>;
    let kinds: [(&str, &'static str, &str, Read); 2] = [
        (
            "photofinish_part_statuses",
            "status",
            "Answers to parts of operations by status, over all rounds.",
            |part| &part.statuses,
        ),
        (
            "photofinish_part_failures",
            "kind",
            "Failed parts of operations by kind, over all rounds.",
            |part| &part.errors_by_kind,
        ),
    ];
    let family = |(name, key, help, read): (&str, &'static str, &str, Read)| {
        let samples = cells.iter().flat_map(|(cell, labels)| {
            let of_part = move |part| {
                let counts: &BTreeMap<String, u64> = read(part);
                counts.iter().map(move |(value, count)| {
                    let own = [("part", part.name.clone()), (key, value.clone())];
                    ([&labels[..], &own].concat(), *count as f64)
                })
            };
            cell.parts.iter().flat_map(of_part)
        });
        Family::new(name, "gauge", "", help, samples.collect())
    };
    let families = kinds.map(family).into_iter();
    families
        .filter(|family| !family.samples.is_empty())
        .collect()
}

/// A family for every metric of the cells with numbers: those of [`METRICS`] in order, then the workloads' own.
fn measured(cells: &[(&CellSummary, Vec<Label>)], mut taken: Unique) -> Vec<Family> {
    let mut by_name: BTreeMap<(usize, &str), Family> = BTreeMap::new();
    let mut of_parts: BTreeMap<&str, Family> = BTreeMap::new();
    for (cell, labels) in cells.iter().filter(|(cell, _)| cell.status == Status::Ok) {
        for (metric, found) in cell.metrics.iter().filter(|(_, found)| is_sound(found)) {
            let known = METRICS.iter().position(|known| known.name == **metric);
            let family = by_name
                .entry((known.unwrap_or(METRICS.len()), metric))
                .or_insert_with(|| family(metric, found));
            family.samples.extend(samples(labels, found));
        }
        for part in &cell.parts {
            let labels = [&labels[..], &[("part", part.name.clone())]].concat();
            for (metric, found) in part.metrics.iter().filter(|(_, found)| is_sound(found)) {
                let family = of_parts
                    .entry(metric)
                    .or_insert_with(|| family(&format!("part_{metric}"), found));
                family.samples.extend(samples(&labels, found));
            }
        }
    }
    let families = by_name.into_values().chain(of_parts.into_values());
    let mut families: Vec<Family> = families.collect();
    for family in &mut families {
        family.name = unique(&mut taken, family);
    }
    families
}

/// Names of workloads may become equal; the number that distinguishes them goes before the unit.
fn unique(taken: &mut Unique, family: &Family) -> String {
    let stem = family.name.strip_suffix(&family.unit);
    let stem = stem.unwrap_or(&family.name).trim_end_matches('_');
    let candidates = std::iter::once(family.name.clone()).chain((2..).map(|number| {
        let ending = if family.unit.is_empty() { "" } else { "_" };
        format!("{stem}_{number}{ending}{}", family.unit)
    }));
    let mut free = candidates.skip_while(|name| taken.name(name.clone()) != *name);
    free.next().expect("there is always a higher number")
}

fn family(metric: &str, found: &MetricSummary) -> Family {
    let scale = scale(&found.unit);
    let unit = scale.map_or_else(
        || found.unit.replace('/', "_per_"),
        |scale| scale.unit.to_owned(),
    );
    let stem = scale.and_then(|scale| metric.strip_suffix(scale.ending));
    let mut name = format!("photofinish_{}", plain(stem.unwrap_or(metric)));
    if !unit.is_empty() && !name.ends_with(&format!("_{unit}")) {
        name += &format!("_{unit}");
    }
    let better = match named(metric).and_then(|metric| metric.compared) {
        Some(compared) if compared.better == Better::Higher => " More is better.",
        Some(_) => " Less is better.",
        None => "",
    };
    Family {
        name,
        kind: "gauge",
        unit,
        help: format!("{metric}: the median over rounds, and the bounds of its interval.{better}"),
        samples: Vec::new(),
    }
}

fn samples(labels: &[Label], found: &MetricSummary) -> impl Iterator<Item = Sample> {
    let factor = scale(&found.unit).map_or(1.0, |scale| scale.factor);
    let bounds = found.bounds();
    let bounds = bounds.map(|(low, high)| [("low", low), ("high", high)]);
    let estimates = std::iter::once(("median", found.median)).chain(bounds.into_iter().flatten());
    estimates.map(move |(estimate, value)| {
        let label = ("estimate", estimate.to_owned());
        ([labels, &[label]].concat(), value / factor)
    })
}

/// The conversion of a unit into the format's base units.
#[derive(Clone, Copy)]
struct Scale {
    /// The suffix of a metric's name.
    ending: &'static str,
    /// The base unit, which replaces it.
    unit: &'static str,
    /// Divisor of the values.
    factor: f64,
}

fn scale(unit: &str) -> Option<Scale> {
    let (ending, unit, factor) = match unit {
        "ns" => ("_ns", "seconds", 1e9),
        "ns/op" => ("_ns_per_op", "seconds_per_op", 1e9),
        "ops/s" => ("_ops_s", "ops_per_second", 1.0),
        "bytes/op" => ("_bytes_per_op", "bytes_per_op", 1.0),
        "Hz" => ("_hz", "hertz", 1.0),
        _ => return None,
    };
    Some(Scale {
        ending,
        unit,
        factor,
    })
}

/// Replaces characters that a name must not have.
fn plain(text: &str) -> String {
    text.replace(|character: char| !character.is_ascii_alphanumeric(), "_")
}
