//! The page's part on a gate: its verdict above everything, and a table of its checks.

use maud::{Markup, html};

use crate::describe::{self, CHECK_COLUMNS};
use crate::gate::{Check, GateReport};
use crate::metrics::short_name;

/// The verdict and the checks.
pub(super) fn section(report: &GateReport) -> Markup {
    // A gate against another record is shown in the gate's own outputs, since those numbers are not in this record.
    if !report
        .checks
        .iter()
        .any(|check| check.base.is_some() || check.value.is_some())
    {
        return html! {};
    }
    html! {
        section.scenario id="gate" {
            h2 { "Gate: " span class={ "verdict " (report.verdict.name()) } { (report.verdict.name()) } }
            p { (report.reason) }
            p.facts {
                span { "base: " code { (report.base.what) } @if let Some(identity) = &report.base.identity { " (" (identity) ")" } }
                span { "head: " code { (report.head.what) } @if let Some(identity) = &report.head.identity { " (" (identity) ")" } }
                span { (describe::plural(report.blocks, "pair")) ", look " (report.look.number) " of " (report.look.planned) }
            }
            div.scroll tabindex="0" role="region" aria-label="Checks" {
                table.results {
                    thead { tr {
                        th scope="col" { "check" }
                        @for column in CHECK_COLUMNS { th scope="col" { (column.heading) } }
                    } }
                    tbody { @for check in &report.checks { (row(check)) } }
                }
            }
            ul.missing {
                @for problem in &report.problems { li.bad { (problem) } }
                @for check in report.checks.iter() {
                    @if let Some(reason) = &check.reason { li { (short_name(&check.metric)) ": " (reason) } }
                }
                li { (describe::gate_rule(report)) }
            }
        }
    }
}

fn row(check: &Check) -> Markup {
    html! {
        tr {
            th scope="row" { (check.scenario) " / " (describe::check_subject(check)) }
            @for column in CHECK_COLUMNS {
                @if column.heading == "verdict" {
                    td { span class={ "verdict " (check.verdict.name()) } { (check.verdict.name()) } }
                } @else {
                    td { ((column.text)(check)) }
                }
            }
        }
    }
}
