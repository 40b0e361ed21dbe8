//! Throughput: successful operations per second, highest first, each with its interval over rounds.

use super::drawing::Drawing;
use super::rows::{self, Labels, Row};
use super::{Chartable, Kind, Source, subject};
use crate::metrics::THROUGHPUT;
use crate::summary::Group;
use crate::units;

pub(super) static KIND: Kind = Kind {
    name: "throughput",
    title: "Throughput",
    draw: Chartable::Load(draw),
};

fn draw(source: &Source<'_>, group: &Group<'_>) -> Option<Drawing> {
    // Under open load the schedule decides the throughput.
    if group.load.rate_hz().is_some() {
        return None;
    }
    let labels = Labels {
        title: KIND.title,
        subject: &format!("{} · operations per second, more is better", subject(group)),
        tick: units::count,
    };
    rows::bars(
        labels,
        &Row::of_metric(source, group, THROUGHPUT, units::count),
    )
}
