//! The page's sections on a search: the highest rates as a matrix, then as tables, and the steps that led there, collapsed.
//!
//! The curve is a chart like any other. The dozens of cells of the steps have no tables and charts of their own.

use maud::{Markup, PreEscaped, html};
use photofinish_record::SearchRound;

use super::matrix;
use super::results::absent;
use super::sections::Section;
use super::tables::Table;
use crate::report::Report;
use crate::search_table::{SearchRow, SearchTable, legend};
use crate::{charts, describe, units};

/// The answer: a row for each scenario and number of sessions, a column for each runtime.
pub(super) fn rates(
    report: &Report<'_>,
    searches: &[SearchTable<'_>],
    sections: &[Section<'_>],
) -> Markup {
    let objective = searches.first().map_or("", |search| search.objective);
    let columns = runtimes(searches);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Highest rates of all searches" {
            table.matrix role="table" {
                caption { "Highest rate with " (objective) }
                thead role="rowgroup" {
                    tr role="row" {
                        th scope="col" role="columnheader" { "scenario and load" }
                        @for runtime in &columns {
                            th scope="col" role="columnheader" data-runtime=(runtime) { (matrix::name(report, runtime)) }
                        }
                    }
                }
                tbody role="rowgroup" { @for search in searches { (matrix_row(search, &columns, sections)) } }
            }
        }
        @if let Some(search) = &report.summary.search { p.legend { (legend(search)) } }
    }
}

/// The runtimes of all searches, in the order of their first appearance.
fn runtimes<'a>(searches: &'a [SearchTable<'_>]) -> Vec<&'a str> {
    let mut runtimes = Vec::new();
    for row in searches.iter().flat_map(|search| &search.rows) {
        let name = row.result.runtime.as_str();
        if !runtimes.contains(&name) {
            runtimes.push(name);
        }
    }
    runtimes
}

fn matrix_row(search: &SearchTable<'_>, columns: &[&str], sections: &[Section<'_>]) -> Markup {
    let section = sections
        .iter()
        .find(|section| section.name == search.scenario);
    let anchor = section.map_or("", |section| section.anchor.as_str());
    let sessions = search
        .sessions
        .map(|sessions| describe::plural(sessions as usize, "session"));
    let headings = search.headings();
    html! {
        tr role="row" data-scenario=(search.scenario) {
            th scope="row" role="rowheader" {
                a href={ "#" (anchor) } { (search.scenario) }
                @if let Some(sessions) = sessions { small { (sessions) } }
            }
            @for runtime in columns {
                @match search.rows.iter().find(|row| row.result.runtime == *runtime) {
                    Some(row) => {
                        @let [highest, not_met, time, ..] = row.cells();
                        td.value role="cell" data-runtime=(runtime) data-label=(runtime) data-value=[row.result.highest_hz] {
                            b { (highest) }
                            @if row.result.lowest_failing_hz.is_some() { small { (headings[1]) " " (not_met) } }
                            @if row.result.highest_hz.is_some() { small { (headings[2]) " " (time) } }
                        }
                    }
                    None => { td.absent role="cell" data-runtime=(runtime) { span.sr { "not searched" } } }
                }
            }
        }
    }
}

/// The table, notes, and the steps.
pub(super) fn results(report: &Report<'_>, search: &SearchTable<'_>) -> Markup {
    let steps = search.cells(&report.summary);
    let body = html! {
        tbody { @for row in &search.rows {
            tr data-runtime=(row.result.runtime) {
                th scope="row" { (PreEscaped(charts::swatch(report.look(&row.result.runtime)))) (row.result.runtime) }
                @for cell in row.cells() { td { (cell) } }
            }
        } }
    };
    let subject = format!("{}, {}", search.scenario, search.title());
    let headings = std::iter::once("runtime").chain(search.headings());
    let highest = Table::new("Highest rates", headings, body);
    let highest = highest.results().about(&subject);
    html! {
        h3 { (search.title()) }
        (highest.render())
        ul.missing {
            @for sentence in search.unfinished() { li.bad { (sentence) } }
            (absent(&steps))
            @for sentence in describe::tool(steps.iter().copied()) { li { (sentence) } }
        }
        details.steps {
            summary { "Steps of the search" }
            @for row in &search.rows {
                h4 { (row.result.runtime) }
                @let subject = format!("{subject}, {}", row.result.runtime);
                (Table::new("Steps", ["rate", "objective", "rounds"], steps_of(row)).about(subject).render())
            }
        }
    }
}

fn steps_of(row: &SearchRow<'_>) -> Markup {
    html! {
        tbody { @for step in &row.result.steps {
            tr {
                th scope="row" { (units::per_second(step.rate_hz)) }
                td { @if step.met { "met" } @else { "not met" } }
                td { (describe::list(step.rounds.iter().map(round), "; ")) }
            }
        } }
    }
}

/// A round's value and the reason it did not meet the objective, unless that is the value itself.
fn round(round: &SearchRound) -> String {
    let value = round.value.map_or("n/a".to_owned(), units::duration);
    match &round.reason {
        Some(reason) if reason.ends_with(&value) => value,
        Some(reason) => format!("{value}, {reason}"),
        None => value,
    }
}
