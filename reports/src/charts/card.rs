//! The card: one picture that sums a run up for a README or a chat.
//!
//! A row has a scenario and load, the best runtime by its median with what it is certain against, and its ratio to the reference
//! with interval and verdict. Nothing is called faster that the matrix does not. Gates and searches have no card: their
//! answer is another one. Not on the page, which opens with the same.

use super::drawing::{Drawing, Ink, Stroke, Type, at};
use super::{Draw, Kind};
use crate::describe;
use crate::matrix::{Best, Row};
use crate::report::Report;
use crate::rule::Verdict;
use crate::summary::{CellSummary, Comparison};
use crate::units;

pub(super) static KIND: Kind = Kind {
    name: "card",
    title: "In short",
    draw: Draw::Card(draw),
};

/// Half of 1200 × 630, the size that chats and social networks expect of a link's picture.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 315.0;
const EDGE: f64 = 26.0;
const TOP: f64 = 92.0;
/// Least and greatest height of a row; together they fill what is between the heading and the last line.
const ROW: (f64, f64) = (32.0, 48.0);
const ROWS: f64 = 192.0;
/// Maximum number of rows; the others are counted.
const MOST_ROWS: usize = 6;
/// Where the columns begin: runtime, ratio (at its end), interval.
const RUNTIME: f64 = 208.0;
const RATIO_END: f64 = 462.0;
const INTERVAL: f64 = 472.0;

const HEADING: Type = Type {
    size: 21.0,
    ..Type::TITLE
};
const RATIO: Type = Type {
    size: 17.0,
    bold: true,
    ..Type::LABEL
};

fn draw(report: &Report<'_>) -> Option<Drawing> {
    let rows = report.matrix.rows.iter();
    let lines: Vec<Line<'_>> = rows.filter_map(|row| Line::of(report, row)).collect();
    if lines.is_empty() || report.gate.is_some() || !report.searches.is_empty() {
        return None;
    }
    let record = report.record;
    let scenarios = record.plan.scenarios.iter();
    let scenarios: Vec<&str> = scenarios.map(|scenario| scenario.name.as_str()).collect();
    let subject = describe::subject(&record.plan, &scenarios);
    let described = describe::list(lines.iter().map(Line::described), "; ");
    let mut drawing = Drawing::blank(WIDTH, HEIGHT, described);
    let width = WIDTH - 2.0 * EDGE;
    drawing.text(at(EDGE, 26.0), "Photofinish", Type::CAPTION);
    drawing.text(at(EDGE, 52.0), &HEADING.fit(&subject, width), HEADING);
    let facts = format!(
        "{} · {} · {}",
        describe::time(&record.started_utc),
        describe::processor(&record.machine),
        describe::tool_version(&record.tool)
    );
    drawing.text(
        at(EDGE, 76.0),
        &Type::CAPTION.fit(&facts, width),
        Type::CAPTION,
    );
    let shown = lines.len().min(MOST_ROWS);
    let row = (ROWS / shown as f64).clamp(ROW.0, ROW.1);
    for (index, line) in lines.iter().take(shown).enumerate() {
        let top = TOP + row * index as f64;
        let rule = Stroke::new(Ink::GRID, 1.0);
        drawing.line(at(EDGE, top), at(WIDTH - EDGE, top), rule);
        line.draw(&mut drawing, report, top + row / 2.0);
    }
    let more = lines.len() - shown;
    let more = if more > 0 {
        format!("and {}; ", describe::plural(more, "more row"))
    } else {
        String::new()
    };
    let last = format!("{more}{}", describe::fitness(&record.fitness));
    drawing.text(
        at(EDGE, HEIGHT - 17.0),
        &Type::CAPTION.fit(&last, width),
        Type::CAPTION,
    );
    Some(drawing)
}

/// A row of the matrix that has a best runtime.
struct Line<'a> {
    row: &'a Row,
    best: &'a Best,
    cell: &'a CellSummary,
    comparison: Option<&'a Comparison>,
}

