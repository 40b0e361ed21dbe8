//! CPU per operation: user and system time of the worker process, lowest first, each with its interval over rounds.

use super::drawing::Drawing;
use super::rows::{self, Labels, Row};
use super::{Chartable, Kind, Source, subject};
use crate::summary::Group;
use crate::units;

pub(super) static KIND: Kind = Kind {
    name: "cpu",
    title: "CPU per operation",
    draw: Chartable::Load(draw),
};

fn draw(source: &Source<'_>, group: &Group<'_>) -> Option<Drawing> {
    let mut rows = Row::of_metric(source, group, "cpu_ns_per_op", units::duration);
    rows.sort_by(|a, b| a.estimate.value.total_cmp(&b.estimate.value));
    let labels = Labels {
        title: KIND.title,
        subject: &format!("{} · worker's CPU time, less is better", subject(group)),
        tick: units::duration,
    };
    rows::bars(labels, &rows)
}
