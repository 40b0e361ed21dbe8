//! The choices of the verdict matrix: further metrics, and each runtime as the reference, for the page's controls.
//!
//! Controls compute nothing, so every cell that they can show is made here, with the words of the matrix, and embedded in the
//! page as compressed JSON. A large run has too many; the matrix then stays as planned.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use super::matrix::shade;
use crate::matrix::Row;
use crate::metrics::{RESPONSE_P50, RESPONSE_P99, THROUGHPUT};
use crate::report::Report;
use crate::summary::Comparison;
use crate::{describe, embedded, units};

/// The metrics offered, with their names.
const METRICS: [(&str, &str); 7] = [
    (THROUGHPUT, "throughput"),
    ("service_p50_ns", "service p50"),
    ("service_p99_ns", "service p99"),
    (RESPONSE_P50, "response p50"),
    (RESPONSE_P99, "response p99"),
    ("cpu_ns_per_op", "CPU per operation"),
    ("peak_rss_bytes", "peak memory"),
];

/// Maximum number of comparisons: 40 rows of ten runtimes by five metrics, each against each, are 20,000.
const MOST_COMPARISONS: usize = 30_000;

/// Classes, glyph, ratio, interval and verdict of a cell.
type Cell = [String; 5];

#[derive(Serialize)]
struct Choices<'a> {
    metrics: Vec<Metric>,
    references: Vec<&'a str>,
    /// The caption, with places for metric and reference.
    caption: String,
    rows: Vec<RowChoices<'a>>,
}

#[derive(Serialize)]
struct Metric {
    name: &'static str,
    label: String,
}

#[derive(Serialize)]
struct RowChoices<'a> {
    reference: Option<&'a str>,
    /// By metric and reference, in the order of the columns.
    cells: BTreeMap<&'static str, BTreeMap<&'a str, Vec<Option<Cell>>>>,
}

/// The data block; empty if nothing is compared, or if there is too much.
pub(super) fn block(report: &Report<'_>) -> Markup {
    let matrix = &report.matrix;
    let comparisons = matrix.rows.len() * matrix.runtimes.len().pow(2) * METRICS.len();
    if !matrix.compares() || comparisons > MOST_COMPARISONS {
        return html! {};
    }
    let text = embedded::compressed(&Choices::of(report));
    html! {
        @if let Some(text) = text { script type="application/x-photofinish-choices" id="choices" { (PreEscaped(text)) } }
    }
}

impl<'a> Choices<'a> {
    fn of(report: &'a Report<'_>) -> Self {
        let matrix = &report.matrix;
        let rows = matrix.rows.iter();
        let rows: Vec<RowChoices<'a>> = rows.map(|row| RowChoices::of(report, row)).collect();
        let offered = METRICS.into_iter();
        let offered =
            offered.filter(|(name, _)| rows.iter().any(|row| row.cells.contains_key(name)));
        let metrics = offered.map(|(name, label)| Metric {
            name,
            label: describe::matrix_caption(&describe::metric_with_direction(name, label), None),
        });
        Self {
            metrics: metrics.collect(),
            references: matrix.runtimes.iter().map(String::as_str).collect(),
            caption: describe::matrix_caption("{metric}", Some("{reference}")),
            rows,
        }
    }
}

impl<'a> RowChoices<'a> {
    fn of(report: &'a Report<'_>, row: &'a Row) -> Self {
        let runtimes = &report.matrix.runtimes;
        let mut cells = BTreeMap::new();
        for (metric, _) in METRICS {
            let against = |reference: &'a String| {
                let compared = row.against(&report.rounds, &report.summary, metric, reference)?;
                let columns = compared.into_iter().zip(runtimes);
                let cells = columns.map(|(comparison, runtime)| match comparison {
                    Some(comparison) => Some(compared_cell(&comparison)),
                    None => (runtime == reference).then(reference_cell),
                });
                Some((reference.as_str(), cells.collect()))
            };
            let by_reference: BTreeMap<&str, Vec<Option<Cell>>> =
                runtimes.iter().filter_map(against).collect();
            if !by_reference.is_empty() {
                cells.insert(metric, by_reference);
            }
        }
        Self {
            reference: row.reference.as_deref(),
            cells,
        }
    }
}

fn compared_cell(comparison: &Comparison) -> Cell {
    let Comparison { ratio, verdict, .. } = comparison;
    let interval = units::interval(ratio.low, ratio.high, units::ratio);
    [
        shade(*verdict, ratio.value),
        verdict.map_or("", describe::glyph).to_owned(),
        units::ratio(ratio.value),
        if comparison.pairs > 1 {
            interval
        } else {
            String::new()
        },
        verdict
            .map_or("no verdict", describe::verdict_word)
            .to_owned(),
    ]
}

fn reference_cell() -> Cell {
    ["reference", "", "1×", "", "reference"].map(str::to_owned)
}
