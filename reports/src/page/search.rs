//! The page's section on a search: the highest rates, and the steps that led there, collapsed.
//!
//! The curve is a chart like any other. The dozens of cells of the steps have no tables and charts of their own.

use maud::{Markup, PreEscaped, html};
use photofinish_record::SearchRound;

use super::results::absent;
use super::sections::Section;
use super::tables::Table;
use crate::report::Report;
use crate::search_table::{SearchRow, SearchTable, legend};
use crate::{charts, describe, units};

/// One line per scenario and number of sessions.
pub(super) fn headlines(searches: &[SearchTable<'_>], sections: &[Section<'_>]) -> Markup {
    html! {
        ul.headlines {
            @for search in searches {
                @let section = sections.iter().find(|section| section.name == search.scenario);
                li { a href={ "#" (section.map_or("", |section| section.anchor.as_str())) } { (search.scenario) } ": " (search.first()) }
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
            @if let Some(search) = &report.summary.search { li { (legend(search)) } }
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
