//! The table of where async pays as three charts: speed, CPU and memory of the best async runtime as ratios.
//!
//! One line per scenario and concurrency, classes under headings; on each a mark against `sync` and one against
//! `threads`, on a logarithmic axis around 1, so that twice and half are equally far from the line. `async_pays`
//! computes the ratios.

use super::drawing::{Drawing, Ink, MARGIN, Stroke, Type, WIDTH, at};
use super::rows::x_axis;
use super::scale::{Scale, padded};
use super::{Draw, Kind};
use crate::async_pays::{Ratios, Row};
use crate::report::Report;
use crate::rule::Verdict;
use crate::runtimes::Look;
use crate::{describe, units};

pub(super) static SPEED: Kind = Kind {
    name: "speed",
    title: "Speed of the best async runtime",
    draw: Draw::Record(|report| {
        let panel = Panel {
            title: SPEED.title,
            subject: "operations per second as a ratio to sync and to threads, log axis; hollow: not decided",
            sides: ["async slower", "async faster"],
            mark: |ratios| {
                let speed = ratios.speed.as_ref()?;
                Some(Mark {
                    ratio: speed.ratio.value,
                    interval: (speed.ratio.low, speed.ratio.high),
                    decided: speed
                        .verdict
                        .is_some_and(|verdict| verdict != Verdict::Inconclusive),
                })
            },
        };
        panel.draw(report)
    }),
};

pub(super) static CPU: Kind = Kind {
    name: "cpu",
    title: "CPU time of the best async runtime",
    draw: Draw::Record(|report| {
        let panel = Panel {
            title: CPU.title,
            subject: "per operation, as a ratio to sync and to threads, log axis",
            sides: ["async needs less", "async needs more"],
            mark: |ratios| ratios.cpu.map(Mark::without_interval),
        };
        panel.draw(report)
    }),
};

pub(super) static MEMORY: Kind = Kind {
    name: "memory",
    title: "Memory of the best async runtime",
    draw: Draw::Record(|report| {
        let panel = Panel {
            title: MEMORY.title,
            subject: "peak of the process, as a ratio to sync and to threads, log axis",
            sides: ["async needs less", "async needs more"],
            mark: |ratios| ratios.memory.map(Mark::without_interval),
        };
        panel.draw(report)
    }),
};

