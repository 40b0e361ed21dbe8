//! The page's tables of what workloads and probes observed themselves, below the results of their group.

use maud::{Markup, html};

use super::results::number;
use crate::observed::observed;
use crate::summary::Group;

/// One table for each thing; nothing where nothing was observed.
pub(super) fn tables(group: &Group<'_>) -> Markup {
    let ranked = group.ranked();
    html! {
        @for observed in observed(&ranked) {
            div.scroll tabindex="0" role="region" aria-label=(observed.name) {
                table {
                    thead { tr {
                        th scope="col" { (observed.name) }
                        @for column in &observed.columns { th scope="col" { (column.heading) } }
                    } }
                    tbody { @for cell in &ranked {
                        tr {
                            th scope="row" { (cell.runtime) }
                            @for column in &observed.columns { (number(cell.metric(&column.metric))) }
                        }
                    } }
                }
            }
        }
    }
}
