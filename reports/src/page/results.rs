//! The results of one load on the page: the table, best runtime first, and notes below it.
//!
//! Ratio and verdict come first, since they answer the question; the small print below a number is its interval. Columns
//! and cell texts come from `describe`; costs and observations have separate tables.

use maud::{Markup, PreEscaped, html};

use super::tables::Table;
use super::{matrix, prose};
use crate::metrics::{ACHIEVED, OFFERED};
use crate::report::Report;
use crate::summary::{CellSummary, Group, MetricSummary, Status};
use crate::{charts, describe, units};

pub(super) fn table(report: &Report<'_>, group: &Group<'_>) -> Markup {
    let versus = group.reference().map(|reference| format!("vs {reference}"));
    let columns = describe::page_columns(group.load).map(|column| column.heading);
    let headings = std::iter::once("runtime")
        .chain(versus.as_deref())
        .chain(columns)
        .chain(["operations", "rounds"]);
    let body = html! { tbody { @for cell in group.ranked() { (row(report, cell, group)) } } };
    Table::new("Results: medians over rounds", headings, body)
        .results()
        .of(group)
        .render()
}

fn row(report: &Report<'_>, cell: &CellSummary, group: &Group<'_>) -> Markup {
    html! {
        tr data-runtime=(cell.runtime) data-arm=[cell.arm.map(|arm| arm.name())] {
            th scope="row" {
                (PreEscaped(charts::swatch(report.look(&cell.runtime)))) (cell.runtime)
                @if let Some(arm) = cell.arm { " · " (arm.name()) }
                @if let Some(note) = report.note(&cell.runtime) { small { "(" (note) ")" } }
            }
            @if group.reference().is_some() { (compared(cell, group)) }
            @for column in describe::page_columns(group.load) { (result(cell, column)) }
            (counts(report, cell))
        }
    }
}

/// The ratio by the headline metric and its verdict, with their basis.
fn compared(cell: &CellSummary, group: &Group<'_>) -> Markup {
    let Some(comparison) = cell.comparisons.get(group.headline()) else {
        return html! { td.versus.reference { (describe::ratio(cell, group)) small { "reference" } } };
    };
    let needed = describe::needed(comparison);
    html! {
        td class={ "versus " (matrix::shade(comparison.verdict, comparison.ratio.value)) } data-value=(comparison.ratio.value) {
            (matrix::compared(comparison, group.has_verdicts()))
            @if let Some(needed) = needed { small { (needed) } }
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
        td.bad[!held] data-value=[metric.map(|metric| metric.median)] {
            (describe::value(metric))
            @if !held { strong { " not held" } }
            small { " of " (describe::value(cell.metric(OFFERED))) }
        }
    }
}

/// Operations with the failed ones, and rounds with the disturbed ones.
fn counts(report: &Report<'_>, cell: &CellSummary) -> Markup {
    let index = report.rounds.index_of(cell);
    let Some(field) = index.and_then(|index| report.matrix.field(index)) else {
        return html! { td { "n/a" } td { "n/a" } };
    };
    let (operations, failed) = describe::operations(field.operations, field.failed);
    html! {
        td data-value=(field.operations) { (operations) @if let Some(failed) = failed { small.bad { (failed) } } }
        td data-value=(cell.rounds) {
            (cell.rounds)
            @if field.disturbed > 0 { small { (field.disturbed) " disturbed" } }
            @if cell.rounds_failed > 0 { small.bad { (cell.rounds_failed) " failed" } }
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
        td title=[advisory] data-value=[metric.map(|metric| metric.median)] {
            (describe::value(metric))
            @if let Some(interval) = interval { small { (interval) } }
        }
    }
}

/// Cells without numbers, failures by kind, and other notes on the table above.
pub(super) fn notes(group: &Group<'_>) -> Markup {
    let ranked = group.ranked();
    let notes = html! {
        (absent(&group.cells))
        @for sentence in group.cells.iter().filter_map(|cell| describe::errors(cell)) { li { (sentence) } }
        @for sentence in ranked.iter().filter_map(|cell| describe::arrivals(cell)) { li.bad { (sentence) } }
        @for sentence in ranked.iter().filter_map(|cell| describe::fewer_sessions(cell)) { li { (sentence) } }
        @if let Some(sentence) = describe::handshakes(ranked.iter().copied()) { li { (sentence) } }
        @for sentence in describe::tool(ranked.iter().copied()) { li { (sentence) } }
    };
    html! { @if !notes.0.is_empty() { ul.missing { (notes) } } }
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
