//! The page's part on a gate: its verdict above everything, and a table of its checks.

use maud::{Markup, html};
use photofinish_record::ArmSource;

use super::tables::Table;
use super::{prose, verdict_mark};
use crate::describe::{self, CHECK_COLUMNS};
use crate::gate::{Check, GateReport};
use crate::metrics::short_name;

/// The verdict and the checks.
pub(super) fn section(report: &GateReport) -> Markup {
    let headings = CHECK_COLUMNS.map(|column| column.heading);
    let body = html! { tbody { @for check in &report.checks { (row(check)) } } };
    html! {
        section id="gate" aria-labelledby="gate:heading" {
            h2 id="gate:heading" { "Checks" }
            p { (prose(&report.reason)) }
            p.facts {
                span { "base: " (source(&report.base)) }
                span { "head: " (source(&report.head)) }
                span { (describe::plural(report.blocks, "pair")) ", look " (report.look.number) " of " (report.look.planned) }
            }
            (Table::new("Base and head by check", std::iter::once("check").chain(headings), body).results().render())
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

fn row(check: &Check) -> Markup {
    html! {
        tr {
            th scope="row" { (check.scenario) " / " (describe::check_subject(check)) }
            @for column in CHECK_COLUMNS {
                @if column.heading == "verdict" {
                    td { (verdict_mark(check.verdict.name())) }
                } @else {
                    td { ((column.text)(check)) }
                }
            }
        }
    }
}
