//! The page's section on where asynchronous code pays: a table by class and its charts, above the scenarios they are
//! based on.

use maud::{Markup, html};

use super::figures;
use crate::async_pays::{Answer, LEGEND, QUESTION, Row};
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
    html! {
        div.scroll tabindex="0" role="region" aria-label=(QUESTION) {
            table.results {
                thead { tr {
                    th scope="col" { "scenario" }
                    @for heading in &headings { th scope="col" { (heading) } }
                } }
                @for of_class in answer.rows.chunk_by(|a, b| a.class == b.class) {
                    tbody {
                        tr.class { th scope="rowgroup" colspan=(1 + headings.len()) { (of_class[0].class) } }
                        @for answer in of_class { (row(answer)) }
                    }
                }
            }
        }
    }
}

fn row(answer: &Row) -> Markup {
    html! {
        tr {
            th scope="row" { (answer.scenario) }
            @for cell in answer.cells() { td { (cell) } }
        }
    }
}
