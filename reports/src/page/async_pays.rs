//! The page's section on where asynchronous code pays: a table by class and its charts, above the scenarios they are
//! based on.

use maud::{Markup, html};

use super::{figures, results_table};
use crate::async_pays::{Answer, LEGEND, QUESTION};
use crate::charts::Chart;

pub(super) fn section(answer: &Answer, charts: &[&Chart]) -> Markup {
    html! {
        @if !answer.rows.is_empty() {
            section id="where-async-pays" {
                h2 { (QUESTION) }
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
    let headings = headings.iter().map(String::as_str);
    results_table(QUESTION, ["scenario"].into_iter().chain(headings), body)
}
