//! Over the time of a round: throughput on the left, latency on the right, one panel per runtime.
//!
//! Thin lines are rounds, the bold one is their median in each interval: a runtime that needs time to get going, or that
//! stalls at times, differs from one that is slow. Of latency the thin lines are the 99th percentiles; the bold ones are
//! the medians over rounds of the 99th and the 50th.

use photofinish_record::intervals::Interval;

use super::drawing::{Drawing, Ink, MARGIN, Point, Stroke, Type, WIDTH, at};
use super::over_time::{self, LABELS, PANEL, Panel, RoundOverTime, TOP};
use super::scale::{Scale, padded};
use super::{Draw, Kind, subject};
use crate::report::Report;
use crate::summary::Group;
use crate::{describe, statistics, units};

pub(super) static KIND: Kind = Kind {
    name: "timeline",
    title: "Over the time of a round",
    draw: Draw::Load(draw),
};

/// Maximum number of rounds drawn per runtime; the median is over all of them.
const MOST_LINES: usize = 4;

type Read = fn(&Interval, f64) -> Option<f64>;

/// The lines of a panel: of each, its reading and its horizontal axis.
const RATE: Read = |interval, length_s| Some(interval.succeeded() as f64 / length_s);
const P50: Read = |interval, _| interval.quantile_ns(0.5);
const P99: Read = |interval, _| interval.quantile_ns(0.99);

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    let panels = Panel::all(report, group);
    let values = |read: Read| {
        let rounds = panels.iter().flat_map(Panel::alike);
        let values = rounds.flat_map(move |round| read_all(round, read));
        values.map(|(_, value)| value).collect::<Vec<f64>>()
    };
    let (rates, times) = (values(RATE), [values(P50), values(P99)].concat());
    if times.is_empty() {
        return None;
    }
    let names = over_time::names(&panels);
    let left = (MARGIN + names + LABELS, 0.0);
    let half = (WIDTH - MARGIN - left.0 - LABELS) / 2.0;
    let on_left = (left.0, left.0 + half);
    let on_right = (WIDTH - MARGIN - half, WIDTH - MARGIN);
    let highest = rates.iter().copied().fold(0.0, f64::max);
    let latency = padded(times.iter().copied(), 1.05);

    let disturbed = panels.iter().flat_map(|panel| &panel.rounds);
    let disturbed = disturbed.filter(|round| round.disturbed).count();
    let grey = if disturbed > 0 {
        "; grey: disturbed"
    } else {
        ""
    };
    let described: Vec<String> = panels.iter().map(described).collect();
    let mut drawing = Drawing::new(
        over_time::height(&panels),
        KIND.title,
        &format!("{} · thin: rounds, bold: median{grey}", subject(group)),
        describe::list(described.iter().cloned(), ", "),
    );
    drawing.shown = panels.iter().map(|panel| panel.runtime.clone()).collect();
    let heading = TOP - 9.0;
    let headings = ["operations per second", "p99 and p50, log axis"];
    for (x, text) in [on_left, on_right].into_iter().zip(headings) {
        drawing.text(at(x.0, heading), text, Type::SMALL);
        over_time::time_ticks(
            &mut drawing,
            panels.len(),
            &over_time::time_axis(&panels, x),
        );
    }
    for (index, (panel, hint)) in panels.iter().zip(&described).enumerate() {
        let top = over_time::top(index);
        let upwards = (top + PANEL, top);
        let rate = Plot {
            x: over_time::time_axis(&panels, on_left),
            y: Scale::from_zero([highest].into_iter(), upwards),
        };
        let time = Plot {
            x: over_time::time_axis(&panels, on_right),
            y: Scale::logarithmic(latency, upwards),
        };
        let rates = [0.0, highest].map(units::count);
        let times = [latency.0, latency.1].map(units::duration);
        drawing.of(&panel.runtime, |drawing| {
            over_time::name(drawing, index, panel, names);
            over_time::frame(drawing, index, on_left, rates);
            over_time::frame(drawing, index, on_right, times);
            rate.rounds(drawing, panel, RATE);
            time.rounds(drawing, panel, P99);
            rate.median(drawing, panel, RATE, 2.2);
            time.median(drawing, panel, P99, 2.2);
            time.median(drawing, panel, P50, 1.2);
            over_time::hint(drawing, index, hint);
        });
    }
    Some(drawing)
}

fn described(panel: &Panel) -> String {
    let of = |read| {
        let all: Vec<f64> = median_line(panel, read).map(|(_, value)| value).collect();
        statistics::median(&all).unwrap_or_default()
    };
    let (rate, time) = (units::count(of(RATE)), units::duration(of(P99)));
    format!("{} {rate} per second and p99 {time}", panel.label)
}

/// The axes of one half of a panel.
struct Plot {
    x: Scale,
    y: Scale,
}

impl Plot {
    fn line(&self, values: impl Iterator<Item = (f64, f64)>) -> Vec<Point> {
        let place = |(seconds, value)| at(self.x.place(seconds), self.y.place(value));
        values.map(place).collect()
    }

    fn rounds(&self, drawing: &mut Drawing, panel: &Panel, read: Read) {
        let every = panel.rounds.len().div_ceil(MOST_LINES);
        let drawn = panel.rounds.iter().step_by(every);
        // Those of one ink together, which makes them one element.
        for disturbed in [true, false] {
            let ink = if disturbed {
                Ink::AXIS
            } else {
                Ink(panel.look.light)
            };
            let stroke = Stroke::new(ink, 0.7).faded(0.5);
            for round in drawn.clone().filter(|round| round.disturbed == disturbed) {
                drawing.path(self.line(read_all(round, read)), stroke);
            }
        }
    }

    fn median(&self, drawing: &mut Drawing, panel: &Panel, read: Read, width: f64) {
        let stroke = Stroke::new(Ink(panel.look.light), width);
        drawing.path(self.line(median_line(panel, read)), stroke);
    }
}

/// The values of a round, each at the middle of its interval in seconds.
fn read_all(round: &RoundOverTime, read: Read) -> impl Iterator<Item = (f64, f64)> {
    let intervals = round.intervals.iter().enumerate();
    intervals.filter_map(move |(index, interval)| {
        let seconds = (index as f64 + 0.5) * round.length_s;
        Some((seconds, read(interval, round.length_s)?))
    })
}

/// The median over the rounds in each interval.
fn median_line(panel: &Panel, read: Read) -> impl Iterator<Item = (f64, f64)> {
    let longest = panel.alike().map(|round| round.intervals.len()).max();
    (0..longest.unwrap_or(0)).filter_map(move |index| {
        let values = panel.alike().filter_map(|round| {
            let interval = round.intervals.get(index)?;
            read(interval, round.length_s)
        });
        let values: Vec<f64> = values.collect();
        let seconds = (index as f64 + 0.5) * panel.rounds[0].length_s;
        Some((seconds, statistics::median(&values)?))
    })
}
