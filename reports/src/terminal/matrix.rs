//! The result of a run on one screen: runtimes by scenario and load, each with its verdict.
//!
//! The values are those of `crate::matrix`; here they are turned, a row for each runtime, so that they fit a terminal.

use photofinish_record::load::Load;
use unicode_width::UnicodeWidthStr as _;

use super::table::Table;
use super::text::{Text, Tone, cut};
use crate::matrix::Row;
use crate::report::Report;
use crate::summary::{CellSummary, Status};
use crate::{describe, units};

/// A longer heading would take the room of another column.
const LONGEST_HEADING: usize = 18;

/// A glyph and a long ratio: `▲ 0.00031×`.
const NARROWEST_COLUMN: usize = 10;

const LEGEND: &str = "▲ faster than the reference (1×), ▼ slower, = tie, ? cannot be told; ratios of throughput, under an \
                      open load of response time.";

/// The matrix; nothing if there is nothing to compare.
pub(super) fn print(text: &mut Text, report: &Report<'_>) {
    let matrix = &report.matrix;
    if !matrix.compares() {
        return;
    }
    let rows = matrix.rows.iter().filter(|row| row.reference.is_some());
    let rows: Vec<&Row> = rows.collect();
    text.paragraph(Tone::Strong, "Verdicts");
    text.blank();
    let names = matrix.runtimes.iter().map(|runtime| runtime.width()).max();
    let room = text.width.saturating_sub(names.unwrap_or_default() + 2);
    for of_screen in screens(&rows, room) {
        let runtimes = matrix.runtimes.iter();
        let mut table = Table::new(
            "runtime",
            runtimes.map(|runtime| (runtime.clone(), Tone::Plain)),
        );
        table.keeps_columns = true;
        for row in of_screen {
            let cells = || {
                let fields = row.fields.iter();
                fields.map(|field| report.summary.cells.get(field.as_ref()?.cell))
            };
            let texts = cells().map(|cell| cell.map_or(String::new(), |cell| verdict(cell, row)));
            table.column(&heading(row), 0, texts);
            let verdict = |cell: &CellSummary| row.comparison(cell)?.verdict;
            table.paint(cells().map(|cell| Tone::of(cell.and_then(verdict))));
        }
        table.print(text);
    }
    text.paragraph_in(Tone::Faint, LEGEND);
    text.blank();
}

/// The rows in tables that fit into `room` columns beside the names.
fn screens<'a>(rows: &[&'a Row], room: usize) -> Vec<Vec<&'a Row>> {
    let mut screens: Vec<Vec<&Row>> = Vec::new();
    let mut used = room + 1;
    for &row in rows {
        let width = heading(row).width().max(NARROWEST_COLUMN) + 2;
        used += width;
        match screens.last_mut().filter(|_| used <= room) {
            Some(screen) => screen.push(row),
            None => {
                screens.push(vec![row]);
                used = width;
            }
        }
    }
    screens
}

/// `http-get 16`, `http-get 2.00k/s`, `http-get 16 Python`.
fn heading(row: &Row) -> String {
    let load = match row.load {
        Load::Closed { concurrency } => concurrency.to_string(),
        Load::Open { rate_hz, .. } => units::per_second(rate_hz.into()),
    };
    let room = LONGEST_HEADING.saturating_sub(load.width() + 1);
    let heading = format!("{} {load}", cut(&row.scenario, room));
    match &row.stack {
        Some(stack) => format!("{heading} {stack}"),
        None => heading,
    }
}

/// `▲ 6.76×`; a cell without numbers says so.
fn verdict(cell: &CellSummary, row: &Row) -> String {
    if cell.status != Status::Ok {
        return describe::status(cell.status).to_owned();
    }
    let Some(comparison) = row.comparison(cell) else {
        let is_reference = row.reference.as_ref() == Some(&cell.runtime);
        return if is_reference { "1×" } else { "n/a" }.to_owned();
    };
    let ratio = units::ratio(comparison.ratio.value);
    match comparison.verdict {
        Some(verdict) => format!("{} {ratio}", describe::glyph(verdict)),
        None => ratio,
    }
}
