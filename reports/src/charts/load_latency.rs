//! Latency by rate: what response times become as more is asked for, for scenarios measured at several rates.
//!
//! Of a sweep and of a search alike; of a search the time is that of its objective, with a line at its limit. A hollow
//! marker is a rate that was not held: what was measured there is another load.

use std::str::FromStr as _;

use super::canvas::{Canvas, Drawing, Ink, Point, Stroke, at};
use super::curves::{Curve, Frame};
use super::scale::Scale;
use super::{Draw, Kind, Source};
use crate::metrics::RESPONSE_P99;
use crate::search::Objective;
use crate::statistics::Estimate;
use crate::summary::{CellSummary, Group};
use crate::{search_table, units};

const TITLE: &str = "Latency by rate";

pub(super) static KIND: Kind = Kind {
    name: "load-latency",
    title: TITLE,
    draw: Draw::PerScenario(draw),
};

/// From this factor between the rates on, they stand on a logarithmic axis.
const WIDE: f64 = 4.0;

/// A runtime's time at each rate.
struct Series<'a> {
    runtime: &'a str,
    sessions: u32,
    points: Vec<Place>,
}

struct Place {
    rate_hz: f64,
    time_ns: Estimate,
    held: bool,
}

/// What stands on the vertical axis.
struct Asked {
    metric: String,
    /// The objective's limit in ns, and the objective.
    limit: Option<(f64, String)>,
}

fn draw(source: &Source<'_>, groups: &[&Group<'_>]) -> Option<Drawing> {
    let asked = asked(source, groups);
    let series = series(groups, &asked.metric);
    let rates = || {
        series
            .iter()
            .flat_map(|one| &one.points)
            .map(|place| place.rate_hz)
    };
    let (first, last) = (rates().reduce(f64::min)?, rates().reduce(f64::max)?);
    if last <= first {
        return None;
    }
    let several = series.iter().any(|one| one.sessions != series[0].sessions);
    let labels: Vec<String> = series.iter().map(|one| one.label(several)).collect();
    let frame = Frame::of(&labels);
    let room = (frame.left + INSET, frame.right - INSET);
    let x = if last / first < WIDE {
        Scale::linear((first, last), room)
    } else {
        Scale::logarithmic((first, last), room)
    };
    let y = Scale::logarithmic(time_domain(&series, &asked)?, (frame.bottom, frame.top));
    Some(Drawing::new(
        frame.height(),
        description(&series, &asked),
        |canvas| {
            let scenario = groups.first().map_or("", |group| group.scenario);
            let time = asked.metric.trim_end_matches("_ns").replace('_', " ");
            let line = asked
                .limit
                .iter()
                .map(|(_, objective)| format!("line: {objective}; "));
            let line: String = line.collect();
            canvas.heading(
                TITLE,
                &format!("{scenario} · {time}; {line}hollow: rate not held"),
            );
            frame.y_axis(canvas, &y, units::duration);
            for rate in x.ticks(7) {
                frame.x_tick(canvas, x.place(rate), &units::tick(&units::count(rate)));
            }
            frame.x_caption(canvas, "operations asked for per second");
            if let Some((limit_ns, _)) = &asked.limit {
                let y = y.place(*limit_ns);
                let line = Stroke::new(Ink::Axis, 1.5);
                canvas.line(at(frame.left, y), at(frame.right, y), line);
            }
            for one in &series {
                one.whiskers(source, canvas, &x, &y);
            }
            let curves: Vec<Curve> = series
                .iter()
                .zip(&labels)
                .map(|(one, label)| one.curve(source, label, &x, &y))
                .collect();
            frame.draw(canvas, &curves);
        },
    ))
}

/// Room between the axes and the first and last rate.
const INSET: f64 = 10.0;

