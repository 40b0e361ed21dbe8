//! CPU per operation: user and system time of the worker process, the least first, each with its interval over rounds.

use super::canvas::Drawing;
use super::rows::{self, Row, Words};
use super::{Draw, Kind, Source, subject};
use crate::summary::Group;
use crate::units;

const TITLE: &str = "CPU per operation";

pub(super) static KIND: Kind = Kind {
    name: "cpu",
    title: TITLE,
    draw: Draw::PerLoad(draw),
};

fn draw(source: &Source<'_>, group: &Group<'_>) -> Option<Drawing> {
    let measured = group
        .ranked()
        .into_iter()
        .filter_map(|cell| Some((cell, cell.metric("cpu_ns_per_op")?)));
    let mut rows: Vec<Row> = measured
        .map(|(cell, metric)| {
            Row::new(
                source,
                cell,
                metric.estimate(),
                units::duration(metric.median),
            )
        })
        .collect();
    rows.sort_by(|a, b| a.estimate.value.total_cmp(&b.estimate.value));
    let subject = format!("{} · worker's CPU time, less is better", subject(group));
    let words = Words {
        title: TITLE,
        subject: &subject,
        tick: units::duration,
    };
    (!rows.is_empty()).then(|| rows::bars(words, &rows))
}
