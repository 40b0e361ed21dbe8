//! The page's tables of costs per operation, with the loop's overhead, collapsed below the results.
//!
//! A column that no runtime has a value for is left out, and so is one of the results; `n/a` marks other values that
//! were not measured.

use maud::{Markup, html};

use super::results::number;
use super::system_calls;
use super::tables::Table;
use crate::describe::{self, COSTS};
use crate::rounds::Rounds;
use crate::summary::Group;

/// The costs of a group's cells; empty if none were measured.
pub(super) fn details<'a>(rounds: &Rounds<'a>, group: &Group<'a>) -> Markup {
    let ranked = group.ranked();
    let shown = COSTS.iter().filter(|(_, metric)| {
        let is_result = describe::page_columns(group.load).any(|column| column.metric == *metric);
        !is_result && ranked.iter().any(|cell| cell.metric(metric).is_some())
    });
    let shown: Vec<&(&str, &str)> = shown.collect();
    let headings = shown.iter().map(|(heading, _)| *heading);
    let body = html! {
        tbody { @for cell in &ranked {
            tr data-runtime=(cell.runtime) {
                th scope="row" { (cell.runtime) }
                @for (_, metric) in &shown { (number(cell.metric(metric))) }
            }
        } }
    };
    html! {
        @if !shown.is_empty() {
            details.costs {
                summary { "Cost per operation: " (describe::point(group.load, group.arm, group.stack)) }
                (Table::new("Cost per operation", std::iter::once("runtime").chain(headings), body).of(group).render())
                (system_calls::table(rounds, group))
            }
        }
    }
}
