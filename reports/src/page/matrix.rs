//! The verdict matrix as a table: a row for each scenario and load, a column for each runtime, the best one first.
//!
//! A cell has the ratio to the reference, its interval, and the verdict as glyph and word; its shade is the size of a
//! decided difference, and grey is everything that is not decided. Attributes (`data-scenario`, `data-load`,
//! `data-runtime`, `data-value`) name each cell for scripts and for tests. On a narrow screen a row becomes a card.

use maud::{Markup, PreEscaped, html};

use super::sections::{Section, load_id};
use crate::matrix::{Best, Field, Row};
use crate::report::Report;
use crate::rule::Verdict;
use crate::summary::{CellSummary, Comparison, Group, Status};
use crate::{charts, describe, units};

/// Factors from which a difference has the next shade.
const SHADES: [f64; 3] = [1.1, 1.5, 3.0];

pub(super) fn table(report: &Report<'_>, sections: &[Section<'_>]) -> Markup {
    let matrix = &report.matrix;
    let common = common(report);
    let has_best = matrix.rows.iter().any(|row| row.best.is_some());
    html! {
        (legend(report))
        div.scroll tabindex="0" role="region" aria-label="Verdict matrix" {
            table.matrix role="table" {
                caption { (caption(matrix.rows.first(), common)) }
                thead role="rowgroup" {
                    tr role="row" {
                        th scope="col" role="columnheader" { "scenario and load" }
                        @if has_best { th.best scope="col" role="columnheader" { "best median" } }
                        @for runtime in &matrix.runtimes {
                            th scope="col" role="columnheader" data-runtime=(runtime) { (name(report, runtime)) }
                        }
                    }
                }
                tbody role="rowgroup" { @for row in &matrix.rows { (self::row(report, sections, row, common, has_best)) } }
            }
        }
    }
}

/// The metric and the reference, each if it is that of every row.
#[derive(Clone, Copy)]
struct Common {
    metric: bool,
    reference: bool,
    /// True if any row has a verdict: otherwise one sentence says that there is none.
    verdicts: bool,
}

fn common(report: &Report<'_>) -> Common {
    let rows = &report.matrix.rows;
    let same = |alike: fn(&Row, &Row) -> bool| rows.iter().all(|row| alike(row, &rows[0]));
    Common {
        metric: same(|a, b| a.metric == b.metric),
        reference: same(|a, b| a.reference == b.reference),
        verdicts: report.summary.groups().iter().any(Group::has_verdicts),
    }
}

fn caption(first: Option<&Row>, common: Common) -> String {
    let Some(row) = first else {
        return String::new();
    };
    let metric = if common.metric {
        describe::metric_with_direction(row.metric, row.by)
    } else {
        "the metric of each row".to_owned()
    };
    let reference = match &row.reference {
        Some(reference) if common.reference => Some(reference.as_str()),
        _ if common.reference => None,
        _ => Some("the row's reference"),
    };
    describe::matrix_caption(&metric, reference)
}

/// A runtime with its marker in charts, and its note.
pub(super) fn name(report: &Report<'_>, runtime: &str) -> Markup {
    html! {
        (PreEscaped(charts::swatch(report.look(runtime)))) (runtime)
        @if let Some(note) = report.note(runtime) { small { "(" (note) ")" } }
    }
}

