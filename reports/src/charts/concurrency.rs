//! Throughput by concurrency: the effect of more sessions on each runtime, for scenarios measured at several loads.
//!
//! The grey line is Little's law: the throughput of N sessions that are served as fast as the fewest were. A curve that
//! leaves it waits for something.

use photofinish_record::load::Load;

use super::curves::{Frame, Series};
use super::drawing::{Drawing, Ink, Point, Stroke, Type, at};
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

/// Space between the axes and the outer levels, for the curves that are moved beside each other.
const INSET: f64 = 16.0;

/// The horizontal axis of a sweep over sessions.
pub(super) struct Sweep {
    /// Every measured number of sessions, ascending.
    pub(super) levels: Vec<f64>,
    pub(super) x: Scale,
}

impl Sweep {
    /// `None` without a second level.
    pub(super) fn of(series: &[Series], frame: &Frame) -> Option<Self> {
        let samples = series.iter().flat_map(|one| &one.samples);
        let mut levels: Vec<f64> = samples.map(|sample| sample.load).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        let [first, .., last] = levels[..] else {
            return None;
        };
        let inside = (frame.left + INSET, frame.right - INSET);
        Some(Self {
            levels,
            x: Scale::logarithmic((first, last), inside),
        })
    }

    pub(super) fn axis(&self, drawing: &mut Drawing, frame: &Frame) {
        self.axis_of("sessions in flight", drawing, frame);
    }

    /// The axis of a sweep over something else.
    pub(super) fn axis_of(&self, what: &str, drawing: &mut Drawing, frame: &Frame) {
        frame.x_ticks_at(drawing, &self.x, &self.levels, LABEL);
        frame.x_caption(drawing, &format!("{what} (log axis)"));
    }
}

fn draw(report: &Report<'_>, groups: &[&Group<'_>]) -> Option<Drawing> {
    let place = |load: Load| match load {
        Load::Closed { concurrency } => Some((None, concurrency.get().into())),
        // The schedule decides the throughput.
        Load::Open { .. } => None,
    };
    let series = Series::of(report, groups, THROUGHPUT, place, |_| false);
    let frame = Frame::of(series.iter().map(|one| &*one.label));
    let sweep = Sweep::of(&series, &frame)?;
    let highest = series.iter().flat_map(|one| &one.samples);
    let highest = highest
        .map(|sample| sample.estimate.high)
        .fold(0.0, f64::max);
    let y = Scale::from_zero([highest].into_iter(), (frame.bottom, frame.top));

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
    sweep.axis(&mut drawing, &frame);
    if let Some(law) = Proportion::of(&series, &sweep) {
        let fewest = describe::plural(law.fewest as usize, "session");
        let name = format!("N ÷ time with {fewest}");
        law.draw(&mut drawing, &frame, &sweep, (&y, highest), &name);
    }
    frame.series(&mut drawing, &series, &sweep.x, &y, units::count);
    Some(drawing)
}

/// Throughput in proportion to the sweep's numbers, from the best at the lowest.
pub(super) struct Proportion {
    pub(super) fewest: f64,
    ops_s: f64,
}

impl Proportion {
    pub(super) fn of(series: &[Series], sweep: &Sweep) -> Option<Self> {
        let fewest = *sweep.levels.first()?;
        let samples = series.iter().flat_map(|one| &one.samples);
        let ops_s = samples
            .filter(|sample| sample.load == fewest)
            .map(|sample| sample.estimate.value)
            .reduce(f64::max)?;
        Some(Self { fewest, ops_s })
    }

    /// Straight between measured levels, like the curves, up to where it leaves the plot above the highest value.
    pub(super) fn draw(
        &self,
        drawing: &mut Drawing,
        frame: &Frame,
        sweep: &Sweep,
        (y, highest): (&Scale, f64),
        name: &str,
    ) {
        let places = sweep.levels.iter().map(|sessions| {
            let ops_s = self.ops_s * sessions / self.fewest;
            (sweep.x.place(*sessions), ops_s)
        });
        let mut points: Vec<Point> = Vec::new();
        let mut before: Option<(f64, f64)> = None;
        for (x, ops_s) in places {
            let (x, inside) = match before {
                Some((from, low)) if ops_s > highest => {
                    (from + (x - from) * (highest - low) / (ops_s - low), false)
                }
                _ => (x, true),
            };
            points.push(at(x, y.place(ops_s)));
            if !inside {
                break;
            }
            before = Some((x, ops_s));
        }
        let Some(end) = points.last().copied() else {
            return;
        };
        drawing.path(points, Stroke::new(Ink::AXIS, 1.5));
        let half = Type::SMALL.width(name) / 2.0;
        let x = end.x.clamp(frame.left + half, frame.right - half);
        drawing.text(at(x, end.y - 7.0), name, Type::SMALL.middle());
    }
}
