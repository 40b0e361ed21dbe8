//! Speed-up: throughput against the reference runtime, from pairs within blocks, with the verdict, on a logarithmic axis,
//! so that twice as fast and half as fast lie equally far from the line at 1.

use super::drawing::Drawing;
use super::rows::{self, Labels, Row};
use super::{Chartable, Kind, Source, subject};
use crate::metrics::THROUGHPUT;
use crate::statistics::Estimate;
use crate::summary::{CellSummary, Comparison, Group};
use crate::{describe, units};

pub(super) static KIND: Kind = Kind {
    name: "speedup",
    title: "Speed-up",
    draw: Chartable::Load(draw),
};

fn draw(source: &Source<'_>, group: &Group<'_>) -> Option<Drawing> {
    let baseline = group
        .baseline()
        .filter(|_| group.headline() == THROUGHPUT)?;
    let mut rows: Vec<Row> = group
        .ranked()
        .into_iter()
        .filter_map(|cell| row(source, cell, baseline))
        .collect();
    rows.sort_by(|a, b| b.estimate.value.total_cmp(&a.estimate.value));
    let labels = Labels {
        title: KIND.title,
        subject: &format!("{} · throughput against {baseline}", subject(group)),
        tick: units::ratio,
    };
    Some(rows::dots(labels, &rows, 1.0))
}

fn row(source: &Source<'_>, cell: &CellSummary, baseline: &str) -> Option<Row> {
    if cell.runtime == baseline {
        let one = Estimate {
            value: 1.0,
            low: 1.0,
            high: 1.0,
            confidence: 1.0,
        };
        return Some(Row::new(source, cell, one, "1×".to_owned()));
    }
    let ratio = cell.comparisons.get(THROUGHPUT)?;
    let estimate = Estimate {
        value: ratio.median,
        low: ratio.low,
        high: ratio.high,
        confidence: ratio.confidence,
    };
    Some(Row::new(source, cell, estimate, text(ratio)))
}

fn text(ratio: &Comparison) -> String {
    let median = units::ratio(ratio.median);
    if ratio.pairs == 1 {
        return median;
    }
    let spread = units::spread(ratio.median, ratio.low, ratio.high);
    let text = format!("{median} {spread} {}", describe::verdict(ratio));
    text.trim_end().to_owned()
}
