//! Benchmarks: the cells with numbers, for programs that store or judge benchmarks.
//!
//! Such programs have one name per benchmark, draw conclusions from every number, and have no notion of a hint. So each
//! name is used once, and a percentile with too few operations behind it is omitted; a lower bound stays, since without
//! it an overloaded server would vanish. The spelling of each format is in its own file.

use crate::describe;
use crate::metrics::{Better, METRICS, Metric};
use crate::names::Unique;
use crate::summary::{CellSummary, MetricSummary, Status, Summary};

/// A cell with numbers.
pub(super) struct Benchmark<'a> {
    /// `http-get/tokio/c64`, unique within the run.
    pub(super) name: String,
    pub(super) cell: &'a CellSummary,
}

/// A metric that runtimes are compared by, with its numbers over the rounds of one cell.
pub(super) struct ComparedMetric<'a> {
    pub(super) metric: &'static Metric,
    pub(super) better: Better,
    pub(super) over_rounds: &'a MetricSummary,
}

/// Every cell with numbers, in the plan's order.
pub(super) fn benchmarks(summary: &Summary) -> Vec<Benchmark<'_>> {
    let mut names = Unique::default();
    let cells = summary.cells.iter();
    cells
        .filter(|cell| cell.status == Status::Ok)
        .map(|cell| Benchmark {
            name: names.name(name(cell)),
            cell,
        })
        .collect()
}

/// `http-get/tokio/c64`.
pub(super) fn name(cell: &CellSummary) -> String {
    let load = describe::point_slug(cell.load, cell.arm, None);
    format!("{}/{}/{load}", cell.scenario, cell.runtime)
}

/// True if a number may be passed to a program that considers every number sound.
pub(super) fn is_sound(metric: &MetricSummary) -> bool {
    metric.too_few.is_none()
}

impl<'a> Benchmark<'a> {
    /// The sound metrics that runtimes are compared by under its load, in the order of [`METRICS`].
    pub(super) fn metrics(&self) -> impl Iterator<Item = ComparedMetric<'a>> + use<'a> {
        let cell = self.cell;
        METRICS.iter().filter_map(move |metric| {
            let over_rounds = cell.metric(&metric.name).filter(|found| is_sound(found))?;
            Some(ComparedMetric {
                metric,
                better: metric.compared_under(cell.load)?.better,
                over_rounds,
            })
        })
    }
}
