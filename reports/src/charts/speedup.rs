//! Speed-up: throughput against the reference runtime, from pairs within blocks, with the verdict, on a logarithmic axis,
//! so that twice as fast and half as fast lie equally far from the line at 1.

use super::canvas::Drawing;
use super::rows::{self, Row, Words};
use super::{Draw, Kind, Source, subject};
use crate::metrics::THROUGHPUT;
use crate::statistics::Estimate;
use crate::summary::{CellSummary, Comparison, Group};
use crate::{describe, units};

const TITLE: &str = "Speed-up";

pub(super) static KIND: Kind = Kind {
    name: "speedup",
    title: TITLE,
    draw: Draw::PerLoad(draw),
};

fn draw(source: &Source<'_>, group: &Group<'_>) -> Option<Drawing> {
    let baseline = group
        .baseline()
        .filter(|_| group.headline() == THROUGHPUT)?;
    let cells = group.ranked().into_iter();
    let mut rows: Vec<Row> = cells
        .filter_map(|cell| row(source, cell, baseline))
        .collect();
    rows.sort_by(|a, b| b.estimate.value.total_cmp(&a.estimate.value));
    let subject = format!("{} · throughput against {baseline}", subject(group));
    let words = Words {
        title: TITLE,
        subject: &subject,
        tick: units::ratio,
    };
    Some(rows::dots(words, &rows, 1.0))
}

fn row(source: &Source<'_>, cell: &CellSummary, baseline: &str) -> Option<Row> {
    if cell.runtime == baseline {
        let itself = Estimate {
            value: 1.0,
            low: 1.0,
            high: 1.0,
            confidence: 1.0,
        };
        return Some(Row::new(source, cell, itself, "1×".to_owned()));
    }
    let ratio = cell.comparisons.get(THROUGHPUT)?;
    Some(Row::new(source, cell, estimate(ratio), text(ratio)))
}

fn estimate(ratio: &Comparison) -> Estimate {
    Estimate {
        value: ratio.median,
        low: ratio.low,
        high: ratio.high,
        confidence: ratio.confidence,
    }
}

fn text(ratio: &Comparison) -> String {
    let median = units::ratio(ratio.median);
    match ratio.pairs {
        1 => median,
        _ => format!(
            "{median} {} {}",
            units::spread(ratio.median, ratio.low, ratio.high),
            describe::verdict(ratio)
        ),
    }
    .trim_end()
    .to_owned()
}
