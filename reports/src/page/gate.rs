//! The page's part on a gate: the reason for its verdict, and a table of its checks with base and head side by side.
//!
//! Each check has a picture of its interval between tolerance and limit: that is what it was decided by.

use maud::{Markup, html};
use photofinish_record::{ArmSource, Requirement};

use super::interval::Axis;
use super::tables::Table;
use super::{prose, verdict_mark};
use crate::describe::{self, CHECK_COLUMNS};
use crate::gate::{Check, GateReport, Interval};
use crate::metrics::short_name;
use crate::statistics::Estimate;

/// The reason and the checks.
pub(super) fn section(report: &GateReport) -> Markup {
    let axis = axis(report);
    let headings = CHECK_COLUMNS.map(|column| column.heading);
    let headings = std::iter::once("check")
        .chain(headings)
        .chain(["slowdown, tolerance and limit"]);
    let body =
        html! { tbody role="rowgroup" { @for check in &report.checks { (row(check, axis)) } } };
    html! {
        section id="gate" aria-labelledby="gate:heading" {
            h2 id="gate:heading" { "Checks" }
            p { (prose(&report.reason)) }
            @if let Some(advisory) = &report.advisory { p.alert { "Advice only: " (advisory) } }
            p.facts {
                span { "base: " (source(&report.base)) }
                span { "head: " (source(&report.head)) }
                span { (describe::plural(report.blocks, "pair")) ", look " (report.look.number) " of " (report.look.planned) }
            }
            (Table::new("Base and head by check, the worst first", headings, body).cards().render())
            p.legend { (describe::slowdown_legend(report.tolerance)) }
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

/// One axis for all slowdowns and their limits.
fn axis(report: &GateReport) -> Axis {
    let checks = report.checks.iter();
    let ends = checks.flat_map(|check| {
        let slowdown = check.slowdown.map(|slowdown| [slowdown.low, slowdown.high]);
        slowdown.into_iter().flatten().chain(limit(check))
    });
    Axis::of(ends.map(|slowdown| 1.0 + slowdown), report.tolerance)
}

fn limit(check: &Check) -> Option<f64> {
    match check.requirement {
        Requirement::Slowdown { limit } => Some(limit),
        _ => None,
    }
}

fn row(check: &Check, axis: Axis) -> Markup {
    html! {
        tr role="row" data-scenario=(check.scenario) data-runtime=(check.runtime) data-metric=(check.metric) {
            th scope="row" role="rowheader" { (check.scenario) small { (describe::check_subject(check)) } }
            @for column in CHECK_COLUMNS {
                @if column.heading == "verdict" {
                    td role="cell" data-label=(column.heading) { (verdict_mark(check.verdict.name())) }
                } @else {
                    td role="cell" data-label=(column.heading) { ((column.text)(check)) }
                }
            }
            td role="cell" { @if let Some(slowdown) = check.slowdown {
                (axis.picture(factors(slowdown), limit(check).map(|limit| 1.0 + limit), &describe::whole_check(check)))
            } }
        }
    }
}

/// A slowdown of 10 % as the factor 1.1.
fn factors(slowdown: Interval) -> Estimate {
    Estimate {
        value: 1.0 + slowdown.estimate,
        low: 1.0 + slowdown.low,
        high: 1.0 + slowdown.high,
        confidence: 1.0,
    }
}
