//! Benchmarks: the cells with numbers as programs that keep or judge benchmarks know them.
//!
//! Such programs have one name per benchmark, draw conclusions from every number they are given, and cannot be told that
//! one is a hint only. So a name is handed out once, and a percentile with too few operations behind it is left out; one
//! that can only be greater stays, since without it an overloaded server would vanish. How each format spells the rest is
//! in its own file.

use crate::describe;
use crate::metrics::{Compared, METRICS, Metric};
use crate::names::Unique;
use crate::summary::{CellSummary, MetricSummary, Status, Summary};

/// A cell with numbers.
pub(super) struct Benchmark<'a> {
    /// `http-get/tokio/c64`, as no other benchmark of the run is called.
    pub(super) name: String,
    pub(super) cell: &'a CellSummary,
}

/// A metric that runtimes are compared by, with its numbers over the rounds of one cell.
pub(super) struct Judged<'a> {
    pub(super) metric: &'static Metric,
    pub(super) compared: Compared,
    pub(super) over_rounds: &'a MetricSummary,
}

/// Every cell with numbers, in the plan's order.
pub(super) fn benchmarks(summary: &Summary) -> Vec<Benchmark<'_>> {
    let mut names = Unique::default();
    let with_numbers = summary
        .cells
        .iter()
        .filter(|cell| cell.status == Status::Ok);
    with_numbers
        .map(|cell| Benchmark {
            name: names.name(name(cell)),
            cell,
        })
        .collect()
}

/// `http-get/tokio/c64`.
pub(super) fn name(cell: &CellSummary) -> String {
    let load = describe::point_slug(cell.load, cell.arm);
    format!("{}/{}/{load}", cell.scenario, cell.runtime)
}

/// Whether a number may be handed to a program that takes every number for sound.
pub(super) fn is_sound(metric: &MetricSummary) -> bool {
    metric.advisory.is_none() || metric.lower_bound
}

impl<'a> Benchmark<'a> {
    /// What runtimes are compared by under its load and is sound, in the order of [`METRICS`].
    pub(super) fn judged(&self) -> impl Iterator<Item = Judged<'a>> + use<'a> {
        let cell = self.cell;
        METRICS.iter().filter_map(move |metric| {
            let over_rounds = cell.metric(&metric.name).filter(|found| is_sound(found))?;
            Some(Judged {
                metric,
                compared: metric.compared_under(cell.load)?,
                over_rounds,
            })
        })
    }
}
