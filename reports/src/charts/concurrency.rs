//! Throughput by concurrency: what each runtime makes of more sessions, for scenarios measured at several loads.

use super::canvas::{Drawing, Ink, Point, Stroke, at};
use super::curves::{Curve, Frame};
use super::scale::Scale;
use super::{Draw, Kind, Source};
use crate::metrics::THROUGHPUT;
use crate::statistics::Estimate;
use crate::summary::{CellSummary, Group};
use crate::units;

const TITLE: &str = "Throughput by concurrency";

pub(super) static KIND: Kind = Kind {
    name: "concurrency",
    title: TITLE,
    draw: Draw::PerScenario(draw),
};

/// A runtime's throughput at each concurrency that it was measured at.
struct Series<'a> {
    runtime: &'a str,
    points: Vec<(f64, Estimate)>,
}

fn draw(source: &Source<'_>, groups: &[&Group<'_>]) -> Option<Drawing> {
    let series = series(groups);
    let levels = levels(&series);
    let (first, last) = (*levels.first()?, *levels.last()?);
    if levels.len() < 2 {
        return None;
    }
    let highest = series
        .iter()
        .flat_map(|one| &one.points)
        .map(|(_, estimate)| estimate.high)
        .fold(0.0, f64::max);
    let labels: Vec<String> = series.iter().map(|one| one.runtime.to_owned()).collect();
    let frame = Frame::of(&labels);
    let x = Scale::logarithmic((first, last), (frame.left + 8.0, frame.right - 8.0));
    let y = Scale::linear(
        (0.0, if highest > 0.0 { highest } else { 1.0 }),
        (frame.bottom, frame.top),
    );
    Some(Drawing::new(
        frame.height(),
        description(&series),
        |canvas| {
            let scenario = groups.first().map_or("", |group| group.scenario);
            canvas.heading(
                TITLE,
                &format!("{scenario} · operations per second, more is better"),
            );
            frame.y_axis(canvas, &y, units::count);
            let mut free_from = f64::NEG_INFINITY;
            for level in &levels {
                // Labels of levels that lie close together would run into each other.
                let place = x.place(*level);
                let label = if place >= free_from {
                    units::count(*level)
                } else {
                    String::new()
                };
                free_from = if label.is_empty() {
                    free_from
                } else {
                    place + LABEL
                };
                frame.x_tick(canvas, place, &label);
            }
            frame.x_caption(canvas, "sessions in flight");
            for one in &series {
                let ink = Ink::Runtime(source.look(one.runtime).light);
                for (level, estimate) in &one.points {
                    let place = x.place(*level);
                    let whisker = Stroke {
                        opacity: 0.6,
                        ..Stroke::new(ink, 1.5)
                    };
                    canvas.line(
                        at(place, y.place(estimate.low)),
                        at(place, y.place(estimate.high)),
                        whisker,
                    );
                }
            }
            let curves: Vec<Curve> = series.iter().map(|one| one.curve(source, &x, &y)).collect();
            frame.draw(canvas, &curves);
        },
    ))
}

/// Room for one level's label.
const LABEL: f64 = 34.0;

impl Series<'_> {
    fn curve(&self, source: &Source<'_>, x: &Scale, y: &Scale) -> Curve {
        let place =
            |(level, estimate): &(f64, Estimate)| at(x.place(*level), y.place(estimate.value));
        let points: Vec<Point> = self.points.iter().map(place).collect();
        Curve {
            label: self.runtime.to_owned(),
            look: source.look(self.runtime),
            marks: points.clone(),
            hollow: Vec::new(),
            points,
        }
    }
}

fn series<'a>(groups: &[&Group<'a>]) -> Vec<Series<'a>> {
    let mut series: Vec<Series<'a>> = Vec::new();
    for (group, cell) in groups
        .iter()
        .flat_map(|group| group.ranked().into_iter().map(move |cell| (group, cell)))
    {
        let Some(point) = point(group, cell) else {
            continue;
        };
        match series.iter_mut().find(|one| one.runtime == cell.runtime) {
            Some(one) => one.points.push(point),
            None => series.push(Series {
                runtime: &cell.runtime,
                points: vec![point],
            }),
        }
    }
    series
        .iter_mut()
        .for_each(|one| one.points.sort_by(|(a, _), (b, _)| a.total_cmp(b)));
    series
}

/// Nothing under open load, where the schedule decides the throughput.
fn point(group: &Group<'_>, cell: &CellSummary) -> Option<(f64, Estimate)> {
    if group.load.rate_hz().is_some() {
        return None;
    }
    Some((
        f64::from(group.load.concurrency().get()),
        cell.metric(THROUGHPUT)?.estimate(),
    ))
}

fn levels(series: &[Series<'_>]) -> Vec<f64> {
    let mut levels: Vec<f64> = series
        .iter()
        .flat_map(|one| &one.points)
        .map(|(level, _)| *level)
        .collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    levels
}

fn description(series: &[Series<'_>]) -> String {
    let best = |one: &Series<'_>| {
        one.points
            .iter()
            .map(|(_, estimate)| estimate.value)
            .fold(0.0, f64::max)
    };
    let said = series.iter().map(|one| {
        format!(
            "{} up to {} operations per second",
            one.runtime,
            units::count(best(one))
        )
    });
    said.collect::<Vec<_>>().join(", ")
}
