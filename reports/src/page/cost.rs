//! The page's table of costs per operation, with the loop's overhead, collapsed below the results.
//!
//! `n/a` marks values that the machine does not measure.

use maud::{Markup, html};

use super::results::number;
use crate::describe;
use crate::describe::COSTS;
use crate::summary::Group;

/// The costs of a group's cells; empty if none were measured.
pub(super) fn details(group: &Group<'_>) -> Markup {
    let ranked = group.ranked();
    html! {
        @if !ranked.is_empty() {
            details.costs {
                summary { "Cost per operation: " (describe::point(group.load, group.arm)) }
                div.scroll tabindex="0" role="region" aria-label="Costs" {
                    table {
                        thead { tr {
                            th scope="col" { "runtime" }
                            @for (heading, _) in COSTS { th scope="col" { (heading) } }
                        } }
                        tbody { @for cell in ranked {
                            tr {
                                th scope="row" { (cell.runtime) }
                                @for (_, metric) in COSTS { (number(cell.metric(metric))) }
                            }
                        } }
                    }
                }
            }
        }
    }
}
