//! The page's answer to where asynchronous code pays: a table by class, above the scenarios it is made of.

use maud::{Markup, html};

use crate::async_pays::{HEADINGS, LEGEND, QUESTION, Row};

pub(super) fn section(answers: &[Row]) -> Markup {
    html! {
        @if !answers.is_empty() {
            section id="where-async-pays" {
                h2 { (QUESTION) }
                @for of_class in answers.chunk_by(|a, b| a.class == b.class) { (table(of_class)) }
                p { (LEGEND) }
            }
        }
    }
}

fn table(answers: &[Row]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(answers[0].class) {
            table.results {
                thead { tr {
                    th scope="col" { (answers[0].class) }
                    @for heading in HEADINGS { th scope="col" { (heading) } }
                } }
                tbody { @for answer in answers {
                    tr {
                        th scope="row" { (answer.scenario) }
                        @for cell in &answer.cells { td { (cell) } }
                    }
                } }
            }
        }
    }
}
