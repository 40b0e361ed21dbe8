//! Latency by rate: response times as the requested rate grows, for scenarios measured at several rates.
//!
//! Used for a sweep and for a search; for a search, the time is that of its objective, with a line at its limit. A
//! hollow marker is a rate that was not held (the load measured there is a different one), or, in a search, one that was
//! decided not to meet the objective, as in its table.

use std::str::FromStr as _;

use super::curves::{Frame, Series};
use super::drawing::{Drawing, Ink, Stroke, at};
use super::scale::{Scale, doubling};
use super::{Draw, Kind};
use crate::metrics::RESPONSE_P99;
use crate::report::Report;
use crate::search::Objective;
use crate::summary::{CellSummary, Group};
use crate::{describe, search_table, units};
use photofinish_record::load::Load;

pub(super) static KIND: Kind = Kind {
    name: "load-latency",
    title: "Latency by rate",
    draw: Draw::Scenario(draw),
};

/// The axis of rates is logarithmic if the highest rate is at least this multiple of the lowest.
const WIDE: f64 = 4.0;

/// Space between the axes and the first and last rate.
const INSET: f64 = 10.0;

/// The vertical axis.
struct TimeAxis {
    metric: String,
    limit: Option<Limit>,
}

/// A search's objective.
struct Limit {
    limit_ns: f64,
    objective: String,
}

fn draw(report: &Report<'_>, groups: &[&Group<'_>]) -> Option<Drawing> {
    let axis = TimeAxis::of(report, groups);
    let place = |load: Load| Some((Some(load.concurrency()), load.rate_hz()?.get()));
    let hollow = |cell: &CellSummary| !axis.is_filled(report, cell);
    let series = Series::of(report, groups, &axis.metric, place, hollow);
    let samples = || series.iter().flat_map(|one| &one.samples);
    let first = samples().map(|sample| sample.load).reduce(f64::min)?;
    let last = samples().map(|sample| sample.load).reduce(f64::max)?;
    if last <= first {
        return None;
    }
    let frame = Frame::of(series.iter().map(|one| &*one.label));
    let inside = (frame.left + INSET, frame.right - INSET);
    let x = if last / first < WIDE {
        Scale::linear((first, last), inside)
    } else {
        Scale::logarithmic((first, last), inside)
    };
    let times = samples()
        .flat_map(|sample| [sample.estimate.low, sample.estimate.high])
        .chain(axis.limit.iter().map(|limit| limit.limit_ns))
        .map(|time_ns| time_ns.max(1.0));
    let y = Scale::logarithmic(doubling(times), (frame.bottom, frame.top));

    let mut drawing = Drawing::new(
        frame.height(),
        KIND.title,
        &axis.subject(groups.first()?.scenario),
        description(&series, &axis),
    );
    frame.y_axis(&mut drawing, &y, units::duration);
    for rate in x.ticks(7) {
        let label = units::tick(&units::count(rate));
        frame.x_tick(&mut drawing, x.place(rate), &label);
    }
    frame.x_caption(&mut drawing, "operations requested per second");
    if let Some(limit) = &axis.limit {
        let y = y.place(limit.limit_ns);
        let stroke = Stroke::new(Ink::AXIS, 1.5);
        drawing.line(at(frame.left, y), at(frame.right, y), stroke);
    }
    frame.series(&mut drawing, &series, &x, &y);
    Some(drawing)
}

impl TimeAxis {
    /// The time of a search's objective, else the response time.
    fn of(report: &Report<'_>, groups: &[&Group<'_>]) -> Self {
        Self::of_search(report, groups).unwrap_or(Self {
            metric: RESPONSE_P99.to_owned(),
            limit: None,
        })
    }

    fn of_search(report: &Report<'_>, groups: &[&Group<'_>]) -> Option<Self> {
        let objective = &report.summary.search.as_ref()?.objective;
        let limit_ns = Objective::from_str(objective).ok()?.limit_ns() as f64;
        let metric = search_table::metric(objective)?;
        let mut cells = groups.iter().flat_map(|group| &group.cells);
        cells
            .any(|cell| cell.metric(&metric).is_some())
            .then(|| Self {
                metric,
                limit: Some(Limit {
                    limit_ns,
                    objective: objective.clone(),
                }),
            })
    }

    fn subject(&self, scenario: &str) -> String {
        let time = self.metric.trim_end_matches("_ns").replace('_', " ");
        let line = self.limit.as_ref().map_or(String::new(), |limit| {
            format!("line: {}; ", limit.objective)
        });
        let hollow = match self.limit {
            Some(_) => "objective not met",
            None => "rate not held",
        };
        format!("{scenario} · {time}; {line}hollow: {hollow}")
    }

    /// True if the search decided that a rate meets the objective; without a search, if the rate was held.
    fn is_filled(&self, report: &Report<'_>, cell: &CellSummary) -> bool {
        let rate_hz = cell.load.rate_hz().map(|rate| rate.get());
        let searches = report.searches.iter().filter(|search| {
            let sessions = cell.load.concurrency().get();
            search.scenario == cell.scenario && search.sessions.is_none_or(|own| own == sessions)
        });
        let rows = searches.flat_map(|search| &search.rows);
        let mut steps = rows
            .filter(|row| row.result.runtime == cell.runtime)
            .flat_map(|row| &row.result.steps);
        let step = steps.find(|step| self.limit.is_some() && Some(step.rate_hz) == rate_hz);
        step.map_or(cell.rate_held != Some(false), |step| step.met)
    }
}

fn description(series: &[Series], axis: &TimeAxis) -> String {
    let held = series.iter().map(|one| {
        let held = one.samples.iter().filter(|sample| !sample.hollow);
        let highest = held.map(|sample| sample.load).reduce(f64::max);
        let highest = highest.map_or("no rate".to_owned(), units::per_second);
        let verb = axis.limit.as_ref().map_or("held", |_| "met");
        format!("{} {verb} {highest}", one.label)
    });
    let limit = axis.limit.iter().map(|limit| limit.objective.clone());
    describe::list(held.chain(limit), ", ")
}
