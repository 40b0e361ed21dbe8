//! The page of two records compared: how many differences there are, the changes by size, and what else differs.
//!
//! It has the form of a run's page: the answer first, reasons to doubt it in a line, then the tables.

use maud::{Markup, html};

use super::interval::Axis;
use super::tables::Table;
use super::{document, mark, matrix, prose};
use crate::compare::{Change, Difference, RecordComparison, RefusedCell};
use crate::{describe, units};

/// The page of a comparison: a whole HTML document.
pub fn comparison_page(comparison: &RecordComparison) -> String {
    let changes = comparison.changes();
    let (decided, others): (Vec<&Change<'_>>, Vec<&Change<'_>>) =
        changes.iter().partition(|change| change.is_certain());
    let ratios = changes.iter().filter_map(|change| change.compared.ratio);
    let ends = ratios.flat_map(|ratio| [ratio.low, ratio.high]);
    let axis = Axis::of(ends, comparison.rule.margin);
    let counts = describe::change_counts(changes.iter().map(|change| change.compared.verdict));
    let body = html! {
        (head(comparison, &counts))
        (contents(comparison, others.is_empty()))
        main {
            section id="changes" aria-labelledby="changes:heading" {
                h2 id="changes:heading" { "Changes" }
                @if decided.is_empty() { p { "No metric is certainly faster or slower." } }
                @else { (table("Certain changes, the largest first", &decided, axis)) }
                p.legend { (describe::change_legend(comparison.rule.margin)) }
            }
            @if !others.is_empty() {
                section id="others" aria-labelledby="others:heading" {
                    h2 id="others:heading" { "Without a certain change" }
                    (table("Ties and undecided comparisons", &others, axis))
                }
            }
            (differences(&comparison.differences))
            (refused(&comparison.refused))
        }
    };
    let title = format!(
        "{counts}: {} against {}",
        comparison.head.id, comparison.base.id
    );
    document(&title, &body).into_string()
}

fn head(comparison: &RecordComparison, counts: &str) -> Markup {
    html! {
        header {
            p.brand { (mark()) "Photofinish" }
            h1 { (counts) small { "head compared with base" } }
            @for (side, record) in [("base", &comparison.base), ("head", &comparison.head)] {
                p.facts { span { (side) " " code { (record.id) } } span { (describe::time(&record.started_utc)) } }
            }
            @for caution in &comparison.cautions {
                p.fitness.caution { strong aria-hidden="true" { "!" } " " (prose(caution)) }
            }
        }
    }
}

fn contents(comparison: &RecordComparison, all_decided: bool) -> Markup {
    let entries = [
        (true, "changes", "Changes"),
        (!all_decided, "others", "Without a certain change"),
        (
            !comparison.differences.is_empty(),
            "differences",
            "Other differences",
        ),
        (!comparison.refused.is_empty(), "refused", "Not compared"),
    ];
    html! {
        nav aria-label="Contents" {
            ul { @for (shown, id, text) in entries { @if shown { li { a href={ "#" (id) } { (text) } } } } }
        }
    }
}

const HEADINGS: [&str; 7] = [
    "scenario and runtime",
    "metric",
    "base",
    "head",
    "head / base",
    "interval",
    "rounds",
];

fn table(caption: &str, changes: &[&Change<'_>], axis: Axis) -> Markup {
    let body = html! { tbody role="rowgroup" { @for change in changes { (row(change, axis)) } } };
    Table::new(caption, HEADINGS, body).cards().render()
}

fn row(change: &Change<'_>, axis: Axis) -> Markup {
    let Change { cell, compared, .. } = change;
    let number = |value: f64| units::with_unit(value, &compared.unit);
    let load = describe::point_slug(cell.load, None, None);
    html! {
        tr role="row" data-scenario=(cell.scenario) data-runtime=(cell.runtime) data-load=(load) data-metric=(change.metric) {
            th scope="row" role="rowheader" { (cell.scenario) " / " (cell.runtime) small { (cell.load) } }
            td.name role="cell" { (change.name()) }
            td role="cell" data-label=(HEADINGS[2]) data-value=(compared.base) { (number(compared.base)) }
            td role="cell" data-label=(HEADINGS[3]) data-value=(compared.head) { (number(compared.head)) }
            (ratio(change))
            td role="cell" { @if let Some(ratio) = compared.ratio.filter(|ratio| ratio.confidence > 0.0) {
                (axis.picture(ratio, None, &units::interval(ratio.low, ratio.high, units::ratio)))
            } }
            td role="cell" data-label=(HEADINGS[6]) { (compared.base_rounds) ", " (compared.head_rounds) }
        }
    }
}

fn ratio(change: &Change<'_>) -> Markup {
    let compared = change.compared;
    let Some(ratio) = compared.ratio else {
        return html! { td role="cell" data-label=(HEADINGS[4]) { "n/a" } };
    };
    html! {
        td class=(matrix::shade(compared.verdict, ratio.value)) role="cell" data-label=(HEADINGS[4]) data-value=(ratio.value) {
            b {
                @if let Some(verdict) = compared.verdict { span aria-hidden="true" { (describe::glyph(verdict)) } " " }
                (units::ratio(ratio.value))
            }
            @if ratio.confidence > 0.0 { small { (units::interval(ratio.low, ratio.high, units::ratio)) } }
            small.word { (compared.verdict.map_or("no verdict", describe::verdict_word)) }
        }
    }
}

fn differences(differences: &[Difference]) -> Markup {
    let body = html! {
        tbody { @for Difference { what, base, head } in differences {
            tr { th scope="row" { (what) } td.name { (base) } td.name { (head) } }
        } }
    };
    html! {
        @if !differences.is_empty() {
            section id="differences" aria-labelledby="differences:heading" {
                h2 id="differences:heading" { "Other differences" }
                (Table::new("Machine, plan and versions", ["subject", "base", "head"], body).render())
            }
        }
    }
}

fn refused(refused: &[RefusedCell]) -> Markup {
    html! {
        @if !refused.is_empty() {
            section id="refused" aria-labelledby="refused:heading" {
                h2 id="refused:heading" { "Not compared" }
                ul { @for cell in refused {
                    li { b { (cell.scenario) " / " (cell.runtime) " (" (cell.load) ")" } ": " (prose(&cell.reason)) }
                } }
            }
        }
    }
}
