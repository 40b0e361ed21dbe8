//! The page's tables of observations of workloads and probes, below the results of their group.

use maud::{Markup, html};

use super::results::number;
use crate::observed::observations;
use crate::summary::Group;

/// One table for each subject.
pub(super) fn tables(group: &Group<'_>) -> Markup {
    let ranked = group.ranked();
    html! {
        @for observed in observations(&ranked) {
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
