//! Response and service time side by side, for open loads: the gap between them is the waiting that service time hides.
//!
//! One runtime has two lines, its median and its 99th percentile; on each the hollow marker is the service time and the
//! filled one the response. The axis is logarithmic, since under overload the two lie orders of magnitude apart.

use super::canvas::{Anchor, Canvas, Drawing, Ink, MARGIN, Stroke, Type, WIDTH, at};
use super::scale::Scale;
use super::{Draw, Kind, Source, subject};
use crate::runtimes::Look;
use crate::summary::{CellSummary, Group, MetricSummary};
use crate::{describe, units};

const TITLE: &str = "Response and service time";

pub(super) static KIND: Kind = Kind {
    name: "response",
    title: TITLE,
    draw: Draw::PerLoad(draw),
};

/// The lines of a runtime: their name and what they show.
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
    /// Both numbers as they are printed.
    text: String,
}

fn draw(source: &Source<'_>, group: &Group<'_>) -> Option<Drawing> {
    group.load.rate_hz()?;
    let cells = group.ranked().into_iter();
    let rows: Vec<Row> = cells.filter_map(|cell| Row::of(source, cell)).collect();
    let lines = || rows.iter().flat_map(|row| &row.lines);
    let times = || lines().flat_map(|line| [line.service_ns, line.response_ns]);
    let (low, high) = (times().reduce(f64::min)?, times().reduce(f64::max)?);
    let widest = |widths: &mut dyn Iterator<Item = f64>| widths.fold(0.0, f64::max);
    let names = widest(&mut rows.iter().map(|row| Type::LABEL.width(&row.label)));
    let captions = widest(&mut LINES.iter().map(|(name, ..)| Type::CAPTION.width(name)));
    let numbers = widest(&mut lines().map(|line| Type::LABEL.width(&line.text)));
    let left = MARGIN + names.min(LONGEST_NAME) + captions + 2.0 * GAP;
    let right = WIDTH - MARGIN - numbers - GAP;
    let room = (high / low).powf(0.04).max(1.2);
    let layout = Layout {
        left,
        names: left - captions - 2.0 * GAP,
        right,
        bottom: TOP + ROW * rows.len() as f64,
        scale: Scale::logarithmic((low / room, high * room), (left, right)),
    };
    Some(Drawing::new(
        layout.bottom + BELOW,
        description(&rows),
        |canvas| {
            let subject = format!("{} · hollow: service, filled: response", subject(group));
            canvas.heading(TITLE, &subject);
            layout.axis(canvas);
            for (index, row) in rows.iter().enumerate() {
                layout.row(canvas, row, TOP + ROW * (index as f64 + 0.5));
            }
        },
    ))
}

impl Row {
    fn of(source: &Source<'_>, cell: &CellSummary) -> Option<Self> {
        let line = |(name, service, response): &(&'static str, &str, &str)| {
            Line::of(name, cell.metric(service)?, cell.metric(response)?)
        };
        let lines: Vec<Line> = LINES.iter().filter_map(line).collect();
        (!lines.is_empty()).then(|| Self {
            label: source.label(&cell.runtime),
            look: source.look(&cell.runtime),
            lines,
        })
    }
}

impl Line {
    fn of(name: &'static str, service: &MetricSummary, response: &MetricSummary) -> Option<Self> {
        let (service_ns, response_ns) = (service.median.max(1.0), response.median.max(1.0));
        Some(Self {
            name,
            service_ns,
            response_ns,
            text: format!(
                "{} → {}",
                describe::value(Some(service)),
                describe::value(Some(response))
            ),
        })
    }
}

/// Where things are.
struct Layout {
    left: f64,
    /// Where names end.
    names: f64,
    right: f64,
    bottom: f64,
    scale: Scale,
}

impl Layout {
    fn axis(&self, canvas: &Canvas<'_>) {
        let wanted = ((self.right - self.left) / TICK).floor().max(2.0) as usize;
        for value in self.scale.ticks(wanted) {
            let x = self.scale.place(value);
            canvas.line(
                at(x, TOP - 4.0),
                at(x, self.bottom),
                Stroke::new(Ink::Grid, 1.0),
            );
            let label = Type::CAPTION.anchored(Anchor::Middle);
            let text = units::tick(&units::duration(value));
            canvas.text(at(x, self.bottom + 14.0), &text, label);
        }
    }

    fn row(&self, canvas: &Canvas<'_>, row: &Row, middle: f64) {
        let name = Type::LABEL.fit(&row.label, LONGEST_NAME);
        canvas.text(
            at(self.names, middle),
            &name,
            Type::LABEL.anchored(Anchor::End),
        );
        let above = (row.lines.len() as f64 - 1.0) / 2.0;
        for (index, line) in row.lines.iter().enumerate() {
            self.line(
                canvas,
                row.look,
                line,
                middle + LINE * (index as f64 - above),
            );
        }
    }

    fn line(&self, canvas: &Canvas<'_>, look: Look, line: &Line, y: f64) {
        let caption = Type::CAPTION.anchored(Anchor::End);
        canvas.text(at(self.left - GAP, y), line.name, caption);
        let service = at(self.scale.place(line.service_ns), y);
        let response = at(self.scale.place(line.response_ns), y);
        let reach = Stroke {
            opacity: 0.45,
            ..Stroke::new(Ink::Runtime(look.light), 3.0)
        };
        canvas.line(service, response, reach);
        canvas.hollow_marker(service, look, 11.0);
        canvas.marker(response, look, 8.0);
        canvas.text(at(self.right + GAP, y), &line.text, Type::LABEL);
    }
}

/// Room for one tick's label beside the next.
const TICK: f64 = 62.0;

fn description(rows: &[Row]) -> String {
    let said = |row: &Row| {
        let lines = row.lines.iter();
        let lines = lines.map(|line| {
            format!(
                "{} service {}",
                line.name,
                line.text.replace('→', "response")
            )
        });
        format!("{} {}", row.label, lines.collect::<Vec<_>>().join(" and "))
    };
    rows.iter().map(said).collect::<Vec<_>>().join(", ")
}
