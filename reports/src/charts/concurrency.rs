//! Throughput by concurrency: the effect of more sessions on each runtime, for scenarios measured at several loads.

use photofinish_record::load::Load;

use super::curves::{Frame, Series};
use super::drawing::Drawing;
use super::scale::Scale;
use super::{Draw, Kind};
use crate::describe;
use crate::metrics::THROUGHPUT;
use crate::report::Report;
use crate::summary::Group;
use crate::units;

pub(super) static KIND: Kind = Kind {
    name: "concurrency",
    title: "Throughput by concurrency",
    draw: Draw::Scenario(draw),
};

/// Space for one level's label.
const LABEL: f64 = 34.0;

fn draw(report: &Report<'_>, groups: &[&Group<'_>]) -> Option<Drawing> {
    let place = |load: Load| match load {
        Load::Closed { concurrency } => Some((None, concurrency.get().into())),
        // The schedule decides the throughput.
        Load::Open { .. } => None,
    };
    let series = Series::of(report, groups, THROUGHPUT, place, |_| false);
    let samples = || series.iter().flat_map(|one| &one.samples);
    let mut levels: Vec<f64> = samples().map(|sample| sample.load).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let [first, .., last] = levels[..] else {
        return None;
    };
    let frame = Frame::of(series.iter().map(|one| &*one.label));
    let x = Scale::logarithmic((first, last), (frame.left + 8.0, frame.right - 8.0));
    let highest = samples().map(|sample| sample.estimate.high);
    let y = Scale::from_zero(highest, (frame.bottom, frame.top));

    let described = series.iter().map(|one| {
        let values = one.samples.iter().map(|sample| sample.estimate.value);
        let best = units::count(values.fold(0.0, f64::max));
        format!("{} up to {best} operations per second", one.label)
    });
    let scenario = groups.first()?.scenario;
    let mut drawing = Drawing::new(
        frame.height(),
        KIND.title,
        &format!("{scenario} · operations per second, more is better"),
        describe::list(described, ", "),
    );
    frame.y_axis(&mut drawing, &y, units::count);
    let mut free_from = f64::NEG_INFINITY;
    for level in levels {
        // The labels of levels that lie close together would overlap.
        let place = x.place(level);
        if place >= free_from {
            frame.x_tick(&mut drawing, place, &units::count(level));
            free_from = place + LABEL;
        } else {
            frame.x_tick(&mut drawing, place, "");
        }
    }
    frame.x_caption(&mut drawing, "sessions in flight");
    frame.series(&mut drawing, &series, &x, &y);
    Some(drawing)
}
