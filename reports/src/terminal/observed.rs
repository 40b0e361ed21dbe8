//! The tables of what workloads and probes observed themselves, below the results of their group.
//!
//! Three columns at the most: they always fit, so that none is ever given up; a long name is cut instead.

use unicode_width::UnicodeWidthStr as _;

use super::{
    Column, INDENT, Page, Tone, WIDE_GAP, clean, cut, pad_left, pad_right, short_name, width_of,
};
use crate::describe;
use crate::observed::{Observed, observed};
use crate::summary::CellSummary;

/// One table for each thing; nothing where nothing was observed.
pub(super) fn tables(page: &mut Page, ranked: &[&CellSummary]) {
    for observed in observed(ranked) {
        table(page, ranked, &observed);
        page.blank();
    }
}

/// The thing's name heads the names of the runtimes.
fn table(page: &mut Page, ranked: &[&CellSummary], observed: &Observed) {
    let columns = columns(ranked, observed);
    let heading = clean(&observed.name);
    let names: Vec<String> = ranked
        .iter()
        .map(|cell| short_name(&cell.runtime))
        .collect();
    let longest = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let room = page
        .width
        .saturating_sub(INDENT + width_of(&columns, WIDE_GAP));
    let name_width = longest.max(heading.width()).min(room);
    let line = |name: &str, cells: Vec<&str>| {
        let padded = columns.iter().zip(cells);
        let cells: String = padded
            .map(|(column, cell)| pad_left(cell, column.width() + WIDE_GAP))
            .collect();
        let name = pad_right(&cut(name, name_width), name_width);
        format!("{:INDENT$}{name}{cells}", "")
    };
    let headings = columns.iter().map(|column| column.heading.as_str());
    page.line(Tone::Faint, &line(&heading, headings.collect()));
    for (row, name) in names.iter().enumerate() {
        let cells = columns.iter().map(|column| column.cells[row].as_str());
        page.line(Tone::Plain, &line(name, cells.collect()));
    }
}

fn columns(ranked: &[&CellSummary], observed: &Observed) -> Vec<Column> {
    let cells = |metric: &str| {
        let values = ranked
            .iter()
            .map(|cell| describe::value(cell.metric(metric)));
        values.map(|value| clean(&value)).collect()
    };
    let columns = observed.columns.iter().zip(0..);
    columns
        .map(|(column, rank)| Column {
            heading: clean(&column.heading),
            rank,
            cells: cells(&column.metric),
        })
        .collect()
}
