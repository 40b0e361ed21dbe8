//! The page's section on a search: the highest rates, and the steps that led there, collapsed.
//!
//! The curve is a chart like any other. The dozens of cells of the steps have no tables and charts of their own.

use maud::{Markup, PreEscaped, html};
use photofinish_record::{SearchRound, SearchStep};

use super::Section;
use super::results::absent;
use crate::report::Report;
use crate::search_table::{LEGEND, SearchRow, SearchTable};
use crate::{charts, describe, runtimes, units};

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
    html! {
        h3 { (search.title()) }
        div.scroll tabindex="0" role="region" aria-label="Results" {
            table.results {
                thead { tr {
                    th scope="col" { "runtime" }
                    @for heading in search.headings() { th scope="col" { (heading) } }
                } }
                tbody { @for row in &search.rows {
                    tr {
                        th scope="row" {
                            (PreEscaped(charts::swatch(runtimes::look(&report.record.plan, &row.result.runtime))))
                            (row.result.runtime)
                        }
                        @for cell in row.cells() { td { (cell) } }
                    }
                } }
            }
        }
        ul.missing {
            @for sentence in search.unfinished() { li.bad { (sentence) } }
            (absent(&steps))
            li { (LEGEND) }
            @for sentence in describe::tool(steps.iter().copied()) { li { (sentence) } }
        }
        details.steps {
            summary { "Steps of the search" }
            @for row in &search.rows { (steps_of(row)) }
        }
    }
}

fn steps_of(row: &SearchRow<'_>) -> Markup {
    html! {
        h4 { (row.result.runtime) }
        div.scroll tabindex="0" role="region" aria-label="Steps" {
            table {
                thead { tr { @for heading in ["rate", "objective", "rounds"] { th scope="col" { (heading) } } } }
                tbody { @for step in &row.result.steps { (step_row(step)) } }
            }
        }
    }
}

fn step_row(step: &SearchStep) -> Markup {
    let rounds: Vec<String> = step.rounds.iter().map(round).collect();
    html! {
        tr {
            th scope="row" { (units::per_second(step.rate_hz)) }
            td { @if step.met { "met" } @else { "not met" } }
            td { (rounds.join("; ")) }
        }
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
