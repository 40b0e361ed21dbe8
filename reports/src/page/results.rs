//! The results of one load on the page: the table, best runtime first, and notes below it.
//!
//! The small print below a number is its interval; next to a comparison is its verdict with its basis. Columns and cell
//! texts come from `describe`; costs and observations have separate tables.

use maud::{Markup, PreEscaped, html};

use super::results_table;
use crate::metrics::{ACHIEVED, OFFERED};
use crate::report::Report;
use crate::summary::{CellSummary, Group, MetricSummary, Status};
use crate::{charts, describe, units};

pub(super) fn table(report: &Report<'_>, group: &Group<'_>) -> Markup {
    let versus = group.baseline().map(|baseline| format!("vs {baseline}"));
    let columns = describe::page_columns(group.load).map(|column| column.heading);
    let compared = versus.iter().flat_map(|versus| [&**versus, "verdict"]);
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
    let interval =
        comparison.and_then(|found| range(found.ratio.low, found.ratio.high, units::ratio));
    let callable = comparison.and_then(|comparison| comparison.smallest_callable);
    let reason = comparison.and_then(|comparison| comparison.reason.as_deref());
    html! {
        td { (describe::ratio(cell, group)) @if let Some(interval) = interval { small { (interval) } } }
        td title=[reason] {
            (describe::verdict_of(cell, group))
            @if let Some(callable) = callable { small { "from " (units::percent(callable)) " on" } }
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
    let interval = metric.and_then(|metric| {
        range(metric.low, metric.high, |value| {
            units::with_unit(value, &metric.unit)
        })
    });
    html! {
        td title=[advisory] {
            (describe::value(metric))
            @if let Some(interval) = interval { small { (interval) } }
        }
    }
}

/// `1.02–1.10`, with the unit only once if both ends have the same; `None` if both ends print the same.
fn range(low: f64, high: f64, print: impl Fn(f64) -> String) -> Option<String> {
    let (low, high) = (print(low), print(high));
    let unit = |text: &str| {
        text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
            .to_owned()
    };
    match (low == high, unit(&low) == unit(&high)) {
        (true, _) => None,
        (false, true) => Some(format!("{}–{high}", low.trim_end_matches(&unit(&high)))),
        (false, false) => Some(format!("{low}–{high}")),
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
            @for sentence in describe::tool(ranked.iter().copied()) { li { (sentence) } }
        }
    }
}

/// Cells without numbers, as items of a list.
pub(super) fn absent(cells: &[&CellSummary]) -> Markup {
    html! {
        @for absent in describe::absent(cells.iter().copied()) {
            li.bad[absent.status != Status::Unsupported] {
                strong { (absent.runtimes) } " " (describe::status(absent.status)) ": " (absent.reason)
            }
        }
    }
}
