//! Throughput by concurrency: the effect of more sessions on each runtime, for scenarios measured at several loads.

use photofinish_record::load::Load;

use super::curves::{Curve, Frame, Series};
use super::drawing::{Drawing, Ink, Stroke};
use super::scale::Scale;
use super::{Chartable, Kind, Source};
use crate::metrics::THROUGHPUT;
use crate::summary::Group;
use crate::units;

pub(super) static KIND: Kind = Kind {
    name: "concurrency",
    title: "Throughput by concurrency",
    draw: Chartable::Scenario(draw),
};

/// Space for one level's label.
const LABEL: f64 = 34.0;

fn draw(source: &Source<'_>, groups: &[&Group<'_>]) -> Option<Drawing> {
    let series = Series::of(groups, THROUGHPUT, |load| match load {
        Load::Closed { concurrency } => Some((None, concurrency.get().into())),
        // The schedule decides the throughput.
        Load::Open { .. } => None,
    });
    let samples = || series.iter().flat_map(|one| &one.samples);
    let mut levels: Vec<f64> = samples().map(|sample| sample.load).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let [first, .., last] = levels[..] else {
        return None;
    };
    let highest = samples()
        .map(|sample| sample.estimate.high)
        .fold(0.0, f64::max);
    let labels: Vec<String> = series.iter().map(|one| one.runtime.to_owned()).collect();
    let frame = Frame::of(&labels);
    let x = Scale::logarithmic((first, last), (frame.left + 8.0, frame.right - 8.0));
    let domain = (0.0, if highest > 0.0 { highest } else { 1.0 });
    let y = Scale::linear(domain, (frame.bottom, frame.top));

    let mut drawing = Drawing::new(frame.height(), description(&series));
    let subject = format!(
        "{} · operations per second, more is better",
        groups.first()?.scenario
    );
    drawing.heading(KIND.title, &subject);
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
    for one in &series {
        let stroke = Stroke::new(Ink(source.look(one.runtime).light), 1.5).faded(0.6);
        one.whiskers(&mut drawing, &x, &y, stroke);
    }
    let curves: Vec<Curve> = series
        .iter()
        .map(|one| one.curve(one.runtime, source.look(one.runtime), &x, &y))
        .collect();
    frame.draw(&mut drawing, &curves);
    Some(drawing)
}

fn description(series: &[Series<'_>]) -> String {
    let described: Vec<String> = series
        .iter()
        .map(|one| {
            let values = one.samples.iter().map(|sample| sample.estimate.value);
            let best = units::count(values.fold(0.0, f64::max));
            format!("{} up to {best} operations per second", one.runtime)
        })
        .collect();
    described.join(", ")
}
