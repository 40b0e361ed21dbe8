//! Where asynchronous code pays, as pictures of the table's rows: speed, CPU and memory of the best async runtime as ratios.
//!
//! One line per scenario and concurrency, classes under headings; on each a mark against `sync` and one against `threads`,
//! on a logarithmic axis around 1, so that twice and half lie equally far from the line. What the ratios are made of is
//! the business of `async_pays`.

use super::canvas::{Anchor, Canvas, Drawing, Ink, MARGIN, Stroke, Type, WIDTH, at};
use super::scale::Scale;
use super::{Draw, Kind, Source};
use crate::async_pays::{Ratios, Row};
use crate::rule::Verdict;
use crate::runtimes::Look;
use crate::units;

pub(super) static SPEED: Kind = Kind {
    name: "speed",
    title: "Speed of the best async runtime",
    draw: Draw::Whole(|source| draw(source, &OF_SPEED)),
};

pub(super) static CPU: Kind = Kind {
    name: "cpu",
    title: "CPU time of the best async runtime",
    draw: Draw::Whole(|source| draw(source, &OF_CPU)),
};

pub(super) static MEMORY: Kind = Kind {
    name: "memory",
    title: "Memory of the best async runtime",
    draw: Draw::Whole(|source| draw(source, &OF_MEMORY)),
};

/// What one of the pictures shows.
struct Panel {
    kind: &'static Kind,
    subject: &'static str,
    /// What lies to the left of 1, and to the right.
    sides: [&'static str; 2],
    read: fn(&Ratios) -> Option<Mark>,
}

const OF_SPEED: Panel = Panel {
    kind: &SPEED,
    subject: "operations per second as a ratio to sync and to threads; hollow: not decided",
    sides: ["async slower", "async faster"],
    read: |ratios| {
        let speed = ratios.speed.as_ref()?;
        let decided = speed
            .verdict
            .is_some_and(|said| said != Verdict::Inconclusive);
        Some(Mark {
            ratio: speed.median,
            reach: (speed.low, speed.high),
            decided,
        })
    },
};

const OF_CPU: Panel = Panel {
    kind: &CPU,
    subject: "per operation, as a ratio to sync and to threads",
    sides: ["async needs less", "async needs more"],
    read: |ratios| Mark::exactly(ratios.cpu?),
};

const OF_MEMORY: Panel = Panel {
    kind: &MEMORY,
    subject: "peak of the process, as a ratio to sync and to threads",
    sides: ["async needs less", "async needs more"],
    read: |ratios| Mark::exactly(ratios.memory?),
};

/// A ratio on its line.
#[derive(Clone, Copy, Debug)]
struct Mark {
    ratio: f64,
    reach: (f64, f64),
    decided: bool,
}

impl Mark {
    fn exactly(ratio: f64) -> Option<Self> {
        Some(Self {
            ratio,
            reach: (ratio, ratio),
            decided: true,
        })
    }
}

/// A line of the picture.
struct Line {
    class: String,
    label: String,
    /// Against `sync`, against `threads`.
    marks: [Option<Mark>; 2],
}

const TOP: f64 = 62.0;
/// Room for what the columns of numbers are called.
const HEADER: f64 = 22.0;
const CLASS: f64 = 24.0;
const ROW: f64 = 24.0;
const BELOW: f64 = 50.0;
/// How far the two marks of a line stand above and below it: so they are told apart where both ratios are alike.
const APART: f64 = 4.5;
const MARKER: f64 = 8.0;
const NUMBER: f64 = 68.0;
const LONGEST_LABEL: f64 = 190.0;
const GAP: f64 = 10.0;
const TICK: f64 = 46.0;

fn draw(source: &Source<'_>, panel: &Panel) -> Option<Drawing> {
    let answer = &source.report.async_pays;
    let lines: Vec<Line> = answer.rows.iter().map(|row| Line::of(row, panel)).collect();
    if lines
        .iter()
        .all(|line| line.marks.iter().all(Option::is_none))
    {
        return None;
    }
    let layout = Layout::of(&lines);
    let scale = Scale::logarithmic(around(&lines), (layout.left, layout.right));
    let looks = answer.references.each_ref().map(|name| source.look(name));
    Some(Drawing::new(
        layout.height(),
        description(&lines, &answer.references),
        |canvas| {
            canvas.heading(panel.kind.title, panel.subject);
            layout.axis(canvas, &scale, panel.sides);
            layout.columns(canvas, &answer.references, looks);
            for (line, place) in lines.iter().zip(&layout.places) {
                if let Some(y) = place.class {
                    canvas.text(at(MARGIN, y), &line.class, Type::LABEL_BOLD);
                }
                layout.line(canvas, &scale, line, place.middle, looks);
            }
        },
    ))
}

impl Line {
    fn of(row: &Row, panel: &Panel) -> Self {
        Self {
            class: row.class.clone(),
            label: format!("{} · {}", row.scenario, row.concurrency),
            marks: [&row.vs_sequential, &row.vs_threads].map(panel.read),
        }
    }
}

/// Where things are.
struct Layout {
    left: f64,
    right: f64,
    bottom: f64,
    places: Vec<Place>,
}

/// Where a line is, and its class's heading where it is the first of it.
struct Place {
    class: Option<f64>,
    middle: f64,
}

impl Layout {
    fn of(lines: &[Line]) -> Self {
        let widths = lines.iter().map(|line| Type::LABEL.width(&line.label));
        let labels = widths.fold(0.0, f64::max).min(LONGEST_LABEL);
        let mut y = TOP + HEADER;
        let mut places = Vec::new();
        let mut before = None;
        for line in lines {
            let class = (before != Some(&line.class)).then(|| {
                y += CLASS;
                y - CLASS / 2.0
            });
            before = Some(&line.class);
            y += ROW;
            places.push(Place {
                class,
                middle: y - ROW / 2.0,
            });
        }
        Self {
            left: MARGIN + labels + GAP,
            right: WIDTH - MARGIN - 2.0 * NUMBER - GAP,
            bottom: y,
            places,
        }
    }

