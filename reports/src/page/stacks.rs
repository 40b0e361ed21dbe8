//! The page's section that sets languages side by side: a table, and the sentence on what it says.

use maud::{Markup, html};

use super::tables::Table;
use crate::describe;
use crate::report::Report;
use crate::stacks::{HEADINGS, rows};

pub(super) fn section(report: &Report<'_>) -> Markup {
    let rows = rows(report);
    let body = html! {
        tbody { @for [load, cells @ ..] in &rows {
            tr { th scope="row" { (load) } @for cell in cells { td { (cell) } } }
        } }
    };
    html! {
        @if !rows.is_empty() {
            section id="stacks" aria-labelledby="stacks:heading" {
                h2 id="stacks:heading" { "Stack against stack" }
                (Table::new("The best runtime of each language", HEADINGS, body).results().render())
                p { (describe::STACKS) }
            }
        }
    }
}
