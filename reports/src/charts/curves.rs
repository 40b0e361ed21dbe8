//! Curves: the layout of charts with one line per runtime over a common axis.
//!
//! Each curve is named at its end instead of in a legend; names are moved apart where curves end close together, and tied
//! to their curve by a thin line. Markers tell curves apart without colour.

use super::canvas::{Anchor, Canvas, Ink, MARGIN, Point, Stroke, Type, WIDTH, at};
use super::scale::{Scale, spread_apart};
use crate::runtimes::Look;
use crate::units;

/// One runtime's curve, in places of the canvas.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    pub(super) label: String,
    pub(super) look: Look,
    pub(super) points: Vec<Point>,
    /// Where markers stand.
    pub(super) marks: Vec<Point>,
    /// Where hollow markers stand instead: places that do not show what was asked for.
    pub(super) hollow: Vec<Point>,
}

/// The room for curves.
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
const LONGEST_NAME: f64 = 150.0;
const LEAST_PLOT: f64 = 270.0;
const LINE: f64 = 15.5;
/// From the plot to the markers beside the names.
const TIE: f64 = 20.0;
/// From such a marker to its name.
const MARK: f64 = 9.0;

impl Frame {
    /// Room for curves of these names.
    pub(super) fn of(labels: &[String]) -> Self {
        let names = labels
            .iter()
            .map(|label| Type::LABEL.width(label))
            .fold(0.0, f64::max)
            .min(LONGEST_NAME);
        let plot = LEAST_PLOT.max(LINE * labels.len() as f64);
        Self {
            left: LEFT,
            right: WIDTH - MARGIN - names - TIE - MARK,
            top: TOP,
            bottom: TOP + plot,
        }
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom + BELOW
    }

    /// Horizontal grid lines with their labels on the left.
    pub(super) fn y_axis(&self, canvas: &Canvas<'_>, scale: &Scale, tick: fn(f64) -> String) {
        for value in scale.ticks(8) {
            let y = scale.place(value);
            canvas.line(
                at(self.left, y),
                at(self.right, y),
                Stroke::new(Ink::Grid, 1.0),
            );
            let label = Type::CAPTION.anchored(Anchor::End);
            canvas.text(at(self.left - 7.0, y), &units::tick(&tick(value)), label);
        }
    }

    /// A vertical grid line with its label below.
    pub(super) fn x_tick(&self, canvas: &Canvas<'_>, x: f64, label: &str) {
        canvas.line(
            at(x, self.top),
            at(x, self.bottom),
            Stroke::new(Ink::Grid, 1.0),
        );
        let label_type = Type::CAPTION.anchored(Anchor::Middle);
        canvas.text(at(x, self.bottom + 14.0), label, label_type);
    }

    /// What the horizontal axis is.
    pub(super) fn x_caption(&self, canvas: &Canvas<'_>, caption: &str) {
        let middle = Type::CAPTION.anchored(Anchor::Middle);
        canvas.text(
            at((self.left + self.right) / 2.0, canvas.height() - 16.0),
            caption,
            middle,
        );
    }

    /// The curves, with their names at their ends.
    pub(super) fn draw(&self, canvas: &Canvas<'_>, curves: &[Curve]) {
        for curve in curves {
            canvas.path(
                &curve.points,
                Stroke::new(Ink::Runtime(curve.look.light), 2.0),
            );
        }
        for curve in curves {
            curve
                .marks
                .iter()
                .for_each(|mark| canvas.marker(*mark, curve.look, 7.0));
            for mark in &curve.hollow {
                canvas.hollow_marker(*mark, curve.look, 8.5);
            }
        }
        self.names(canvas, curves);
    }

    fn names(&self, canvas: &Canvas<'_>, curves: &[Curve]) {
        let mut ends: Vec<(&Curve, Point)> = curves
            .iter()
            .filter_map(|curve| Some((curve, *curve.points.last()?)))
            .collect();
        ends.sort_by(|(_, a), (_, b)| a.y.total_cmp(&b.y));
        let mut places: Vec<f64> = ends.iter().map(|(_, end)| end.y).collect();
        spread_apart(&mut places, LINE, self.bottom);
        for ((curve, end), y) in ends.into_iter().zip(places) {
            let name_at = at(self.right + TIE, y);
            let ink = Ink::Runtime(curve.look.light);
            let elbow = at(self.right + TIE * 0.35, end.y);
            let tie = Stroke {
                opacity: 0.5,
                ..Stroke::new(ink, 1.0)
            };
            canvas.path(&[end, elbow, name_at], tie);
            canvas.marker(name_at, curve.look, 7.0);
            let name = Type::LABEL.fit(&curve.label, LONGEST_NAME);
            canvas.text(at(name_at.x + MARK, y), &name, Type::LABEL);
        }
    }
}
