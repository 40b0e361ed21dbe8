//! The page's tables of observations of workloads and probes, below the results of their group.

use maud::{Markup, html};

use super::results::number;
use super::tables::Table;
use crate::observed::{meaning, observations};
use crate::summary::Group;

/// One table for each subject.
pub(super) fn tables(group: &Group<'_>) -> Markup {
    let ranked = group.ranked();
    html! {
        @for observed in observations(&ranked) {
            @let headings = observed.columns.iter().map(|column| &*column.heading);
            @let body = html! {
                tbody { @for cell in &ranked {
                    tr data-runtime=(cell.runtime) {
                        th scope="row" { (cell.runtime) }
                        @for column in &observed.columns { (number(cell.metric(&column.metric))) }
                    }
                } }
            };
            @let table = Table::new(&observed.name, std::iter::once("runtime").chain(headings), body);
            (table.explained(meaning(&observed.name)).of(group).render())
        }
    }
}
