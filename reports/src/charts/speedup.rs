//! Speed-up: throughput against the reference runtime, from pairs within blocks, with the verdict, on a logarithmic axis,
//! so that twice as fast and half as fast lie equally far from the line at 1.

use super::drawing::Drawing;
use super::rows::{self, Labels, Row};
use super::{Draw, Kind};
use crate::metrics::THROUGHPUT;
use crate::report::Report;
use crate::statistics::Estimate;
use crate::summary::{CellSummary, Comparison, Group};
use crate::{describe, units};

pub(super) static KIND: Kind = Kind {
    name: "speedup",
    title: "Speed-up",
    draw: Draw::Load(draw),
};

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    let reference = group
        .reference()
        .filter(|_| group.headline() == THROUGHPUT)?;
    let rows: Vec<Row> = group
        .in_plan_order()
        .into_iter()
        .filter_map(|cell| row(report, cell, reference))
        .collect();
    let about = format!("throughput against {reference}, log axis");
    let labels = Labels::new(&KIND, group, &about, units::ratio);
    Some(rows::dots(labels, &rows, 1.0))
}

fn row(report: &Report<'_>, cell: &CellSummary, reference: &str) -> Option<Row> {
    let (estimate, text) = if cell.runtime == reference {
        (Estimate::exact(1.0), "1×".to_owned())
    } else {
        let comparison = cell.comparisons.get(THROUGHPUT)?;
        (comparison.ratio, text(comparison))
    };
    Some(Row::new(report, cell, estimate, text))
}

fn text(comparison: &Comparison) -> String {
    let median = units::ratio(comparison.ratio.value);
    if comparison.pairs == 1 {
        return median;
    }
    let interval = units::interval(comparison.ratio.low, comparison.ratio.high, units::ratio);
    let text = format!("{median} ({interval}) {}", describe::verdict(comparison));
    text.trim_end().to_owned()
}
