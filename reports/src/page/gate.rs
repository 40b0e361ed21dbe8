//! The page's part on a gate: its verdict above everything, and a table of its checks.

use maud::{Markup, html};
use photofinish_record::Record;

use crate::gate::terms::short_name;
use crate::gate::{Check, GateReport};
use crate::{describe, units};

/// The verdict, the checks, and what they rest on; nothing of a run that is no gate.
pub(super) fn section(record: &Record) -> Markup {
    let Ok(report) = GateReport::of(record) else {
        return html! {};
    };
    // Numbers of another record are not here: what was measured against them stands in the gate's own outputs.
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
                        @for heading in ["check", "verdict", "base", "head", "worse by", "bounds", "must be"] {
                            th scope="col" { (heading) }
                        }
                    } }
                    tbody { @for check in &report.checks { (row(check)) } }
                }
            }
            ul.missing {
                @for problem in &report.problems { li.bad { (problem) } }
                @for check in report.checks.iter() {
                    @if let Some(reason) = &check.reason { li { (short_name(&check.metric)) ": " (reason) } }
                }
                li {
                    "A check fails when the lower bound of the slowdown is beyond " (units::percent(report.floor))
                    ", and passes when its upper bound is below the limit."
                }
            }
        }
    }
}

fn row(check: &Check) -> Markup {
    let value = |value: Option<f64>| value.map(|value| describe::gate_value(check, value));
    html! {
        tr {
            th scope="row" {
                (check.scenario) " / " (check.runtime) " · " (check.load) " · " (short_name(&check.metric))
            }
            td { span class={ "verdict " (check.verdict.name()) } { (check.verdict.name()) } }
            td { (value(check.base).unwrap_or_default()) }
            td { (value(check.head).unwrap_or_default()) }
            td { @if let Some(slowdown) = check.slowdown { (describe::signed_percent(slowdown.estimate)) } }
            td { (describe::gate_bounds(check)) }
            td { (describe::requirement(check)) }
        }
    }
}
