//! The whole text of the warnings, numbered: the first screen counts them, and marks in the matrix lead to each.

use maud::{Markup, html};

use super::prose;

/// The section; empty without warnings.
pub(super) fn section(warnings: &[String]) -> Markup {
    html! {
        @if !warnings.is_empty() {
            section id="warnings" aria-labelledby="warnings:heading" {
                h2 id="warnings:heading" { "Warnings" }
                ol { @for (index, warning) in warnings.iter().enumerate() {
                    li id={ "warning:" (index + 1) } { (prose(warning)) }
                } }
            }
        }
    }
}
