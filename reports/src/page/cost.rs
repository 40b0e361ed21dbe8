//! The page's table of costs per operation, with the loop's overhead, collapsed below the results.
//!
//! `n/a` marks values that the machine does not measure.

use maud::{Markup, html};

use super::results::number;
use super::table;
use crate::describe::{self, COSTS};
use crate::summary::Group;

/// The costs of a group's cells; empty if none were measured.
pub(super) fn details(group: &Group<'_>) -> Markup {
    let ranked = group.ranked();
    let headings = COSTS.iter().map(|(heading, _)| *heading);
    let body = html! {
        tbody { @for cell in &ranked {
            tr {
                th scope="row" { (cell.runtime) }
                @for (_, metric) in COSTS { (number(cell.metric(metric))) }
            }
        } }
    };
    html! {
        @if !ranked.is_empty() {
            details.costs {
                summary { "Cost per operation: " (describe::point(group.load, group.arm)) }
                (table("Costs", ["runtime"].into_iter().chain(headings), body))
            }
        }
    }
}
