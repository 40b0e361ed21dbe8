//! Rows: the layout of charts with one line per runtime, or per part and runtime.
//!
//! A name on the left, a mark on a common axis, and the number itself on the right, so that no reader has to measure
//! with a ruler. Bars start at zero; dots are on a logarithmic axis around a reference line. Intervals are whiskers.

use super::drawing::{Drawing, Ink, MARGIN, Stroke, Type, WIDTH, at};
use super::scale::{Scale, padded};
use super::{Kind, subject};
use crate::report::Report;
use crate::runtimes::Look;
use crate::statistics::Estimate;
use crate::summary::{CellSummary, Group};
use crate::{describe, units};

/// One runtime's line.
#[derive(Clone, Debug)]
pub(super) struct Row {
    runtime: String,
    label: String,
    look: Look,
    pub(super) estimate: Estimate,
    /// The number as printed.
    text: String,
    /// The number with its interval, shown on hovering.
    hint: String,
}

/// The texts around the rows.
pub(super) struct Labels {
    title: &'static str,
    subject: String,
    /// Prints the value of a tick.
    tick: fn(f64) -> String,
}

impl Labels {
    pub(super) fn new(
        kind: &Kind,
        group: &Group<'_>,
        about: &str,
        tick: fn(f64) -> String,
    ) -> Self {
        Self {
            title: kind.title,
            subject: format!("{} · {about}", subject(group)),
            tick,
        }
    }

    /// The labels of a chart over all loads of a scenario.
    pub(super) fn of_scenario(kind: &Kind, subject: String, tick: fn(f64) -> String) -> Self {
        Self {
            title: kind.title,
            subject,
            tick,
        }
    }
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
        report: &Report<'_>,
        cell: &CellSummary,
        estimate: Estimate,
        text: String,
    ) -> Self {
        Self {
            label: report.label(&cell.runtime),
            runtime: cell.runtime.clone(),
            look: report.look(&cell.runtime),
            estimate,
            hint: text.clone(),
            text,
        }
    }

    /// The same for one part of the operations.
    pub(super) fn of_part(self, part: &str) -> Self {
        Self {
            label: format!("{part} · {}", self.label),
            ..self
        }
    }

    /// A row for each runtime of the group that has the metric.
    pub(super) fn of_metric(
        report: &Report<'_>,
        group: &Group<'_>,
        metric: &str,
        print: fn(f64) -> String,
    ) -> Vec<Self> {
        let row = |cell| {
            let metric = CellSummary::metric(cell, metric)?;
            let mut row = Self::new(report, cell, metric.estimate(), print(metric.median));
            if let Some((low, high)) = metric.bounds() {
                row.hint += &format!(" ({})", units::interval(low, high, print));
            }
            Some(row)
        };
        group.in_plan_order().into_iter().filter_map(row).collect()
    }
}

/// Bars from zero, with their intervals; `None` without rows.
pub(super) fn bars(labels: Labels, rows: &[Row]) -> Option<Drawing> {
    if rows.is_empty() {
        return None;
    }
    let layout = Layout::of(rows);
    let highest = rows.iter().map(|row| row.estimate.high);
    let scale = Scale::from_zero(highest, (layout.left, layout.right));
    let mut drawing = layout.draw(labels, rows, &scale);
    for (index, row) in rows.iter().enumerate() {
        let y = layout.middle(index);
        let end = scale.place(row.estimate.value);
        drawing.of(&row.runtime, |drawing| {
            drawing.rectangle(
                at(layout.left, y - BAR / 2.0),
                at(end.max(layout.left + 1.0), y + BAR / 2.0),
                Ink(row.look.light),
                0.82,
            );
            whisker(drawing, &scale, row, y, Ink::TEXT);
            let text_x = scale.place(row.estimate.high).max(end) + GAP;
            layout.texts(drawing, row, y, text_x);
        });
    }
    Some(drawing)
}

/// Dots on a logarithmic axis with a line at `reference`.
pub(super) fn dots(labels: Labels, rows: &[Row], reference: f64) -> Drawing {
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
        drawing.of(&row.runtime, |drawing| {
            drawing.line(at(x, y), dot, Stroke::new(ink, 2.0).faded(0.35));
            whisker(drawing, &scale, row, y, ink);
            drawing.marker(dot, row.look, 10.0);
            layout.texts(drawing, row, y, layout.right + GAP);
        });
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
        let names = Type::LABEL.widest(rows.iter().map(|row| &*row.label));
        let numbers = Type::LABEL.widest(rows.iter().map(|row| &*row.text));
        Self {
            left: MARGIN + names.min(LONGEST_NAME) + GAP,
            right: WIDTH - MARGIN - numbers - GAP,
            bottom: TOP + ROW * rows.len() as f64,
        }
    }

    fn middle(&self, index: usize) -> f64 {
        TOP + ROW * (index as f64 + 0.5)
    }

    /// A drawing with its heading and its axis.
    fn draw(&self, labels: Labels, rows: &[Row], scale: &Scale) -> Drawing {
        let described = rows.iter().map(|row| format!("{} {}", row.label, row.text));
        let mut drawing = Drawing::new(
            self.bottom + BELOW,
            labels.title,
            &labels.subject,
            describe::list(described, ", "),
        );
        drawing.shown = rows.iter().map(|row| row.runtime.clone()).collect();
        let ends = (AXIS_TOP, self.bottom);
        x_axis(&mut drawing, scale, ends, TICK, labels.tick);
        drawing
    }

    fn texts(&self, drawing: &mut Drawing, row: &Row, y: f64, text_x: f64) {
        let name = Type::LABEL.fit(&row.label, LONGEST_NAME);
        drawing.text(at(self.left - GAP, y), &name, Type::LABEL.end());
        drawing.text(at(text_x, y), &row.text, Type::LABEL);
        let from = at(MARGIN, y - ROW / 2.0);
        let hint = format!("{}: {}", row.label, row.hint);
        drawing.hint(from, at(WIDTH - MARGIN, y + ROW / 2.0), &hint);
    }
}

/// Vertical grid lines between two heights, with labels below that are `spacing` wide at most.
pub(super) fn x_axis(
    drawing: &mut Drawing,
    scale: &Scale,
    ends: (f64, f64),
    spacing: f64,
    tick: fn(f64) -> String,
) {
    let most = (scale.length() / spacing).floor().max(2.0) as usize;
    for value in scale.ticks(most) {
        drawing.x_tick(scale.place(value), ends, &units::tick(&tick(value)));
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