fn row(
    report: &Report<'_>,
    sections: &[Section<'_>],
    row: &Row,
    common: Common,
    has_best: bool,
) -> Markup {
    let anchor = sections.iter().find(|section| section.name == row.scenario);
    let anchor = anchor.map_or("", |section| section.anchor.as_str());
    let load = describe::point_slug(row.load, row.arm, row.stack.as_deref());
    let fields = row.fields.iter().zip(&report.matrix.runtimes);
    html! {
        tr role="row" data-scenario=(row.scenario) data-load=(load) data-metric=(row.metric) {
            th scope="row" role="rowheader" {
                a href={ "#" (load_id(anchor, &load)) } { (row.scenario) }
                small { (row.point()) @if !common.metric { span.by { ", by " (row.by) } } }
            }
            @if has_best { (best(report, row, common)) }
            @for (field, runtime) in fields {
                @match field {
                    Some(field) => { (cell(report, row, field, common.verdicts)) }
                    None => { td.absent role="cell" data-runtime=(runtime) { span.sr { "not planned" } } }
                }
            }
        }
    }
}

/// The best runtime by its median, with its interval and whether it is certain: the highest of seven medians flatters.
fn best(report: &Report<'_>, row: &Row, common: Common) -> Markup {
    let Some(best) = &row.best else {
        return html! { td.best role="cell" { "–" } };
    };
    let fields = row.fields.iter().flatten();
    let mut cells = fields.filter_map(|field| report.summary.cells.get(field.cell));
    let cell = cells.find(|cell| cell.runtime == best.runtime);
    html! {
        td.best role="cell" data-label="best median" data-certain=(common.verdicts && best.rivals.is_empty()) {
            b { (best.runtime) }
            @if let Some(cell) = cell { small { (value(cell, row)) } }
            @if common.verdicts { (certainty(row, best)) }
        }
    }
}

/// Whether the best runtime is certain; several others are counted, and named for readers who point at it or hear it.
fn certainty(row: &Row, best: &Best) -> Markup {
    let named = row.certainty(best);
    let [tied, open] = best.tied_and_open();
    if tied.len() + open.len() <= 1 {
        return html! { small { (named) } };
    }
    let counted = describe::counted_certainty(tied.len(), open.len(), row.others());
    html! { small title=(named) { span aria-hidden="true" { (counted) } span.sr { (named) } } }
}

/// The median of the row's metric with its interval.
fn value(cell: &CellSummary, row: &Row) -> String {
    let metric = cell.metric(row.metric);
    let interval = metric
        .filter(|metric| metric.confidence > 0.0)
        .map(|metric| {
            let print = |value| units::with_unit(value, &metric.unit);
            format!(" ({})", units::interval(metric.low, metric.high, print))
        });
    let unit = metric
        .filter(|metric| metric.unit == "ops/s")
        .map_or("", |_| "/s");
    format!(
        "{}{unit}{}",
        describe::value(metric),
        interval.unwrap_or_default()
    )
}

fn cell(report: &Report<'_>, row: &Row, field: &Field, verdicts: bool) -> Markup {
    let Some(cell) = report.summary.cells.get(field.cell) else {
        return html! { td role="cell" {} };
    };
    let comparison = row.comparison(cell);
    html! {
        td role="cell" class=(class(cell, row, comparison)) data-runtime=(cell.runtime) data-label=(cell.runtime)
            data-value=[comparison.map(|comparison| comparison.ratio.value)] title=[cell.reason.as_deref()] {
            @match comparison {
                Some(comparison) => { (compared(comparison, verdicts)) }
                None if cell.status != Status::Ok => { (describe::status(cell.status)) }
                None if field.is_reference => { b { "1×" } small { "reference" } }
                None if row.reference.is_none() => { b { (value(cell, row)) } }
                None => { "n/a" small { "not compared" } }
            }
            (warnings(field))
        }
    }
}

/// The ratio with its glyph, the interval, and the verdict as a word; that there is none is said if others have one.
pub(super) fn compared(comparison: &Comparison, others_have_verdicts: bool) -> Markup {
    let Comparison { ratio, .. } = comparison;
    let needed = describe::needed(comparison);
    html! {
        b {
            @if let Some(verdict) = comparison.verdict { span.glyph aria-hidden="true" { (describe::glyph(verdict)) } " " }
            (units::ratio(ratio.value))
        }
        @if comparison.pairs > 1 { small { (units::interval(ratio.low, ratio.high, units::ratio)) } }
        @match comparison.verdict {
            Some(verdict) => { small.word title=[needed] { (describe::verdict_word(verdict)) } }
            None if others_have_verdicts => { small.word title=[comparison.reason.as_deref()] { "no verdict" } }
            None => {}
        }
    }
}

/// The verdict and the shade of a cell.
fn class(cell: &CellSummary, row: &Row, comparison: Option<&Comparison>) -> String {
    match comparison {
        Some(comparison) => shade(comparison.verdict, comparison.ratio.value),
        None if cell.status == Status::Failed || cell.status == Status::Invalid => "bad".to_owned(),
        None if row.reference.as_ref() == Some(&cell.runtime) => "reference".to_owned(),
        None if row.reference.is_none() => "value".to_owned(),
        None => "absent".to_owned(),
    }
}

/// `faster s4`; without a decided difference the verdict alone.
pub(super) fn shade(verdict: Option<Verdict>, ratio: f64) -> String {
    let factor = ratio.ln().abs().exp();
    let shade = 1 + SHADES.iter().filter(|from| factor >= **from).count();
    match verdict {
        Some(verdict @ (Verdict::Faster | Verdict::Slower)) => {
            format!("{} s{shade}", describe::verdict_word(verdict))
        }
        Some(verdict) => describe::verdict_word(verdict).to_owned(),
        None => "undecided".to_owned(),
    }
}

/// A mark that leads to the warnings about a cell.
fn warnings(field: &Field) -> Markup {
    let numbers = field.warnings.iter().map(|index| (index + 1).to_string());
    let numbers: Vec<String> = numbers.collect();
    let Some(first) = numbers.first() else {
        return html! {};
    };
    let all = numbers.join(", ");
    html! {
        a.warned href={ "#warning:" (first) } aria-label={ "warning " (all) } title={ "warning " (all) } { "⚠" }
    }
}

/// The meaning of glyphs, shades and marks, as far as they are used.
fn legend(report: &Report<'_>) -> Markup {
    let matrix = &report.matrix;
    let mut fields = matrix
        .rows
        .iter()
        .flat_map(|row| row.fields.iter().flatten());
    let marks = fields.any(|field| !field.warnings.is_empty());
    let verdicts = describe::verdict_legend(&report.summary);
    let intervals = describe::interval_confidence(&report.summary);
    html! {
        @if matrix.compares() || marks {
            p.legend {
                @if verdicts.is_some() {
                    span.key.faster.s3 { "▲ faster" } " " span.key.slower.s3 { "▼ slower" } " " span.key.tie { "= tie" } " "
                    span.key.undecided { "? inconclusive" } " "
                }
                (describe::matrix_legend(verdicts.as_deref(), intervals.as_deref(), marks))
            }
        }
    }
}
