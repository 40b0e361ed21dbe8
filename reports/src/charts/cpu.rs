//! CPU per operation: user and system time of the worker process, each with its interval over rounds.

use super::drawing::Drawing;
use super::rows::{self, Labels, Row};
use super::{Draw, Kind};
use crate::report::Report;
use crate::summary::Group;
use crate::units;

pub(super) static KIND: Kind = Kind {
    name: "cpu",
    title: "CPU per operation",
    draw: Draw::Load(draw),
};

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    let rows = Row::of_metric(report, group, "cpu_ns_per_op", units::duration);
    let about = "worker's CPU time, less is better";
    rows::bars(Labels::new(&KIND, group, about, units::duration), &rows)
}
