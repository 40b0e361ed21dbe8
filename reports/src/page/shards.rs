//! The page's section on the shards of a merged run: a table, and the sentence on what it says.

use maud::{Markup, html};

use super::tables::Table;
use crate::describe;
use crate::rounds::Rounds;
use crate::shards::{HEADINGS, rows};

pub(super) fn section(rounds: &Rounds<'_>) -> Markup {
    let rows = rows(rounds);
    let body = html! {
        tbody { @for [shard, cells @ ..] in &rows {
            tr { th scope="row" { (shard) } @for cell in cells { td { (cell) } } }
        } }
    };
    html! {
        @if !rows.is_empty() {
            section id="shards" aria-labelledby="shards:heading" {
                h2 id="shards:heading" { "Shards" }
                (Table::new("The shards of the run", HEADINGS, body).results().render())
                p { (describe::SHARDS) }
            }
        }
    }
}
