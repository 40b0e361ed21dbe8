//! Latency by rate: response times as the requested rate grows, for scenarios measured at several rates.
//!
//! Used for a sweep and for a search; for a search, the time is that of its objective, with a line at its limit. A
//! hollow marker is a rate that was not held (the load measured there is a different one), or, in a search, one that was
//! decided not to meet the objective, as in its table.

use std::str::FromStr as _;

use super::curves::{Frame, Sample, Series};
use super::drawing::{Drawing, Ink, Stroke, Type, at};
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

/// Space for one rate's label.
const RATE_LABEL: f64 = 44.0;

/// Radius of the ring around a knee.
const KNEE: f64 = 9.0;
/// A curve has a knee if it has at least this many samples,
const LEAST_SAMPLES: usize = 4;
/// rises by this factor,
const LEAST_RISE: f64 = 3.0;
/// and bends by this share of its range.
const LEAST_BEND: f64 = 0.2;

/// Space between the axes and the first and last rate.
const INSET: f64 = 16.0;

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
    match axis.limit {
        // The rates of a search are as many as its steps.
        Some(_) => frame.x_ticks_at(&mut drawing, &x, &x.ticks(7), 0.0),
        None => {
            let mut rates: Vec<f64> = samples().map(|sample| sample.load).collect();
            rates.sort_by(f64::total_cmp);
            rates.dedup();
            frame.x_ticks_at(&mut drawing, &x, &rates, RATE_LABEL);
        }
    }
    frame.x_caption(&mut drawing, "operations requested per second");
    if let Some(limit) = &axis.limit {
        let y = y.place(limit.limit_ns);
        let stroke = Stroke::new(Ink::AXIS, 1.5);
        drawing.line(at(frame.left, y), at(frame.right, y), stroke);
    }
    for one in &series {
        if let Some(sample) = knee(&one.samples) {
            let place = at(x.place(sample.load), y.place(sample.estimate.value));
            drawing.dot(place, KNEE, Ink::AXIS);
            drawing.dot(place, KNEE - 1.5, Ink::PAPER);
            drawing.text(at(place.x, place.y - 17.0), "knee", Type::SMALL.middle());
        }
    }
    frame.series(&mut drawing, &series, &x, &y, units::duration);
    Some(drawing)
}

/// The sample from which a curve rises steeply: the one farthest below the line from its first to its last, with rates
/// and the logarithms of times as shares of their ranges. `None` for few samples, and for a curve that hardly rises or
/// does not bend.
fn knee(samples: &[Sample]) -> Option<&Sample> {
    let ([first, .., last], true) = (samples, samples.len() >= LEAST_SAMPLES) else {
        return None;
    };
    let time = |sample: &Sample| sample.estimate.value.max(1.0).ln();
    let rise = time(last) - time(first);
    let below = |sample: &Sample| {
        let along = (sample.load - first.load) / (last.load - first.load);
        along - (time(sample) - time(first)) / rise
    };
    let farthest = samples
        .iter()
        .max_by(|a, b| below(a).total_cmp(&below(b)))?;
    (rise >= LEAST_RISE.ln() && below(farthest) >= LEAST_BEND).then_some(farthest)
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
        format!("{scenario} · {time}, log axis; {line}hollow: {hollow}")
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
        let knee = knee(&one.samples).map(|knee| units::per_second(knee.load));
        let knee = knee.map_or(String::new(), |rate| format!(" with the knee at {rate}"));
        format!("{} {verb} {highest}{knee}", one.label)
    });
    let limit = axis.limit.iter().map(|limit| limit.objective.clone());
    describe::list(held.chain(limit), ", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Estimate;

    fn samples(times_ms: &[f64]) -> Vec<Sample> {
        let sample = |(index, time_ms): (usize, &f64)| Sample {
            load: 1_000.0 * (index + 1) as f64,
            estimate: Estimate::exact(time_ms * 1e6),
            hollow: false,
        };
        times_ms.iter().enumerate().map(sample).collect()
    }

    #[test]
    fn the_knee_is_where_times_begin_to_rise_steeply() {
        let bent = samples(&[1.0, 1.1, 1.1, 1.2, 40.0, 300.0]);
        assert_eq!(knee(&bent).map(|sample| sample.load), Some(4_000.0));
        for without in [
            &[1.0, 1.1, 1.1, 1.2, 1.4][..],
            &[1.0, 10.0, 100.0, 1_000.0],
            &[1.0, 1.0, 90.0],
            &[],
        ] {
            assert!(knee(&samples(without)).is_none(), "{without:?}");
        }
    }
}
