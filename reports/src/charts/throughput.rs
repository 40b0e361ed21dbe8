//! Throughput: successful operations per second, the highest first, each with its interval over rounds.

use super::canvas::Drawing;
use super::rows::{self, Row, Words};
use super::{Draw, Kind, Source, subject};
use crate::metrics::THROUGHPUT;
use crate::summary::Group;
use crate::units;

const TITLE: &str = "Throughput";

pub(super) static KIND: Kind = Kind {
    name: "throughput",
    title: TITLE,
    draw: Draw::PerLoad(draw),
};

fn draw(source: &Source<'_>, group: &Group<'_>) -> Option<Drawing> {
    // Under open load the schedule decides how many there are.
    if group.load.rate_hz().is_some() {
        return None;
    }
    let measured = group
        .ranked()
        .into_iter()
        .filter_map(|cell| Some((cell, cell.metric(THROUGHPUT)?)));
    let rows: Vec<Row> = measured
        .map(|(cell, metric)| {
            Row::new(source, cell, metric.estimate(), units::count(metric.median))
        })
        .collect();
    let subject = format!("{} · operations per second, more is better", subject(group));
    let words = Words {
        title: TITLE,
        subject: &subject,
        tick: units::count,
    };
    (!rows.is_empty()).then(|| rows::bars(words, &rows))
}
