//! The table of parts: one row for each part of the operations and runtime, so that a part's runtimes are neighbours.

use super::{list, value};
use crate::summary::{CellSummary, PartSummary};
use crate::units;

/// Heading of the first column.
pub const PARTS: &str = "request";

/// A column of the table of parts.
#[derive(Clone, Copy, Debug)]
pub struct PartColumn {
    pub heading: &'static str,
    pub cell: PartCell,
    /// Order in which columns are dropped if there is no room for all: 0 is dropped last.
    pub rank: u8,
}

/// The content of a column.
#[derive(Clone, Copy, Debug)]
pub enum PartCell {
    /// A metric over rounds, with its interval.
    Metric(&'static str),
    /// A number over all rounds.
    Text(fn(&PartSummary) -> String),
}

/// The columns of the table of parts, after its runtime.
pub const PART_COLUMNS: &[PartColumn] = &[
    column(
        "share",
        2,
        PartCell::Text(|part| units::percent(part.share)),
    ),
    column(
        "count",
        6,
        PartCell::Text(|part| units::count(part.count as f64)),
    ),
    column("per s", 4, PartCell::Metric("throughput_ops_s")),
    column("p50", 1, PartCell::Metric("service_p50_ns")),
    column("p90", 5, PartCell::Metric("service_p90_ns")),
    column("p99", 0, PartCell::Metric("service_p99_ns")),
    column(
        "errors",
        3,
        PartCell::Text(|part| counts(&part.errors_by_kind)),
    ),
    column("statuses", 7, PartCell::Text(|part| counts(&part.statuses))),
];

const fn column(heading: &'static str, rank: u8, cell: PartCell) -> PartColumn {
    PartColumn {
        heading,
        cell,
        rank,
    }
}

impl PartColumn {
    /// The text of a part in this column.
    pub fn text(&self, part: &PartSummary) -> String {
        match self.cell {
            PartCell::Metric(metric) => value(part.metric(metric)),
            PartCell::Text(text) => text(part),
        }
    }
}

/// `200: 4012, 503: 7`; a dash if there are none.
fn counts(counts: &std::collections::BTreeMap<String, u64>) -> String {
    match counts.len() {
        0 => "–".to_owned(),
        _ => list(
            counts.iter().map(|(key, count)| format!("{key}: {count}")),
            ", ",
        ),
    }
}

/// The rows of the table: each part under each runtime, in the order of the parts; none if the operations have fewer than
/// two parts, since one is the whole operation.
pub fn part_rows<'a>(cells: &[&'a CellSummary]) -> Vec<(&'a PartSummary, &'a CellSummary)> {
    let mut names: Vec<&str> = Vec::new();
    for part in cells.iter().flat_map(|cell| &cell.parts) {
        if !names.contains(&part.name.as_str()) {
            names.push(&part.name);
        }
    }
    if names.len() < 2 {
        return Vec::new();
    }
    let of_name = |name: &'a str| {
        let of_cell = |cell: &&'a CellSummary| {
            let part = cell.parts.iter().find(|part| part.name == name)?;
            Some((part, *cell))
        };
        cells.iter().filter_map(of_cell).collect::<Vec<_>>()
    };
    names.into_iter().flat_map(of_name).collect()
}