impl<'a> Line<'a> {
    fn of(report: &'a Report<'_>, row: &'a Row) -> Option<Self> {
        let best = row.best.as_ref()?;
        let mut fields = row.fields.iter().flatten();
        let cell = fields.find_map(|field| {
            let cell = report.summary.cells.get(field.cell)?;
            (cell.runtime == best.runtime).then_some(cell)
        })?;
        Some(Self {
            row,
            best,
            cell,
            comparison: row.comparison(cell),
        })
    }

    /// Ratio, interval and verdict, each as printed.
    fn texts(&self) -> [String; 3] {
        let Some(Comparison { ratio, verdict, .. }) = self.comparison else {
            return ["1×", "", "the reference"].map(str::to_owned);
        };
        let glyph = verdict.map_or(String::new(), |verdict| {
            format!("{} ", describe::glyph(verdict))
        });
        [
            glyph + &units::ratio(ratio.value),
            units::interval(ratio.low, ratio.high, units::ratio),
            verdict
                .map_or("no verdict", describe::verdict_word)
                .to_owned(),
        ]
    }

    /// The certainty of the best runtime; the others are counted where their names are wider than `room`.
    fn certainty(&self, room: f64) -> String {
        let named = self.row.certainty(self.best);
        if Type::SMALL.width(&named) <= room {
            return named;
        }
        let [tied, open] = self.best.tied_and_open();
        describe::counted_certainty(tied.len(), open.len(), self.row.others())
    }

    fn load(&self) -> String {
        let against = self.row.reference.as_deref();
        let against = against.map_or(String::new(), |reference| format!(" vs {reference}"));
        format!("{}, {}{against}", self.row.point(), self.row.by)
    }

    fn described(&self) -> String {
        let [ratio, interval, verdict] = self.texts();
        let (scenario, runtime) = (&self.row.scenario, &self.cell.runtime);
        let (load, certainty) = (self.load(), self.row.certainty(self.best));
        format!(
            "{scenario} ({load}): best median {runtime} ({certainty}), {ratio} {interval} {verdict}"
        )
    }

    fn draw(&self, drawing: &mut Drawing, report: &Report<'_>, y: f64) {
        let (upper, lower) = (y - 5.5, y + 8.0);
        let bold = Type::LABEL_BOLD;
        let room = RUNTIME - EDGE - 8.0;
        drawing.text(at(EDGE, upper), &bold.fit(&self.row.scenario, room), bold);
        drawing.text(
            at(EDGE, lower),
            &Type::SMALL.fit(&self.load(), room),
            Type::SMALL,
        );
        let [ratio, interval, verdict] = self.texts();
        let ratio_start = RATIO_END - RATIO.width(&ratio);
        let room = ratio_start - RUNTIME - 24.0;
        let label = Type::LABEL.fit(&report.label(&self.cell.runtime), room);
        drawing.marker(
            at(RUNTIME + 5.0, upper),
            report.look(&self.cell.runtime),
            9.0,
        );
        drawing.text(at(RUNTIME + 16.0, upper), &label, Type::LABEL);
        let certainty = Type::SMALL.fit(&self.certainty(room), room);
        drawing.text(at(RUNTIME + 16.0, lower), &certainty, Type::SMALL);
        let decided = self.comparison.and_then(|comparison| comparison.verdict);
        let decided = decided.is_some_and(|verdict| verdict != Verdict::Inconclusive);
        let ink = if decided { Ink::TEXT } else { Ink::FAINT };
        let bold = Type { ink, ..RATIO };
        drawing.text(at(RATIO_END, y), &ratio, bold.end());
        drawing.text(at(INTERVAL, upper), &interval, Type::CAPTION);
        drawing.text(at(INTERVAL, lower), &verdict, Type::CAPTION);
    }
}
