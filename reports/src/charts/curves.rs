//! Curves: the layout of charts with one line per runtime over a common axis.
//!
//! Each curve is named at its end instead of in a legend; names of curves that end close together are moved apart, and
//! connected to their curves by thin lines. Markers and dashes distinguish curves without colour.

use std::num::NonZeroU32;

use photofinish_record::load::Load;

use super::drawing::{Drawing, Ink, MARGIN, Point, Stroke, Type, WIDTH, at};
use super::scale::{Scale, spread_apart};
use crate::report::Report;
use crate::runtimes::Look;
use crate::statistics::Estimate;
use crate::summary::{CellSummary, Group};
use crate::units;

/// One runtime's curve on the drawing.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    pub(super) runtime: String,
    pub(super) label: String,
    pub(super) look: Look,
    pub(super) points: Vec<Point>,
    pub(super) marks: Vec<Point>,
    /// Positions of hollow markers.
    pub(super) hollow: Vec<Point>,
    /// Texts shown when a reader points at a marker.
    pub(super) hints: Vec<(Point, String)>,
}

/// One runtime's estimates of one metric, for each load at which it was measured.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// The runtime, with its sessions if they distinguish one series from another.
    pub(super) label: String,
    pub(super) runtime: String,
    look: Look,
    sessions: Option<NonZeroU32>,
    pub(super) samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Rate or concurrency.
    pub(super) load: f64,
    pub(super) estimate: Estimate,
    /// True if the estimate is for a different load than intended.
    pub(super) hollow: bool,
}

/// The area of the curves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

const TOP: f64 = 64.0;
const BELOW: f64 = 50.0;
const LEFT: f64 = MARGIN + 46.0;
const LONGEST_NAME: f64 = 175.0;
const LEAST_PLOT: f64 = 270.0;
const LINE: f64 = 15.5;
/// Distance from the plot to the markers next to the names.
const TIE: f64 = 20.0;
/// Distance between the marks of neighbouring series at the same load, and the most for all of them.
const DODGE: f64 = 4.0;
const MOST_DODGE: f64 = 24.0;
/// Distance from such a marker to its name.
const MARK: f64 = 9.0;

impl Series {
    /// The series of all groups, each sorted by load. `place` returns the sessions that distinguish a series and the
    /// position of the load, or `None` for a load that the chart does not show.
    pub(super) fn of(
        report: &Report<'_>,
        groups: &[&Group<'_>],
        metric: &str,
        place: fn(Load) -> Option<(Option<NonZeroU32>, f64)>,
        hollow: impl Fn(&CellSummary) -> bool,
    ) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for cell in groups.iter().flat_map(|group| group.in_plan_order()) {
            let (Some((sessions, load)), Some(metric)) = (place(cell.load), cell.metric(metric))
            else {
                continue;
            };
            let sample = Sample {
                load,
                estimate: metric.estimate(),
                hollow: hollow(cell),
            };
            match all
                .iter_mut()
                .find(|one| one.runtime == cell.runtime && one.sessions == sessions)
            {
                Some(series) => series.samples.push(sample),
                None => all.push(Self {
                    label: report.label(&cell.runtime),
                    runtime: cell.runtime.clone(),
                    look: report.look(&cell.runtime),
                    sessions,
                    samples: vec![sample],
                }),
            }
        }
        let same_sessions = all
            .windows(2)
            .all(|pair| pair[0].sessions == pair[1].sessions);
        for series in &mut all {
            series.samples.sort_by(|a, b| a.load.total_cmp(&b.load));
            if let (Some(sessions), false) = (series.sessions, same_sessions) {
                series.label += &format!(", {sessions}");
            }
        }
        all
    }

    /// The curve, moved to the right by `dodge`.
    fn curve(&self, x: &Scale, y: &Scale, dodge: f64, print: fn(f64) -> String) -> Curve {
        let place =
            |sample: &Sample| at(x.place(sample.load) + dodge, y.place(sample.estimate.value));
        let hint = |sample: &Sample| {
            let Estimate {
                value, low, high, ..
            } = sample.estimate;
            let (load, interval) = (units::count(sample.load), units::interval(low, high, print));
            let text = format!("{} at {load}: {} ({interval})", self.runtime, print(value));
            (place(sample), text)
        };
        let (hollow, filled): (Vec<Sample>, Vec<Sample>) =
            self.samples.iter().partition(|sample| sample.hollow);
        Curve {
            runtime: self.runtime.clone(),
            label: self.label.clone(),
            look: self.look,
            points: self.samples.iter().map(place).collect(),
            marks: filled.iter().map(place).collect(),
            hollow: hollow.iter().map(place).collect(),
            hints: self.samples.iter().map(hint).collect(),
        }
    }
}

