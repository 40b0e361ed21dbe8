//! The page's section on where asynchronous code pays: a table by class and its charts, above the scenarios they are
//! based on.

use maud::{Markup, html};

use super::figures;
use super::tables::Table;
use crate::async_pays::{Answer, LEGEND, QUESTION};
use crate::charts::Chart;

pub(super) fn section(answer: &Answer, charts: &[&Chart]) -> Markup {
    html! {
        @if !answer.rows.is_empty() {
            section id="where-async-pays" aria-labelledby="where-async-pays:heading" {
                h2 id="where-async-pays:heading" { (QUESTION) }
                (table(answer))
                p { (LEGEND) }
                (figures(charts))
            }
        }
    }
}

/// A single table, so that its columns are aligned; classes are headings in it.
fn table(answer: &Answer) -> Markup {
    let headings = answer.headings();
    let body = html! {
        @for of_class in answer.rows.chunk_by(|a, b| a.class == b.class) {
            tbody {
                tr.class { th scope="rowgroup" colspan=(1 + headings.len()) { (of_class[0].class) } }
                @for row in of_class {
                    tr { th scope="row" { (row.scenario) } @for cell in row.cells() { td { (cell) } } }
                }
            }
        }
    };
    let headings = std::iter::once("scenario".to_owned()).chain(headings);
    Table::new("The best asynchronous runtime of each load", headings, body)
        .results()
        .render()
}
