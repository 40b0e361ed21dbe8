//! Rows: the layout of charts with one line per runtime.
//!
//! A name on the left, a mark on a common axis, and the number itself on the right, so that no reader has to measure with
//! a ruler. Bars start at zero; dots stand on a logarithmic axis around a reference line. Intervals are whiskers.

use super::canvas::{Anchor, Canvas, Drawing, Ink, MARGIN, Stroke, Type, WIDTH, at};
use super::scale::Scale;
use super::{CellSummary, Source};
use crate::runtimes::Look;
use crate::statistics::Estimate;
use crate::units;

/// One runtime's line.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) label: String,
    pub(super) look: Look,
    pub(super) estimate: Estimate,
    /// The number as it is printed.
    pub(super) text: String,
}

/// What the chart says around its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    pub(super) title: &'a str,
    pub(super) subject: &'a str,
    /// A tick's value as it is printed.
    pub(super) tick: fn(f64) -> String,
}

const TOP: f64 = 64.0;
const ROW: f64 = 30.0;
const BAR: f64 = 15.0;
const BELOW: f64 = 34.0;
const LONGEST_NAME: f64 = 200.0;
const GAP: f64 = 10.0;

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
}

/// Bars from zero, with their intervals.
pub(super) fn bars(words: Words<'_>, rows: &[Row]) -> Drawing {
    let highest = rows.iter().map(|row| row.estimate.high).fold(0.0, f64::max);
    let domain = (0.0, if highest > 0.0 { highest } else { 1.0 });
    let layout = Layout::of(rows);
    let scale = Scale::linear(domain, (layout.left, layout.right));
    Drawing::new(layout.height, description(rows), |canvas| {
        canvas.heading(words.title, words.subject);
        axis(canvas, &layout, &scale, words.tick);
        for (index, row) in rows.iter().enumerate() {
            let y = layout.middle(index);
            let end = scale.place(row.estimate.value);
            let ink = Ink::Runtime(row.look.light);
            canvas.rectangle(
                at(layout.left, y - BAR / 2.0),
                at(end.max(layout.left + 1.0), y + BAR / 2.0),
                ink,
                0.82,
            );
            whisker(canvas, &scale, row, y, Ink::Text);
            let text_at = scale.place(row.estimate.high).max(end) + GAP;
            names(canvas, &layout, row, index, text_at);
        }
    })
}

/// Dots on a logarithmic axis with a line at `reference`.
pub(super) fn dots(words: Words<'_>, rows: &[Row], reference: f64) -> Drawing {
    let layout = Layout::of(rows);
    let scale = Scale::logarithmic(around(rows, reference), (layout.left, layout.right));
    Drawing::new(layout.height, description(rows), |canvas| {
        canvas.heading(words.title, words.subject);
        axis(canvas, &layout, &scale, words.tick);
        let x = scale.place(reference);
        canvas.line(
            at(x, layout.top()),
            at(x, layout.bottom()),
            Stroke::new(Ink::Axis, 1.5),
        );
        for (index, row) in rows.iter().enumerate() {
            let y = layout.middle(index);
            let ink = Ink::Runtime(row.look.light);
            let reach = Stroke {
                opacity: 0.35,
                ..Stroke::new(ink, 2.0)
            };
            canvas.line(at(x, y), at(scale.place(row.estimate.value), y), reach);
            whisker(canvas, &scale, row, y, ink);
            canvas.marker(at(scale.place(row.estimate.value), y), row.look, 10.0);
            names(canvas, &layout, row, index, layout.right + GAP);
        }
    })
}

/// Where things are.
struct Layout {
    left: f64,
    right: f64,
    height: f64,
    rows: usize,
}

impl Layout {
    fn of(rows: &[Row]) -> Self {
        let widest = |width: &dyn Fn(&Row) -> f64| rows.iter().map(width).fold(0.0, f64::max);
        let names = widest(&|row| Type::LABEL.width(&row.label)).min(LONGEST_NAME);
        let numbers = widest(&|row| Type::LABEL.width(&row.text));
        Self {
            left: MARGIN + names + GAP,
            right: WIDTH - MARGIN - numbers - GAP,
            height: TOP + ROW * rows.len() as f64 + BELOW,
            rows: rows.len(),
        }
    }

    fn top(&self) -> f64 {
        TOP - 4.0
    }

    fn bottom(&self) -> f64 {
        TOP + ROW * self.rows as f64
    }

    fn middle(&self, index: usize) -> f64 {
        TOP + ROW * (index as f64 + 0.5)
    }
}

/// Room for one tick's label beside the next.
const TICK: f64 = 62.0;

fn axis(canvas: &Canvas<'_>, layout: &Layout, scale: &Scale, tick: fn(f64) -> String) {
    let wanted = ((layout.right - layout.left) / TICK).floor().max(2.0) as usize;
    for value in scale.ticks(wanted) {
        let x = scale.place(value);
        canvas.line(
            at(x, layout.top()),
            at(x, layout.bottom()),
            Stroke::new(Ink::Grid, 1.0),
        );
        let label = Type::CAPTION.anchored(Anchor::Middle);
        canvas.text(
            at(x, layout.bottom() + 14.0),
            &units::tick(&tick(value)),
            label,
        );
    }
}

fn whisker(canvas: &Canvas<'_>, scale: &Scale, row: &Row, y: f64, ink: Ink) {
    let (low, high) = (
        scale.place(row.estimate.low),
        scale.place(row.estimate.high),
    );
    let stroke = Stroke::new(ink, 1.5);
    canvas.line(at(low, y), at(high, y), stroke);
    for x in [low, high] {
        canvas.line(at(x, y - 4.0), at(x, y + 4.0), stroke);
    }
}

fn names(canvas: &Canvas<'_>, layout: &Layout, row: &Row, index: usize, text_at: f64) {
    let y = layout.middle(index);
    let name = Type::LABEL.fit(&row.label, LONGEST_NAME);
    canvas.text(
        at(layout.left - GAP, y),
        &name,
        Type::LABEL.anchored(Anchor::End),
    );
    canvas.text(at(text_at, y), &row.text, Type::LABEL);
}

/// A domain that holds every interval and the reference, with some room on both sides.
fn around(rows: &[Row], reference: f64) -> (f64, f64) {
    let low = rows
        .iter()
        .map(|row| row.estimate.low)
        .fold(reference, f64::min);
    let high = rows
        .iter()
        .map(|row| row.estimate.high)
        .fold(reference, f64::max);
    let room = (high / low).powf(0.04).max(1.05);
    (low / room, high * room)
}

fn description(rows: &[Row]) -> String {
    let said: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {}", row.label, row.text))
        .collect();
    said.join(", ")
}
