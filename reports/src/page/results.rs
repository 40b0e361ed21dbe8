//! The results of one load on the page: the table, best runtime first, and notes below it.
//!
//! The small print below a number is its interval; next to a comparison is its verdict with its basis. Columns and cell
//! texts come from `describe`; costs and observations have separate tables.

use maud::{Markup, PreEscaped, html};

use super::{prose, results_table};
use crate::metrics::{ACHIEVED, OFFERED};
use crate::report::Report;
use crate::summary::{CellSummary, Group, MetricSummary, Status};
use crate::{charts, describe, units};

pub(super) fn table(report: &Report<'_>, group: &Group<'_>) -> Markup {
    let versus = group.baseline().map(|baseline| format!("vs {baseline}"));
    let columns = describe::page_columns(group.load).map(|column| column.heading);
    let verdict = group.has_verdicts().then_some("verdict");
    let compared = versus.as_deref().into_iter().chain(verdict);
    let headings = ["runtime"].into_iter().chain(columns).chain(compared);
    let body = html! { tbody { @for cell in group.ranked() { (row(report, cell, group)) } } };
    results_table("Results", headings, body)
}

fn row(report: &Report<'_>, cell: &CellSummary, group: &Group<'_>) -> Markup {
    html! {
        tr {
            th scope="row" {
                (PreEscaped(charts::swatch(report.look(&cell.runtime)))) (cell.runtime)
                @if let Some(note) = report.note(&cell.runtime) { small { "(" (note) ")" } }
            }
            @for column in describe::page_columns(group.load) { (result(cell, column)) }
            @if group.baseline().is_some() { (compared(cell, group)) }
        }
    }
}

/// The ratio by the headline metric and its verdict, with their basis.
fn compared(cell: &CellSummary, group: &Group<'_>) -> Markup {
    let comparison = cell.comparisons.get(group.headline());
    let interval = describe::ratio_interval(cell, group);
    let needed = comparison.and_then(describe::needed);
    let reason = comparison.and_then(|comparison| comparison.reason.as_deref());
    html! {
        td { (describe::ratio(cell, group)) @if !interval.is_empty() { small { (interval) } } }
        @if group.has_verdicts() {
            td title=[reason] {
                (describe::verdict_of(cell, group))
                @if let Some(needed) = needed { small { (needed) } }
            }
        }
    }
}

/// A cell in a column; next to an achieved rate the requested one, and a prominent mark if it was not held.
fn result(cell: &CellSummary, column: &describe::Column) -> Markup {
    let metric = cell.metric(column.metric);
    if column.metric != ACHIEVED {
        return number(metric);
    }
    let held = cell.rate_held != Some(false);
    html! {
        td.bad[!held] {
            (describe::value(metric))
            @if !held { strong { " not held" } }
            small { " of " (describe::value(cell.metric(OFFERED))) }
        }
    }
}

pub(super) fn number(metric: Option<&MetricSummary>) -> Markup {
    let advisory = metric.and_then(|metric| metric.advisory.as_deref());
    // A single round has no interval.
    let several = |metric: &&MetricSummary| metric.confidence > 0.0;
    let interval = metric.filter(several).map(|metric| {
        let print = |value| units::with_unit(value, &metric.unit);
        units::interval(metric.low, metric.high, print)
    });
    let interval = interval.filter(|_| !metric.is_some_and(describe::is_meaningless));
    html! {
        td title=[advisory] {
            (describe::value(metric))
            @if let Some(interval) = interval { small { (interval) } }
        }
    }
}

/// Cells without numbers, failures by kind, and other notes on the table above.
pub(super) fn notes(group: &Group<'_>) -> Markup {
    let ranked = group.ranked();
    html! {
        ul.missing {
            (absent(&group.cells))
            @for sentence in group.cells.iter().filter_map(|cell| describe::errors(cell)) { li { (sentence) } }
            @for sentence in ranked.iter().filter_map(|cell| describe::arrivals(cell)) { li.bad { (sentence) } }
            @for sentence in ranked.iter().filter_map(|cell| describe::fewer_sessions(cell)) { li { (sentence) } }
            @if let Some(sentence) = describe::handshakes(ranked.iter().copied()) { li { (sentence) } }
            @for sentence in describe::tool(ranked.iter().copied()) { li { (sentence) } }
        }
    }
}

/// Cells without numbers, as items of a list.
pub(super) fn absent(cells: &[&CellSummary]) -> Markup {
    html! {
        @for absent in describe::absent(cells.iter().copied()) {
            li.bad[absent.status != Status::Unsupported] {
                strong { (absent.runtimes) } " " (describe::status(absent.status)) ": " (prose(&absent.reason))
            }
        }
    }
}