/// The content of one of the charts.
struct Panel {
    title: &'static str,
    subject: &'static str,
    /// Names of the sides to the left and to the right of 1.
    sides: [&'static str; 2],
    mark: fn(&Ratios) -> Option<Mark>,
}

/// A ratio on its line.
#[derive(Clone, Copy, Debug)]
struct Mark {
    ratio: f64,
    interval: (f64, f64),
    decided: bool,
}

impl Mark {
    fn without_interval(ratio: f64) -> Self {
        Self {
            ratio,
            interval: (ratio, ratio),
            decided: true,
        }
    }
}

/// A line of the chart.
struct Line {
    class: String,
    label: String,
    /// Against `sync`, against `threads`.
    marks: [Option<Mark>; 2],
}

const TOP: f64 = 62.0;
/// Height of the heading above the columns of numbers.
const HEADER: f64 = 22.0;
const AXIS_TOP: f64 = TOP + HEADER;
const CLASS: f64 = 24.0;
const ROW: f64 = 24.0;
const BELOW: f64 = 50.0;
/// Distance of the two marks of a line from its middle, so that equal ratios do not hide each other.
const APART: f64 = 4.5;
const MARKER: f64 = 8.0;
const NUMBER: f64 = 68.0;
const LONGEST_LABEL: f64 = 190.0;
const GAP: f64 = 10.0;
const TICK: f64 = 46.0;

impl Panel {
    fn draw(&self, report: &Report<'_>) -> Option<Drawing> {
        let table = &report.async_pays;
        let lines: Vec<Line> = table.rows.iter().map(|row| Line::of(row, self)).collect();
        let marks = || lines.iter().flat_map(|line| line.marks.iter().flatten());
        marks().next()?;
        let labels = Type::LABEL.widest(lines.iter().map(|line| &*line.label));
        let left = MARGIN + labels.min(LONGEST_LABEL) + GAP;
        let right = WIDTH - MARGIN - 2.0 * NUMBER - GAP;
        let ends = marks().flat_map(|mark| [mark.interval.0, mark.interval.1]);
        let scale = Scale::logarithmic(padded(ends.chain([1.0]), 1.08), (left, right));
        let classes = lines.chunk_by(|a, b| a.class == b.class);
        let bottom = AXIS_TOP + CLASS * classes.clone().count() as f64 + ROW * lines.len() as f64;
        let looks = table.references.each_ref().map(|name| report.look(name));

        let [sequential, threads] = &table.references;
        let described = lines.iter().map(|line| {
            let [to_sequential, to_threads] = line.numbers();
            let label = &line.label;
            format!("{label} {to_sequential} of {sequential} and {to_threads} of {threads}")
        });
        let description = describe::list(described, ", ");
        let mut drawing = Drawing::new(bottom + BELOW, self.title, self.subject, description);
        x_axis(&mut drawing, &scale, (AXIS_TOP, bottom), TICK, units::ratio);
        let one = scale.place(1.0);
        let axis = Stroke::new(Ink::AXIS, 1.5);
        drawing.line(at(one, AXIS_TOP), at(one, bottom), axis);
        let [less, more] = self.sides;
        let below = bottom + 34.0;
        drawing.text(at(left, below), &format!("← {less}"), Type::CAPTION);
        drawing.text(at(right, below), &format!("{more} →"), Type::CAPTION.end());
        columns(&mut drawing, &table.references, looks);
        let mut y = AXIS_TOP;
        for class in classes {
            let name = &class[0].class;
            drawing.text(at(MARGIN, y + CLASS / 2.0), name, Type::LABEL_BOLD);
            y += CLASS;
            for line in class {
                line.draw(&mut drawing, &scale, left - GAP, y + ROW / 2.0, looks);
                y += ROW;
            }
        }
        Some(drawing)
    }
}

/// The headings of the two columns, each with its mark; they also serve as the legend.
fn columns(drawing: &mut Drawing, names: &[String; 2], looks: [Look; 2]) {
    let y = TOP + HEADER / 2.0;
    for (index, (name, look)) in names.iter().zip(looks).enumerate() {
        let end = column_end(index);
        drawing.text(at(end, y), name, Type::CAPTION.end());
        let start = end - Type::CAPTION.width(name);
        drawing.marker(at(start - MARKER, y), look, MARKER);
    }
}

/// The right edge of a column of numbers.
fn column_end(index: usize) -> f64 {
    WIDTH - MARGIN - NUMBER * (1.0 - index as f64)
}

impl Line {
    fn of(row: &Row, panel: &Panel) -> Self {
        Self {
            class: row.class.clone(),
            label: format!("{} · {}", row.scenario, row.concurrency),
            marks: [&row.vs_sequential, &row.vs_threads].map(panel.mark),
        }
    }

    /// The numbers of both columns as printed.
    fn numbers(&self) -> [String; 2] {
        self.marks
            .map(|mark| mark.map_or("n/a".to_owned(), |mark| units::ratio(mark.ratio)))
    }

    fn draw(&self, drawing: &mut Drawing, scale: &Scale, label_end: f64, y: f64, looks: [Look; 2]) {
        let label = Type::LABEL.fit(&self.label, LONGEST_LABEL);
        drawing.text(at(label_end, y), &label, Type::LABEL.end());
        for (index, number) in self.numbers().iter().enumerate() {
            drawing.text(at(column_end(index), y), number, Type::LABEL.end());
            if let Some(mark) = self.marks[index] {
                let y = y + APART * (2.0 * index as f64 - 1.0);
                mark.draw(drawing, scale, y, looks[index]);
            }
        }
    }
}

impl Mark {
    fn draw(self, drawing: &mut Drawing, scale: &Scale, y: f64, look: Look) {
        let ink = Ink(look.light);
        let mark = at(scale.place(self.ratio), y);
        let from_one = Stroke::new(ink, 2.0).faded(0.3);
        drawing.line(at(scale.place(1.0), y), mark, from_one);
        let (low, high) = (scale.place(self.interval.0), scale.place(self.interval.1));
        drawing.line(at(low, y), at(high, y), Stroke::new(ink, 1.5));
        if self.decided {
            drawing.marker(mark, look, MARKER);
        } else {
            drawing.hollow_marker(mark, look, MARKER);
        }
    }
}
