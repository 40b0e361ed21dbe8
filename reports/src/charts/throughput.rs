//! Throughput: successful operations per second, each with its interval over rounds.

use super::drawing::Drawing;
use super::rows::{self, Labels, Row};
use super::{Draw, Kind};
use crate::metrics::THROUGHPUT;
use crate::report::Report;
use crate::summary::Group;
use crate::units;

pub(super) static KIND: Kind = Kind {
    name: "throughput",
    title: "Throughput",
    draw: Draw::Load(draw),
};

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    // Under open load the schedule decides the throughput.
    if group.load.rate_hz().is_some() {
        return None;
    }
    let rows = Row::of_metric(report, group, THROUGHPUT, units::count);
    let about = "operations per second, more is better";
    rows::bars(Labels::new(&KIND, group, about, units::count), &rows)
}
