//! Timer error: how late timers woke, as bars of the 99th percentile; for workloads and probes that observe it.

use super::drawing::Drawing;
use super::rows::{self, Labels, Row};
use super::{Draw, Kind};
use crate::report::Report;
use crate::summary::Group;
use crate::units;

pub(super) static KIND: Kind = Kind {
    name: "timer-error",
    title: "Timer error",
    draw: Draw::Load(draw),
};

/// The observations of timers, the first that a group has, and what was late.
const TIMERS: [(&str, &str); 3] = [
    ("timer_overshoot_p99_ns", "how late sleeps ended"),
    (
        "bystander_delay_p99_ns",
        "how late a timer beside the operation woke",
    ),
    (
        "probe_lag_p99_ns",
        "how late a task due every millisecond ran",
    ),
];

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    TIMERS.iter().find_map(|(metric, what)| {
        let rows = Row::of_metric(report, group, metric, units::duration);
        let about = format!("{what}, p99, less is better");
        rows::bars(Labels::new(&KIND, group, &about, units::duration), &rows)
    })
}