impl Frame {
    /// Space for curves of these names.
    pub(super) fn of<'a>(labels: impl Iterator<Item = &'a str> + Clone) -> Self {
        let plot = LEAST_PLOT.max(LINE * labels.clone().count() as f64);
        let names = Type::LABEL.widest(labels).min(LONGEST_NAME);
        Self {
            left: LEFT,
            right: WIDTH - MARGIN - names - TIE - MARK,
            top: TOP,
            bottom: TOP + plot,
        }
    }

    /// The whole width, for marks that are named where they are.
    pub(super) fn without_names() -> Self {
        Self {
            left: LEFT,
            right: WIDTH - MARGIN,
            top: TOP,
            bottom: TOP + LEAST_PLOT,
        }
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom + BELOW
    }

    /// Horizontal grid lines with their labels on the left.
    pub(super) fn y_axis(&self, drawing: &mut Drawing, scale: &Scale, tick: fn(f64) -> String) {
        for value in scale.ticks(8) {
            let y = scale.place(value);
            let grid = Stroke::new(Ink::GRID, 1.0);
            drawing.line(at(self.left, y), at(self.right, y), grid);
            let label = units::tick(&tick(value));
            drawing.text(at(self.left - 7.0, y), &label, Type::CAPTION.end());
        }
    }

    /// A vertical grid line with its label below.
    pub(super) fn x_tick(&self, drawing: &mut Drawing, x: f64, label: &str) {
        drawing.x_tick(x, (self.top, self.bottom), label);
    }

    /// Grid lines at measured values, ascending. Labels closer than `width` would overlap, and are left out.
    pub(super) fn x_ticks_at(
        &self,
        drawing: &mut Drawing,
        scale: &Scale,
        values: &[f64],
        width: f64,
    ) {
        let mut free_from = f64::NEG_INFINITY;
        for value in values {
            let place = scale.place(*value);
            if place >= free_from {
                self.x_tick(drawing, place, &units::tick(&units::count(*value)));
                free_from = place + width;
            } else {
                self.x_tick(drawing, place, "");
            }
        }
    }

    /// The name of the horizontal axis.
    pub(super) fn x_caption(&self, drawing: &mut Drawing, caption: &str) {
        let middle = at((self.left + self.right) / 2.0, drawing.height - 16.0);
        drawing.caption(middle, caption, MARGIN);
    }

    /// The curves of series, with the interval of each sample, beside each other where loads are the same.
    pub(super) fn series(
        &self,
        drawing: &mut Drawing,
        series: &[Series],
        x: &Scale,
        y: &Scale,
        print: fn(f64) -> String,
    ) {
        drawing.shown = series.iter().map(|one| one.runtime.clone()).collect();
        let step = DODGE.min(MOST_DODGE / series.len() as f64);
        let middle = (series.len() as f64 - 1.0) / 2.0;
        let dodge = |index: usize| (index as f64 - middle) * step;
        for (index, one) in series.iter().enumerate() {
            let stroke = Stroke::new(Ink(one.look.light), 1.5).faded(0.5);
            drawing.of(&one.runtime, |drawing| {
                for sample in &one.samples {
                    let (low, high) = (y.place(sample.estimate.low), y.place(sample.estimate.high));
                    let x = x.place(sample.load) + dodge(index);
                    drawing.line(at(x, low), at(x, high), stroke);
                }
            });
        }
        let curves: Vec<Curve> = series
            .iter()
            .enumerate()
            .map(|(index, one)| one.curve(x, y, dodge(index), print))
            .collect();
        self.draw(drawing, &curves);
    }

    /// The curves, with their names at their ends.
    pub(super) fn draw(&self, drawing: &mut Drawing, curves: &[Curve]) {
        for curve in curves {
            let stroke = Stroke::new(Ink(curve.look.light), 2.0).dashed(curve.look.dash);
            drawing.of(&curve.runtime, |drawing| {
                drawing.path(curve.points.clone(), stroke);
            });
        }
        for curve in curves {
            drawing.of(&curve.runtime, |drawing| {
                for mark in &curve.marks {
                    drawing.marker(*mark, curve.look, 7.0);
                }
                for mark in &curve.hollow {
                    drawing.hollow_marker(*mark, curve.look, 8.5);
                }
            });
        }
        self.names(drawing, curves);
        for curve in curves {
            drawing.of(&curve.runtime, |drawing| {
                for (mark, text) in &curve.hints {
                    drawing.hint_at(*mark, text);
                }
            });
        }
    }

    fn names(&self, drawing: &mut Drawing, curves: &[Curve]) {
        let mut ends: Vec<(&Curve, Point)> = curves
            .iter()
            .filter_map(|curve| Some((curve, *curve.points.last()?)))
            .collect();
        ends.sort_by(|(_, a), (_, b)| a.y.total_cmp(&b.y));
        let mut places: Vec<f64> = ends.iter().map(|(_, end)| end.y).collect();
        spread_apart(&mut places, LINE, self.bottom);
        for ((curve, end), y) in ends.into_iter().zip(places) {
            let mark = at(self.right + TIE, y);
            let elbow = at(self.right + TIE * 0.35, end.y);
            let tie = Stroke::new(Ink(curve.look.light), 1.0).faded(0.5);
            let name = Type::LABEL.fit(&curve.label, LONGEST_NAME);
            drawing.of(&curve.runtime, |drawing| {
                drawing.path(vec![end, elbow, mark], tie);
                drawing.marker(mark, curve.look, 7.0);
                drawing.text(at(mark.x + MARK, y), &name, Type::LABEL);
            });
        }
    }
}
