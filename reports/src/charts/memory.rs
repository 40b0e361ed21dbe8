//! Memory: the peak of the worker process, as bars under one load, and as curves over the sessions of a sweep, whose
//! slope is the memory of a session.

use photofinish_record::load::Load;

use super::concurrency::Sweep;
use super::curves::{Frame, Series};
use super::drawing::Drawing;
use super::rows::{self, Labels, Row};
use super::scale::Scale;
use super::{Draw, Kind};
use crate::report::Report;
use crate::statistics::Estimate;
use crate::summary::Group;
use crate::{describe, units};

pub(super) static PEAK: Kind = Kind {
    name: "memory",
    title: "Peak memory",
    draw: Draw::Load(draw_peak),
};

pub(super) static BY_SESSIONS: Kind = Kind {
    name: "memory-by-sessions",
    title: "Peak memory by sessions",
    draw: Draw::Scenario(draw_by_sessions),
};

const METRIC: &str = "peak_rss_bytes";

/// Ticks are round numbers of this unit.
const MEBIBYTE: f64 = 1024.0 * 1024.0;

fn draw_peak(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    let sweep = |other: &&Group<'_>| other.scenario == group.scenario && is_closed(other);
    let groups = report.summary.groups();
    if is_closed(group) && groups.iter().filter(sweep).count() > 2 {
        return None;
    }
    let mut rows = Row::of_metric(report, group, METRIC, units::bytes);
    for row in &mut rows {
        row.estimate = in_mebibytes(row.estimate);
    }
    let about = "of the worker process, less is better";
    rows::bars(Labels::new(&PEAK, group, about, tick), &rows)
}

fn is_closed(group: &Group<'_>) -> bool {
    group.load.rate_hz().is_none()
}

fn draw_by_sessions(report: &Report<'_>, groups: &[&Group<'_>]) -> Option<Drawing> {
    let place = |load: Load| match load {
        Load::Closed { concurrency } => Some((None, concurrency.get().into())),
        Load::Open { .. } => None,
    };
    let mut series = Series::of(report, groups, METRIC, place, |_| false);
    for one in &mut series {
        for sample in &mut one.samples {
            sample.estimate = in_mebibytes(sample.estimate);
        }
        if let Some(bytes) = bytes_per_session(one) {
            one.label += &format!(", {}/session", units::bytes(bytes));
        }
    }
    let frame = Frame::of(series.iter().map(|one| &*one.label));
    let sweep = Sweep::of(&series, &frame)?;
    if sweep.levels.len() < 3 {
        return None;
    }
    let highest = series.iter().flat_map(|one| &one.samples);
    let highest = highest.map(|sample| sample.estimate.high);
    let y = Scale::from_zero(highest, (frame.bottom, frame.top));
    let scenario = groups.first()?.scenario;
    let mut drawing = Drawing::new(
        frame.height(),
        BY_SESSIONS.title,
        &format!("{scenario} · of the worker process, less is better"),
        describe::list(series.iter().map(|one| one.label.clone()), ", "),
    );
    frame.y_axis(&mut drawing, &y, tick);
    sweep.axis(&mut drawing, &frame);
    frame.series(&mut drawing, &series, &sweep.x, &y, tick);
    Some(drawing)
}

/// Sessions from which on a worker's own recordings no longer grow; below, the slope would be mostly theirs.
const ALL_RECORDINGS: f64 = 64.0;

/// The additional memory of each session between [`ALL_RECORDINGS`] and the most, in bytes; `None` if it did not grow.
fn bytes_per_session(series: &Series) -> Option<f64> {
    let mut samples = series
        .samples
        .iter()
        .skip_while(|it| it.load < ALL_RECORDINGS);
    let (first, last) = (samples.next()?, samples.last()?);
    let grown = (last.estimate.value - first.estimate.value) * MEBIBYTE;
    let sessions = last.load - first.load;
    (grown > 0.0 && sessions > 0.0).then(|| grown / sessions)
}

fn in_mebibytes(estimate: Estimate) -> Estimate {
    Estimate {
        value: estimate.value / MEBIBYTE,
        low: estimate.low / MEBIBYTE,
        high: estimate.high / MEBIBYTE,
        ..estimate
    }
}

fn tick(mebibytes: f64) -> String {
    format!("{}MiB", (mebibytes * 10.0).round() / 10.0)
}