/// The objective's time where there is a search, else the response.
fn asked(source: &Source<'_>, groups: &[&Group<'_>]) -> Asked {
    let response = Asked {
        metric: RESPONSE_P99.to_owned(),
        limit: None,
    };
    let Some(search) = &source.report.summary.search else {
        return response;
    };
    let objective = Objective::from_str(&search.objective).ok();
    let known = |name: &String| {
        let cells = groups.iter().flat_map(|group| &group.cells);
        cells.into_iter().any(|cell| cell.metric(name).is_some())
    };
    let metric = search_table::metric(&search.objective).filter(known);
    metric
        .zip(objective)
        .map_or(response, |(metric, objective)| Asked {
            metric,
            limit: Some((objective.limit_ns() as f64, search.objective.clone())),
        })
}

impl Series<'_> {
    fn label(&self, several: bool) -> String {
        match several {
            true => format!("{}, {}", self.runtime, self.sessions),
            false => self.runtime.to_owned(),
        }
    }

    fn whiskers(&self, source: &Source<'_>, canvas: &Canvas<'_>, x: &Scale, y: &Scale) {
        let ink = Ink::Runtime(source.look(self.runtime).light);
        let stroke = Stroke {
            opacity: 0.4,
            ..Stroke::new(ink, 1.5)
        };
        for place in &self.points {
            let x = x.place(place.rate_hz);
            let (low, high) = (y.place(place.time_ns.low), y.place(place.time_ns.high));
            canvas.line(at(x, low), at(x, high), stroke);
        }
    }

    fn curve(&self, source: &Source<'_>, label: &str, x: &Scale, y: &Scale) -> Curve {
        let point = |place: &Place| at(x.place(place.rate_hz), y.place(place.time_ns.value));
        let marks = |held: bool| -> Vec<Point> {
            let marked = self.points.iter().filter(|place| place.held == held);
            marked.map(point).collect()
        };
        Curve {
            label: label.to_owned(),
            look: source.look(self.runtime),
            points: self.points.iter().map(point).collect(),
            marks: marks(true),
            hollow: marks(false),
        }
    }
}

fn series<'a>(groups: &[&Group<'a>], metric: &str) -> Vec<Series<'a>> {
    let mut series: Vec<Series<'a>> = Vec::new();
    for cell in groups.iter().flat_map(|group| group.ranked()) {
        let Some(place) = place(cell, metric) else {
            continue;
        };
        let sessions = cell.load.concurrency().get();
        let same = |one: &&mut Series<'_>| one.runtime == cell.runtime && one.sessions == sessions;
        match series.iter_mut().find(same) {
            Some(one) => one.points.push(place),
            None => series.push(Series {
                runtime: &cell.runtime,
                sessions,
                points: vec![place],
            }),
        }
    }
    for one in &mut series {
        one.points.sort_by(|a, b| a.rate_hz.total_cmp(&b.rate_hz));
    }
    series
}

fn place(cell: &CellSummary, metric: &str) -> Option<Place> {
    Some(Place {
        rate_hz: cell.load.rate_hz()?.get(),
        time_ns: cell.metric(metric)?.estimate(),
        held: cell.rate_held != Some(false),
    })
}

/// From the least to the greatest time of any interval and the limit, at least a factor of two.
fn time_domain(series: &[Series<'_>], asked: &Asked) -> Option<(f64, f64)> {
    let intervals = series.iter().flat_map(|one| &one.points);
    let ends = intervals.flat_map(|place| [place.time_ns.low, place.time_ns.high]);
    let limit = asked.limit.iter().map(|(limit_ns, _)| *limit_ns);
    let all: Vec<f64> = ends.chain(limit).map(|time_ns| time_ns.max(1.0)).collect();
    let low = all.iter().copied().reduce(f64::min)?;
    let high = all.iter().copied().reduce(f64::max)?;
    let missing = (2.0 / (high / low)).max(1.0).sqrt();
    Some((low / missing / 1.1, high * missing * 1.1))
}

fn description(series: &[Series<'_>], asked: &Asked) -> String {
    let said = series.iter().map(|one| {
        let held = one.points.iter().filter(|place| place.held);
        let highest = held.map(|place| place.rate_hz).reduce(f64::max);
        let highest = highest.map_or("no rate".to_owned(), units::per_second);
        format!("{} held {highest}", one.runtime)
    });
    let limit = asked.limit.iter().map(|(_, objective)| objective.clone());
    said.chain(limit).collect::<Vec<_>>().join(", ")
}