    fn height(&self) -> f64 {
        self.bottom + BELOW
    }

    fn axis(&self, canvas: &Canvas<'_>, scale: &Scale, sides: [&str; 2]) {
        let top = TOP + HEADER;
        let wanted = ((self.right - self.left) / TICK).floor().max(2.0) as usize;
        for value in scale.ticks(wanted) {
            let x = scale.place(value);
            canvas.line(at(x, top), at(x, self.bottom), Stroke::new(Ink::Grid, 1.0));
            let label = Type::CAPTION.anchored(Anchor::Middle);
            let text = units::tick(&units::ratio(value));
            canvas.text(at(x, self.bottom + 14.0), &text, label);
        }
        let x = scale.place(1.0);
        canvas.line(at(x, top), at(x, self.bottom), Stroke::new(Ink::Axis, 1.5));
        let [less, more] = sides;
        let below = self.bottom + 34.0;
        let start = Type::CAPTION.anchored(Anchor::Start);
        canvas.text(at(self.left, below), &format!("← {less}"), start);
        let end = Type::CAPTION.anchored(Anchor::End);
        canvas.text(at(self.right, below), &format!("{more} →"), end);
    }

    /// The two columns' headings, each with its mark: they are the legend too.
    fn columns(&self, canvas: &Canvas<'_>, names: &[String; 2], looks: [Look; 2]) {
        let y = TOP + HEADER / 2.0;
        for (index, (name, look)) in names.iter().zip(looks).enumerate() {
            let end = self.column(index);
            canvas.text(at(end, y), name, Type::CAPTION.anchored(Anchor::End));
            let start = end - Type::CAPTION.width(name);
            canvas.marker(at(start - MARKER, y), look, MARKER);
        }
    }

    /// Where a column of numbers ends.
    fn column(&self, index: usize) -> f64 {
        WIDTH - MARGIN - NUMBER * (1.0 - index as f64)
    }

    fn line(&self, canvas: &Canvas<'_>, scale: &Scale, line: &Line, y: f64, looks: [Look; 2]) {
        let label = Type::LABEL.fit(&line.label, LONGEST_LABEL);
        let anchored = Type::LABEL.anchored(Anchor::End);
        canvas.text(at(self.left - GAP, y), &label, anchored);
        for (index, (mark, look)) in line.marks.iter().zip(looks).enumerate() {
            let above = y + APART * (2.0 * index as f64 - 1.0);
            let text = mark.map_or("n/a".to_owned(), |mark| units::ratio(mark.ratio));
            canvas.text(at(self.column(index), y), &text, anchored);
            if let Some(mark) = mark {
                mark.draw(canvas, scale, above, look);
            }
        }
    }
}

impl Mark {
    fn draw(self, canvas: &Canvas<'_>, scale: &Scale, y: f64, look: Look) {
        let (low, high) = (scale.place(self.reach.0), scale.place(self.reach.1));
        let ink = Ink::Runtime(look.light);
        let reach = Stroke {
            opacity: 0.3,
            ..Stroke::new(ink, 2.0)
        };
        let one = scale.place(1.0);
        canvas.line(at(one, y), at(scale.place(self.ratio), y), reach);
        let stroke = Stroke::new(ink, 1.5);
        canvas.line(at(low, y), at(high, y), stroke);
        let place = at(scale.place(self.ratio), y);
        if self.decided {
            canvas.marker(place, look, MARKER);
        } else {
            canvas.hollow_marker(place, look, MARKER);
        }
    }
}

/// A domain that holds every interval and 1, with some room on both sides.
fn around(lines: &[Line]) -> (f64, f64) {
    let marks = || lines.iter().flat_map(|line| line.marks.iter().flatten());
    let low = marks().map(|mark| mark.reach.0).fold(1.0, f64::min);
    let high = marks().map(|mark| mark.reach.1).fold(1.0, f64::max);
    let room = (high / low).powf(0.05).max(1.08);
    (low / room, high * room)
}

fn description(lines: &[Line], [sequential, threads]: &[String; 2]) -> String {
    let said = lines.iter().map(|line| {
        let [to_sequential, to_threads] = line
            .marks
            .map(|mark| mark.map_or("n/a".to_owned(), |mark| units::ratio(mark.ratio)));
        format!(
            "{} {to_sequential} of {sequential} and {to_threads} of {threads}",
            line.label
        )
    });
    said.collect::<Vec<_>>().join(", ")
}
