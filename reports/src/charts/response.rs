//! Response and service time side by side, for open loads: the gap between them is the waiting that service time hides.
//!
//! Each runtime has two lines, its median and its 99th percentile; on each the hollow marker is the service time and
//! the filled one the response time. The axis is logarithmic, since under overload the two are orders of magnitude
//! apart.

use super::drawing::{Anchor, Drawing, Ink, MARGIN, Stroke, Type, WIDTH, at};
use super::rows::x_axis;
use super::scale::{Scale, padded};
use super::{Chartable, Kind, Source, subject};
use crate::runtimes::Look;
use crate::summary::{CellSummary, Group};
use crate::{describe, units};

pub(super) static KIND: Kind = Kind {
    name: "response",
    title: "Response and service time",
    draw: Chartable::Load(draw),
};

/// The lines of a runtime: name and metrics.
const LINES: [(&str, &str, &str); 2] = [
    ("p50", "service_p50_ns", "response_p50_ns"),
    ("p99", "service_p99_ns", "response_p99_ns"),
];

const TOP: f64 = 64.0;
const ROW: f64 = 46.0;
const LINE: f64 = 18.0;
const BELOW: f64 = 34.0;
const GAP: f64 = 10.0;
const LONGEST_NAME: f64 = 170.0;
/// Width of one tick's label.
const TICK: f64 = 62.0;

/// A runtime's lines.
struct Row {
    label: String,
    look: Look,
    lines: Vec<Line>,
}

struct Line {
    name: &'static str,
    service_ns: f64,
    response_ns: f64,
    /// Both numbers as printed.
    text: String,
}

fn draw(source: &Source<'_>, group: &Group<'_>) -> Option<Drawing> {
    group.load.rate_hz()?;
    let rows: Vec<Row> = group
        .ranked()
        .into_iter()
        .filter_map(|cell| Row::of(source, cell))
        .collect();
    if rows.is_empty() {
        return None;
    }
    let lines = || rows.iter().flat_map(|row| &row.lines);
    let names = widest(rows.iter().map(|row| Type::LABEL.width(&row.label)));
    let captions = widest(LINES.iter().map(|(name, ..)| Type::CAPTION.width(name)));
    let numbers = widest(lines().map(|line| Type::LABEL.width(&line.text)));
    let left = MARGIN + names.min(LONGEST_NAME) + captions + 2.0 * GAP;
    let right = WIDTH - MARGIN - numbers - GAP;
    let times = lines().flat_map(|line| [line.service_ns, line.response_ns]);
    let scale = Scale::logarithmic(padded(times, 1.2), (left, right));
    let bottom = TOP + ROW * rows.len() as f64;

    let mut drawing = Drawing::new(bottom + BELOW, description(&rows));
    let subject = format!("{} · hollow: service, filled: response", subject(group));
    drawing.heading(KIND.title, &subject);
    x_axis(
        &mut drawing,
        &scale,
        (TOP - 4.0, bottom),
        TICK,
        units::duration,
    );
    let end = Type::LABEL.anchored(Anchor::End);
    for (index, row) in rows.iter().enumerate() {
        let middle = TOP + ROW * (index as f64 + 0.5);
        let name = Type::LABEL.fit(&row.label, LONGEST_NAME);
        drawing.text(at(left - captions - 2.0 * GAP, middle), &name, end);
        let first = middle - LINE * (row.lines.len() as f64 - 1.0) / 2.0;
        for (index, line) in row.lines.iter().enumerate() {
            let y = first + LINE * index as f64;
            let caption = Type::CAPTION.anchored(Anchor::End);
            drawing.text(at(left - GAP, y), line.name, caption);
            let service = at(scale.place(line.service_ns), y);
            let response = at(scale.place(line.response_ns), y);
            let gap = Stroke::new(Ink(row.look.light), 3.0).faded(0.45);
            drawing.line(service, response, gap);
            drawing.hollow_marker(service, row.look, 11.0);
            drawing.marker(response, row.look, 8.0);
            drawing.text(at(right + GAP, y), &line.text, Type::LABEL);
        }
    }
    Some(drawing)
}

fn widest(widths: impl Iterator<Item = f64>) -> f64 {
    widths.fold(0.0, f64::max)
}

impl Row {
    fn of(source: &Source<'_>, cell: &CellSummary) -> Option<Self> {
        let lines: Vec<Line> = LINES
            .iter()
            .filter_map(|line| Line::of(cell, *line))
            .collect();
        (!lines.is_empty()).then(|| Self {
            label: source.label(&cell.runtime),
            look: source.look(&cell.runtime),
            lines,
        })
    }
}

impl Line {
    fn of(
        cell: &CellSummary,
        (name, service, response): (&'static str, &str, &str),
    ) -> Option<Self> {
        let (service, response) = (cell.metric(service)?, cell.metric(response)?);
        Some(Self {
            name,
            service_ns: service.median.max(1.0),
            response_ns: response.median.max(1.0),
            text: format!(
                "{} → {}",
                describe::value(Some(service)),
                describe::value(Some(response))
            ),
        })
    }
}

fn description(rows: &[Row]) -> String {
    let described: Vec<String> = rows
        .iter()
        .map(|row| {
            let lines: Vec<String> = row
                .lines
                .iter()
                .map(|line| {
                    format!(
                        "{} service {}",
                        line.name,
                        line.text.replace('→', "response")
                    )
                })
                .collect();
            format!("{} {}", row.label, lines.join(" and "))
        })
        .collect();
    described.join(", ")
}
