//! The page's section on the thresholds of a run: each in each cell, before the results.

use maud::{Markup, html};

use super::prose;
use super::tables::Table;
use crate::describe::{self, THRESHOLD_COLUMNS};
use crate::thresholds::{ThresholdCheck, ThresholdVerdict};

/// The table, and the reasons why some cannot be judged; nothing for a run without thresholds.
pub(super) fn section(checks: &[ThresholdCheck]) -> Markup {
    if checks.is_empty() {
        return html! {};
    }
    let headings = THRESHOLD_COLUMNS.map(|column| column.heading);
    let body = html! { tbody { @for check in checks { (row(check)) } } };
    let outcome = describe::thresholds_not_met(checks);
    html! {
        section id="thresholds" aria-labelledby="thresholds:heading" {
            h2 id="thresholds:heading" { "Thresholds" }
            p { @if let Some(sentence) = outcome { (prose(&sentence)) "." } @else { "All thresholds are met." } }
            (Table::new("Thresholds of the run", std::iter::once("threshold").chain(headings), body).results().render())
            ul.missing {
                @for check in checks {
                    @if let Some(reason) = &check.reason { li { (name(check)) ": " (reason) } }
                }
                li { "The verdict is that of the median over rounds, each of which is a value of its own." }
            }
        }
    }
}

fn name(check: &ThresholdCheck) -> String {
    format!(
        "{} / {}",
        check.scenario,
        describe::threshold_subject(check)
    )
}

fn row(check: &ThresholdCheck) -> Markup {
    html! {
        tr {
            th scope="row" { (name(check)) }
            @for column in THRESHOLD_COLUMNS {
                @if column.heading == "verdict" {
                    td { (verdict(check.verdict)) }
                } @else {
                    td { ((column.text)(check)) }
                }
            }
        }
    }
}

/// The verdict, in the colours of a gate's.
fn verdict(verdict: ThresholdVerdict) -> Markup {
    let class = match verdict {
        ThresholdVerdict::Missed => "regression",
        ThresholdVerdict::CannotTell => "inconclusive",
        ThresholdVerdict::Met => "pass",
    };
    html! { span class={ "verdict " (class) } { (verdict.name()) } }
}
