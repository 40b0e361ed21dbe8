//! The page's table of system calls per request, below the costs: measured, by design, and why.

use maud::{Markup, html};

use super::results::number;
use super::tables::Table;
use crate::describe::{SYSTEM_CALL_COLUMNS, SYSTEM_CALLS};
use crate::rounds::Rounds;
use crate::summary::Group;
use crate::system_calls::rows;

/// The table of a group; empty if nothing is expected of its runtimes.
pub(super) fn table<'a>(rounds: &Rounds<'a>, group: &Group<'a>) -> Markup {
    let rows = rows(rounds, group);
    let body = html! {
        tbody { @for row in &rows {
            tr data-runtime=(row.runtime) {
                th scope="row" { (row.runtime) }
                (number(row.measured))
                td { (row.expected.per_request) }
                td.name { (row.expected.reason) }
            }
        } }
    };
    html! {
        @if !rows.is_empty() {
            (Table::new("System calls per request", SYSTEM_CALL_COLUMNS, body).of(group).render())
            p { (SYSTEM_CALLS) }
        }
    }
}
