//! A heat map of latency over the time of a round: one panel per runtime, all rounds together.
//!
//! The darker a field, the greater the share of the operations of its interval that took this time. Two modes are two
//! bands, and a pause is a column that reaches upwards.

use photofinish_record::intervals::bucket_start_ns;

use super::drawing::{Drawing, Ink, MARGIN, WIDTH, at};
use super::over_time::{self, LABELS, PANEL, Panel};
use super::scale::Scale;
use super::{Draw, Kind, subject};
use crate::report::Report;
use crate::summary::Group;
use crate::{describe, units};

pub(super) static KIND: Kind = Kind {
    name: "heat-map",
    title: "Latency over the time of a round",
    draw: Draw::Load(draw),
};

/// The opacity of a field from this share of its interval on.
const SHADES: [(f64, f64); 5] = [
    (0.0, 0.12),
    (0.003, 0.28),
    (0.03, 0.5),
    (0.12, 0.75),
    (0.35, 1.0),
];

/// Buckets of the record per field of the map.
const BUCKETS: usize = 2;

/// The share of each field in its interval, by interval and bucket.
struct Map {
    columns: Vec<Vec<(usize, f64)>>,
    length_s: f64,
}

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    let panels = Panel::all(report, group);
    let maps: Vec<Map> = panels.iter().map(Map::of).collect();
    let fields = || maps.iter().flat_map(|map| map.columns.iter().flatten());
    let lowest = fields().map(|(field, _)| *field).min()?;
    let highest = fields().map(|(field, _)| *field + 1).max()?;
    let names = over_time::names(&panels);
    let ends = (MARGIN + names + LABELS, WIDTH - MARGIN);
    let x = over_time::time_axis(&panels, ends);
    let time = match group.load.rate_hz() {
        None => "service time",
        Some(_) => "response time",
    };
    let described = panels.iter().zip(&maps).map(|(panel, map)| {
        let [low, high] = map.range().map(units::duration);
        format!("{} {low} to {high}", panel.label)
    });
    let described: Vec<String> = described.collect();
    let mut drawing = Drawing::new(
        over_time::height(&panels),
        KIND.title,
        &format!(
            "{} · {time}, log axis; darker: more of the operations",
            subject(group)
        ),
        describe::list(described.iter().cloned(), ", "),
    );
    drawing.shown = panels.iter().map(|panel| panel.runtime.clone()).collect();
    over_time::time_ticks(&mut drawing, panels.len(), &x);
    let labels = [lowest, highest].map(|field| units::duration(start_ns(field)));
    for (index, (panel, map)) in panels.iter().zip(&maps).enumerate() {
        let top = over_time::top(index);
        let y = Scale::linear((lowest as f64, highest as f64), (top + PANEL, top));
        drawing.of(&panel.runtime, |drawing| {
            over_time::name(drawing, index, panel, names);
            over_time::frame(drawing, index, ends, labels.clone());
            map.draw(drawing, Ink(panel.look.light), &x, &y);
            over_time::hint(drawing, index, &described[index]);
        });
    }
    Some(drawing)
}

fn start_ns(field: usize) -> f64 {
    bucket_start_ns(field * BUCKETS)
}

impl Map {
    fn of(panel: &Panel) -> Self {
        let longest = panel.alike().map(|round| round.intervals.len()).max();
        let column = |index: usize| {
            let mut counts: Vec<(usize, f64)> = Vec::new();
            let intervals = panel.alike().filter_map(|round| round.intervals.get(index));
            for (bucket, count) in intervals.flat_map(|interval| &interval.buckets) {
                counts.push((bucket / BUCKETS, *count as f64));
            }
            counts.sort_by_key(|(field, _)| *field);
            let all: f64 = counts.iter().map(|(_, count)| count).sum();
            let same = counts.chunk_by(|(a, _), (b, _)| a == b);
            same.map(|of_field| {
                let count: f64 = of_field.iter().map(|(_, count)| count).sum();
                (of_field[0].0, count / all)
            })
            .collect()
        };
        Self {
            columns: (0..longest.unwrap_or(0)).map(column).collect(),
            length_s: panel.rounds[0].length_s,
        }
    }

    /// The shortest and the longest time on the map, in ns.
    fn range(&self) -> [f64; 2] {
        let fields = || self.columns.iter().flatten().map(|(field, _)| *field);
        [
            start_ns(fields().min().unwrap_or(0)),
            start_ns(fields().max().unwrap_or(0) + 1),
        ]
    }

    /// The fields by shade, neighbours in time as one rectangle.
    fn draw(&self, drawing: &mut Drawing, ink: Ink, x: &Scale, y: &Scale) {
        for (level, (from, opacity)) in SHADES.into_iter().enumerate() {
            let below = SHADES.get(level + 1).map_or(f64::INFINITY, |shade| shade.0);
            let mut runs: Vec<(usize, usize, usize)> = Vec::new();
            for (column, fields) in self.columns.iter().enumerate() {
                let of_level = fields
                    .iter()
                    .filter(|(_, share)| (from..below).contains(share));
                for (field, _) in of_level {
                    let open = runs
                        .iter_mut()
                        .find(|(of, _, end)| of == field && *end == column);
                    match open {
                        Some((_, _, end)) => *end += 1,
                        None => runs.push((*field, column, column + 1)),
                    }
                }
            }
            for (field, start, end) in runs {
                let [left, right] = [start, end].map(|at| x.place(at as f64 * self.length_s));
                let (top, bottom) = (y.place(field as f64 + 1.0), y.place(field as f64));
                drawing.rectangle(at(left, top), at(right, bottom), ink, opacity);
            }
        }
    }
}
