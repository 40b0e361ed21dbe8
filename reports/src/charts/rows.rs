//! Rows: the layout of charts with one line per runtime.
//!
//! A name on the left, a mark on a common axis, and the number itself on the right, so that no reader has to measure
//! with a ruler. Bars start at zero; dots are on a logarithmic axis around a reference line. Intervals are whiskers.

use super::drawing::{Anchor, Drawing, Ink, MARGIN, Stroke, Type, WIDTH, at};
use super::scale::{Scale, padded};
use super::{CellSummary, Source};
use crate::runtimes::Look;
use crate::statistics::Estimate;
use crate::summary::{Group, MetricSummary};
use crate::units;

/// One runtime's line.
#[derive(Clone, Debug)]
pub(super) struct Row {
    label: String,
    look: Look,
    pub(super) estimate: Estimate,
    /// The number as printed.
    text: String,
}

/// The texts around the rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels<'a> {
    pub(super) title: &'a str,
    pub(super) subject: &'a str,
    /// Prints the value of a tick.
    pub(super) tick: fn(f64) -> String,
}

const TOP: f64 = 64.0;
const ROW: f64 = 30.0;
const BAR: f64 = 15.0;
const BELOW: f64 = 34.0;
const LONGEST_NAME: f64 = 200.0;
const GAP: f64 = 10.0;
/// Width of one tick's label.
const TICK: f64 = 62.0;

impl Row {
    pub(super) fn new(
        source: &Source<'_>,
        cell: &CellSummary,
        estimate: Estimate,
        text: String,
    ) -> Self {
        Self {
            label: source.label(&cell.runtime),
            look: source.look(&cell.runtime),
            estimate,
            text,
        }
    }

    /// A row for each runtime of the group that has the metric, in the order of their ranks.
    pub(super) fn of_metric(
        source: &Source<'_>,
        group: &Group<'_>,
        metric: &str,
        print: fn(f64) -> String,
    ) -> Vec<Self> {
        let row = |cell: &CellSummary, metric: &MetricSummary| {
            Self::new(source, cell, metric.estimate(), print(metric.median))
        };
        group
            .ranked()
            .into_iter()
            .filter_map(|cell| Some(row(cell, cell.metric(metric)?)))
            .collect()
    }
}

/// Bars from zero, with their intervals; `None` without rows.
pub(super) fn bars(labels: Labels<'_>, rows: &[Row]) -> Option<Drawing> {
    let highest = rows.iter().map(|row| row.estimate.high).reduce(f64::max)?;
    let domain = (0.0, if highest > 0.0 { highest } else { 1.0 });
    let layout = Layout::of(rows);
    let scale = Scale::linear(domain, (layout.left, layout.right));
    let mut drawing = layout.draw(labels, rows, &scale);
    for (index, row) in rows.iter().enumerate() {
        let y = layout.middle(index);
        let end = scale.place(row.estimate.value);
        drawing.rectangle(
            at(layout.left, y - BAR / 2.0),
            at(end.max(layout.left + 1.0), y + BAR / 2.0),
            Ink(row.look.light),
            0.82,
        );
        whisker(&mut drawing, &scale, row, y, Ink::TEXT);
        let text_x = scale.place(row.estimate.high).max(end) + GAP;
        layout.texts(&mut drawing, row, y, text_x);
    }
    Some(drawing)
}

/// Dots on a logarithmic axis with a line at `reference`.
pub(super) fn dots(labels: Labels<'_>, rows: &[Row], reference: f64) -> Drawing {
    let layout = Layout::of(rows);
    let ends = rows
        .iter()
        .flat_map(|row| [row.estimate.low, row.estimate.high]);
    let domain = padded(ends.chain([reference]), 1.05);
    let scale = Scale::logarithmic(domain, (layout.left, layout.right));
    let mut drawing = layout.draw(labels, rows, &scale);
    let x = scale.place(reference);
    let axis = Stroke::new(Ink::AXIS, 1.5);
    drawing.line(at(x, AXIS_TOP), at(x, layout.bottom), axis);
    for (index, row) in rows.iter().enumerate() {
        let y = layout.middle(index);
        let ink = Ink(row.look.light);
        let dot = at(scale.place(row.estimate.value), y);
        drawing.line(at(x, y), dot, Stroke::new(ink, 2.0).faded(0.35));
        whisker(&mut drawing, &scale, row, y, ink);
        drawing.marker(dot, row.look, 10.0);
        layout.texts(&mut drawing, row, y, layout.right + GAP);
    }
    drawing
}

const AXIS_TOP: f64 = TOP - 4.0;

struct Layout {
    left: f64,
    right: f64,
    bottom: f64,
}

impl Layout {
    fn of(rows: &[Row]) -> Self {
        let widest = |text: fn(&Row) -> &str| {
            let widths = rows.iter().map(|row| Type::LABEL.width(text(row)));
            widths.fold(0.0, f64::max)
        };
        Self {
            left: MARGIN + widest(|row| &row.label).min(LONGEST_NAME) + GAP,
            right: WIDTH - MARGIN - widest(|row| &row.text) - GAP,
            bottom: TOP + ROW * rows.len() as f64,
        }
    }

    fn middle(&self, index: usize) -> f64 {
        TOP + ROW * (index as f64 + 0.5)
    }

    /// A drawing with its heading and its axis.
    fn draw(&self, labels: Labels<'_>, rows: &[Row], scale: &Scale) -> Drawing {
        let described: Vec<String> = rows
            .iter()
            .map(|row| format!("{} {}", row.label, row.text))
            .collect();
        let mut drawing = Drawing::new(self.bottom + BELOW, described.join(", "));
        drawing.heading(labels.title, labels.subject);
        x_axis(
            &mut drawing,
            scale,
            (AXIS_TOP, self.bottom),
            TICK,
            labels.tick,
        );
        drawing
    }

    fn texts(&self, drawing: &mut Drawing, row: &Row, y: f64, text_x: f64) {
        let name = Type::LABEL.fit(&row.label, LONGEST_NAME);
        let end = Type::LABEL.anchored(Anchor::End);
        drawing.text(at(self.left - GAP, y), &name, end);
        drawing.text(at(text_x, y), &row.text, Type::LABEL);
    }
}

/// Vertical grid lines from top to bottom, with labels below that are `spacing` wide at most.
pub(super) fn x_axis(
    drawing: &mut Drawing,
    scale: &Scale,
    (top, bottom): (f64, f64),
    spacing: f64,
    tick: fn(f64) -> String,
) {
    let most = (scale.length() / spacing).floor().max(2.0) as usize;
    for value in scale.ticks(most) {
        let x = scale.place(value);
        let grid = Stroke::new(Ink::GRID, 1.0);
        drawing.line(at(x, top), at(x, bottom), grid);
        let label = units::tick(&tick(value));
        let middle = Type::CAPTION.anchored(Anchor::Middle);
        drawing.text(at(x, bottom + 14.0), &label, middle);
    }
}

fn whisker(drawing: &mut Drawing, scale: &Scale, row: &Row, y: f64, ink: Ink) {
    let ends = [row.estimate.low, row.estimate.high].map(|end| scale.place(end));
    let stroke = Stroke::new(ink, 1.5);
    drawing.line(at(ends[0], y), at(ends[1], y), stroke);
    for x in ends {
        drawing.line(at(x, y - 4.0), at(x, y + 4.0), stroke);
    }
}
