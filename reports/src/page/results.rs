//! The results of one load on the page: the table, best runtime first, and what is missing from it.
//!
//! Small print below a number is its interval; beside a comparison stands its verdict, with what that rests on. What a
//! cell shows, and in which columns, is said in `describe`; costs and what workloads observed have tables of their own.

use maud::{Markup, PreEscaped, html};

use crate::metrics::{ACHIEVED, OFFERED};
use crate::summary::{CellSummary, Group, MetricSummary, Status, Summary};
use crate::{charts, describe, runtimes, units};

pub(super) fn table(summary: &Summary, group: &Group<'_>) -> Markup {
    let baseline = group.baseline();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Results" {
            table.results {
                thead { tr {
                    th scope="col" { "runtime" }
                    @for column in describe::page_columns(group.load) { th scope="col" { (column.heading) } }
                    @if let Some(baseline) = baseline {
                        th scope="col" { "vs " (baseline) }
                        th scope="col" { "verdict" }
                    }
                } }
                tbody { @for cell in group.ranked() { (row(summary, cell, group)) } }
            }
        }
    }
}

fn row(summary: &Summary, cell: &CellSummary, group: &Group<'_>) -> Markup {
    let swatch = charts::swatch(charts::look(summary, &cell.runtime));
    html! {
        tr {
            th scope="row" {
                (PreEscaped(swatch)) (cell.runtime)
                @if let Some(note) = runtimes::note(&cell.runtime) { small { "(" (note) ")" } }
            }
            @for column in describe::page_columns(group.load) { (result(cell, column)) }
            @if group.baseline().is_some() { (compared(cell, group)) }
        }
    }
}

/// The ratio by the headline's metric and its verdict, with what that rests on.
fn compared(cell: &CellSummary, group: &Group<'_>) -> Markup {
    let comparison = cell.comparisons.get(group.headline());
    let interval = comparison.and_then(|ratio| range(ratio.low, ratio.high, units::ratio));
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

/// What a cell shows in a column; beside what was achieved of a rate, the rate, and loudly that it was not held.
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

/// `1.02–1.10`, with the unit once where both ends have the same; `None` where both ends print alike.
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

/// Cells without numbers, failures by kind, and what else to know of the table above.
pub(super) fn missing(group: &Group<'_>) -> Markup {
    let ranked = group.ranked();
    let fewer: Vec<String> = ranked
        .iter()
        .filter_map(|cell| describe::fewer_sessions(cell))
        .collect();
    let behind: Vec<String> = ranked
        .iter()
        .flat_map(|cell| [describe::rate_not_held(cell), describe::arrivals(cell)])
        .flatten()
        .collect();
    let tool = [
        describe::pacing(ranked.iter().copied()),
        describe::floor(ranked.iter().copied()),
    ];
    let failing: Vec<&CellSummary> = group
        .cells
        .iter()
        .copied()
        .filter(|cell| !cell.errors_by_kind.is_empty())
        .collect();
    html! {
        ul.missing {
            (absent(&group.cells))
            @for cell in failing { li { (describe::errors(cell)) } }
            @for sentence in behind { li.bad { (sentence) } }
            @for sentence in fewer { li { (sentence) } }
            @for sentence in tool.into_iter().flatten() { li { (sentence) } }
        }
    }
}

/// Cells without numbers, as items of a list.
pub(super) fn absent(cells: &[&CellSummary]) -> Markup {
    html! {
        @for absent in describe::absent(cells) {
            li.bad[absent.status != Status::Unsupported] {
                strong { (absent.runtimes) } " " (describe::status(absent.status)) ": " (absent.reason)
            }
        }
    }
}
