//! CPU against latency: what a runtime's short times cost, one mark each. Nearer to the lower left corner is better.

use super::curves::Frame;
use super::drawing::{Drawing, Ink, Point, Stroke, Type, at};
use super::scale::{Scale, doubling};
use super::{Draw, Kind, subject};
use crate::report::Report;
use crate::runtimes::Look;
use crate::statistics::Estimate;
use crate::summary::{CellSummary, Group};
use crate::{describe, units};

pub(super) static KIND: Kind = Kind {
    name: "cpu-p99",
    title: "CPU against p99",
    draw: Draw::Load(draw),
};

/// A runtime's mark.
struct Mark {
    runtime: String,
    label: String,
    look: Look,
    cpu: Estimate,
    time: Estimate,
}

/// Half of a marker's width.
const REACH: f64 = 7.0;
/// Height of a label.
const LINE: f64 = 14.0;

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    let (time, metric) = match group.load.rate_hz() {
        None => ("service p99", "service_p99_ns"),
        Some(_) => ("response p99", "response_p99_ns"),
    };
    let cells = group.in_plan_order().into_iter();
    let marks: Vec<Mark> = cells
        .filter_map(|cell| Mark::of(report, cell, metric))
        .collect();
    if marks.len() < 2 {
        return None;
    }
    let frame = Frame::without_names();
    let inside = (frame.left, frame.right - 2.0 * REACH);
    let x = Scale::from_zero(marks.iter().map(|mark| mark.cpu.high), inside);
    let times = marks
        .iter()
        .flat_map(|mark| [mark.time.low, mark.time.high].map(|time_ns| time_ns.max(1.0)));
    let y = Scale::logarithmic(doubling(times), (frame.bottom, frame.top));

    let mut drawing = Drawing::new(
        frame.height(),
        KIND.title,
        &format!("{} · lower left is better", subject(group)),
        describe::list(marks.iter().map(Mark::described), ", "),
    );
    drawing.shown = marks.iter().map(|mark| mark.runtime.clone()).collect();
    frame.y_axis(&mut drawing, &y, units::duration);
    for value in x.ticks(6) {
        let label = units::tick(&units::duration(value));
        frame.x_tick(&mut drawing, x.place(value), &label);
    }
    let caption = format!("CPU time per operation (across), {time} (upwards, log axis)");
    frame.x_caption(&mut drawing, &caption);
    let places: Vec<Point> = marks
        .iter()
        .map(|mark| at(x.place(mark.cpu.value), y.place(mark.time.value)))
        .collect();
    for (mark, place) in marks.iter().zip(&places) {
        let stroke = Stroke::new(Ink(mark.look.light), 1.2).faded(0.45);
        let across = [mark.cpu.low, mark.cpu.high].map(|cpu| at(x.place(cpu), place.y));
        let upwards = [mark.time.low, mark.time.high].map(|time| at(place.x, y.place(time)));
        drawing.of(&mark.runtime, |drawing| {
            for [from, to] in [across, upwards] {
                drawing.line(from, to, stroke);
            }
        });
    }
    for (mark, place) in marks.iter().zip(&places) {
        drawing.of(&mark.runtime, |drawing| {
            drawing.marker(*place, mark.look, 10.0)
        });
    }
    let mut taken: Vec<Area> = places.iter().map(|place| Area::of_mark(*place)).collect();
    for (mark, place) in marks.iter().zip(&places) {
        let area = free_area(*place, Type::LABEL.width(&mark.label), &taken, &frame);
        let middle = (area.top + area.bottom) / 2.0;
        drawing.of(&mark.runtime, |drawing| {
            drawing.text(at(area.left, middle), &mark.label, Type::LABEL);
            drawing.hint_at(*place, &mark.described());
        });
        taken.push(area);
    }
    Some(drawing)
}

impl Mark {
    fn of(report: &Report<'_>, cell: &CellSummary, time: &str) -> Option<Self> {
        let time = cell.metric(time)?;
        (!describe::is_meaningless(time)).then_some(())?;
        Some(Self {
            runtime: cell.runtime.clone(),
            label: report.label(&cell.runtime),
            look: report.look(&cell.runtime),
            cpu: cell.metric("cpu_ns_per_op")?.estimate(),
            time: time.estimate(),
        })
    }

    fn described(&self) -> String {
        let (cpu, time) = (self.cpu.value, self.time.value);
        let [cpu, time] = [cpu, time].map(units::duration);
        format!("{} {cpu} of CPU, p99 {time}", self.label)
    }
}

/// The area of a label or a mark.
#[derive(Clone, Copy)]
struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Area {
    fn of_mark(place: Point) -> Self {
        Self {
            left: place.x - REACH,
            right: place.x + REACH,
            top: place.y - REACH,
            bottom: place.y + REACH,
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// The place of a label beside its mark: the first that covers no other, else the one to its right.
fn free_area(mark: Point, width: f64, taken: &[Area], frame: &Frame) -> Area {
    let area = |left: f64, middle: f64| Area {
        left,
        right: left + width,
        top: middle - LINE / 2.0,
        bottom: middle + LINE / 2.0,
    };
    let beside = REACH + 2.0;
    let lefts = [
        mark.x + beside,
        mark.x - beside - width,
        mark.x - width / 2.0,
    ];
    // Above and below the whiskers.
    let heights = [-9.0, 9.0, -23.0, 23.0, -37.0, 37.0];
    let mut places = heights
        .iter()
        .flat_map(|height| lefts.map(|left| area(left, mark.y + height)));
    let is_free = |place: &Area| {
        place.left >= frame.left
            && place.right <= frame.right
            && place.bottom <= frame.bottom
            && !taken.iter().any(|other| other.overlaps(place))
    };
    places
        .find(is_free)
        .unwrap_or_else(|| area(lefts[0].min(frame.right - width), mark.y))
}
