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

/// The observations of timers, of which the first that a group has is drawn, and their meanings.
const TIMERS: [(&str, &str); 3] = [
    ("timer_overshoot_p99_ns", "how late sleeps end"),
    (
        "bystander_delay_p99_ns",
        "how late a timer beside them wakes",
    ),
    ("probe_lag_p99_ns", "how late a task due each ms runs"),
];

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    TIMERS.iter().find_map(|(metric, what)| {
        let rows = Row::of_metric(report, group, metric, units::duration);
        let about = format!("{what}, p99");
        rows::bars(Labels::new(&KIND, group, &about, units::duration), &rows)
    })
}
