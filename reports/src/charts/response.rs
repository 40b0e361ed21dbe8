//! Response and service time side by side, for open loads: the gap between them is the waiting that service time hides.
//!
//! Each runtime has two lines, its median and its 99th percentile; on each the hollow marker is the service time and
//! the filled one the response time. The axis is logarithmic, since under overload the two are orders of magnitude
//! apart.

use super::drawing::{Drawing, Ink, MARGIN, Stroke, Type, WIDTH, at};
use super::rows::x_axis;
use super::scale::{Scale, padded};
use super::{Draw, Kind, subject};
use crate::report::Report;
use crate::runtimes::Look;
use crate::summary::{CellSummary, Group};
use crate::{describe, units};

pub(super) static KIND: Kind = Kind {
    name: "response",
    title: "Response and service time",
    draw: Draw::Load(draw),
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
    runtime: String,
    label: String,
    look: Look,
    lines: Vec<Line>,
}

struct Line {
    name: &'static str,
    service_ns: f64,
    response_ns: f64,
    /// Both numbers as printed.
    texts: [String; 2],
}

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    group.load.rate_hz()?;
    let rows: Vec<Row> = group
        .in_plan_order()
        .into_iter()
        .map(|cell| Row {
            runtime: cell.runtime.clone(),
            label: report.label(&cell.runtime),
            look: report.look(&cell.runtime),
            lines: LINES
                .iter()
                .filter_map(|line| Line::of(cell, *line))
                .collect(),
        })
        .filter(|row| !row.lines.is_empty())
        .collect();
    if rows.is_empty() {
        return None;
    }
    let lines = || rows.iter().flat_map(|row| &row.lines);
    let numbers: Vec<String> = lines().map(|line| line.texts.join(" → ")).collect();
    let names = Type::LABEL.widest(rows.iter().map(|row| &*row.label));
    let captions = Type::CAPTION.widest(LINES.iter().map(|(name, ..)| *name));
    let left = MARGIN + names.min(LONGEST_NAME) + captions + 2.0 * GAP;
    let right = WIDTH - MARGIN - Type::LABEL.widest(numbers.iter().map(String::as_str)) - GAP;
    let times = lines().flat_map(|line| [line.service_ns, line.response_ns]);
    let scale = Scale::logarithmic(padded(times, 1.2), (left, right));
    let bottom = TOP + ROW * rows.len() as f64;

    let mut drawing = Drawing::new(
        bottom + BELOW,
        KIND.title,
        &format!(
            "{} · log axis; hollow: service, filled: response",
            subject(group)
        ),
        describe::list(rows.iter().map(Row::description), ", "),
    );
    drawing.shown = rows.iter().map(|row| row.runtime.clone()).collect();
    let ends = (TOP - 4.0, bottom);
    x_axis(&mut drawing, &scale, ends, TICK, units::duration);
    let mut numbers = numbers.iter();
    for (index, row) in rows.iter().enumerate() {
        let middle = TOP + ROW * (index as f64 + 0.5);
        let name = Type::LABEL.fit(&row.label, LONGEST_NAME);
        let name_end = left - captions - 2.0 * GAP;
        let first = middle - LINE * (row.lines.len() as f64 - 1.0) / 2.0;
        drawing.of(&row.runtime, |drawing| {
            drawing.text(at(name_end, middle), &name, Type::LABEL.end());
            for (index, (line, number)) in row.lines.iter().zip(&mut numbers).enumerate() {
                let y = first + LINE * index as f64;
                drawing.text(at(left - GAP, y), line.name, Type::CAPTION.end());
                let service = at(scale.place(line.service_ns), y);
                let response = at(scale.place(line.response_ns), y);
                let gap = Stroke::new(Ink(row.look.light), 3.0).faded(0.45);
                drawing.line(service, response, gap);
                drawing.hollow_marker(service, row.look, 11.0);
                drawing.marker(response, row.look, 8.0);
                drawing.text(at(right + GAP, y), number, Type::LABEL);
            }
            let (from, to) = (middle - ROW / 2.0, middle + ROW / 2.0);
            drawing.hint(at(MARGIN, from), at(WIDTH - MARGIN, to), &row.description());
        });
    }
    Some(drawing)
}

impl Row {
    fn description(&self) -> String {
        let lines = self.lines.iter().map(|line| {
            let [service, response] = &line.texts;
            format!("{} service {service} response {response}", line.name)
        });
        format!("{} {}", self.label, describe::list(lines, " and "))
    }
}

impl Line {
    fn of(
        cell: &CellSummary,
        (name, service, response): (&'static str, &str, &str),
    ) -> Option<Self> {
        let metric = |name| {
            let metric = cell.metric(name);
            metric.filter(|metric| !describe::is_meaningless(metric))
        };
        let (service, response) = (metric(service)?, metric(response)?);
        Some(Self {
            name,
            service_ns: service.median.max(1.0),
            response_ns: response.median.max(1.0),
            texts: [service, response].map(|metric| describe::value(Some(metric))),
        })
    }
}
