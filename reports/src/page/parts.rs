//! The page's table of the parts of operations, below the results of their group.

use maud::{Markup, html};

use super::results::number;
use super::tables::Table;
use crate::describe::{PART_COLUMNS, PARTS, PartCell, part_rows};
use crate::summary::Group;

/// The table of a group; empty if its operations have no parts.
pub(super) fn requests(group: &Group<'_>) -> Markup {
    let rows = part_rows(&group.ranked());
    let headings = PART_COLUMNS.iter().map(|column| column.heading);
    let body = html! {
        tbody { @for (part, cell) in &rows {
            tr data-runtime=(cell.runtime) data-part=(part.name) {
                th scope="row" { (part.name) }
                td { (cell.runtime) }
                @for column in PART_COLUMNS {
                    @match column.cell {
                        PartCell::Metric(metric) => { (number(part.metric(metric))) }
                        PartCell::Text(text) => { td { (keep_together(&text(part))) } }
                    }
                }
            }
        } }
    };
    let headings = [PARTS, "runtime"].into_iter().chain(headings);
    let table = Table::new("Parts of the operation", headings, body).of(group);
    html! { @if !rows.is_empty() { div.requests { (table.render()) } } }
}

/// Keeps each count next to its name where a list wraps: `200: 4012, 503: 7`.
fn keep_together(counts: &str) -> String {
    counts.replace(": ", ":\u{a0}")
}
