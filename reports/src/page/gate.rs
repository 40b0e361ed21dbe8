//! The page's part on a gate: its verdict above everything, and a table of its checks.

use maud::{Markup, html};
use photofinish_record::ArmSource;

use super::{prose, results_table};
use crate::describe::{self, CHECK_COLUMNS};
use crate::gate::{Check, GateReport};
use crate::metrics::short_name;

/// The verdict and the checks.
pub(super) fn section(report: &GateReport) -> Markup {
    // A gate against another record is shown in the gate's own outputs, since those numbers are not in this record.
    let measured = |check: &Check| check.base.is_some() || check.value.is_some();
    if !report.checks.iter().any(measured) {
        return html! {};
    }
    let headings = CHECK_COLUMNS.map(|column| column.heading);
    let body = html! { tbody { @for check in &report.checks { (row(check)) } } };
    html! {
        section.scenario id="gate" {
            h2 { "Gate: " (verdict(report.verdict.name())) }
            p { (prose(&report.reason)) }
            p.facts {
                span { "base: " (source(&report.base)) }
                span { "head: " (source(&report.head)) }
                span { (describe::plural(report.blocks, "pair")) ", look " (report.look.number) " of " (report.look.planned) }
            }
            (results_table("Checks", ["check"].into_iter().chain(headings), body))
            ul.missing {
                @for problem in &report.problems { li.bad { (problem) } }
                @for check in &report.checks {
                    @if let Some(reason) = &check.reason { li { (short_name(&check.metric)) ": " (reason) } }
                }
                li { (describe::gate_rule(report)) }
            }
        }
    }
}

fn source(source: &ArmSource) -> Markup {
    html! { code { (source.what) } @if let Some(identity) = &source.identity { " (" (identity) ")" } }
}

fn verdict(name: &str) -> Markup {
    html! { span class={ "verdict " (name) } { (name) } }
}

fn row(check: &Check) -> Markup {
    html! {
        tr {
            th scope="row" { (check.scenario) " / " (describe::check_subject(check)) }
            @for column in CHECK_COLUMNS {
                @if column.heading == "verdict" {
                    td { (verdict(check.verdict.name())) }
                } @else {
                    td { ((column.text)(check)) }
                }
            }
        }
    }
}
