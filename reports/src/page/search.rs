//! The page's part on a search: who held how much, and the steps that led there, folded away.
//!
//! The curve is a chart like any other. The steps' cells have no tables and no charts of their own: there are dozens.

use maud::{Markup, PreEscaped, html};
use photofinish_record::{SearchRound, SearchStep};

use super::results::absent;
use super::{Report, Section};
use crate::found::{self, Found, Row, per_second};
use crate::{charts, describe, units};

/// One line per scenario and number of sessions.
pub(super) fn headlines(found: &[Found<'_>], sections: &[Section<'_>]) -> Markup {
    html! {
        ul.headlines {
            @for found in found {
                @let section = sections.iter().find(|section| section.name == found.scenario);
                li { a href={ "#" (section.map_or("", |section| section.anchor.as_str())) } { (found.scenario) } ": " (found.first()) }
            }
        }
    }
}

/// The table, what is missing from it, and the steps.
pub(super) fn results(report: &Report<'_>, found: &Found<'_>) -> Markup {
    let steps = found.cells(report.summary);
    let tool = [
        describe::pacing(steps.iter().copied()),
        describe::floor(steps.iter().copied()),
    ];
    html! {
        h3 { (found.question()) }
        div.scroll tabindex="0" role="region" aria-label="Results" {
            table.results {
                thead { tr {
                    th scope="col" { "runtime" }
                    @for heading in found.headings() { th scope="col" { (heading) } }
                } }
                tbody { @for row in &found.rows {
                    tr {
                        th scope="row" {
                            (PreEscaped(charts::swatch(charts::look(report.summary, &row.result.runtime))))
                            (row.result.runtime)
                        }
                        @for cell in row.cells() { td { (cell) } }
                    }
                } }
            }
        }
        ul.missing {
            @for sentence in found.unfinished() { li.bad { (sentence) } }
            (absent(&steps))
            li { (found::LEGEND) }
            @for sentence in tool.into_iter().flatten() { li { (sentence) } }
        }
        details.steps {
            summary { "Steps of the search" }
            @for row in &found.rows { (steps_of(row)) }
        }
    }
}

fn steps_of(row: &Row<'_>) -> Markup {
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
            th scope="row" { (per_second(step.rate_hz)) }
            td { @if step.met { "met" } @else { "not met" } }
            td { (rounds.join("; ")) }
        }
    }
}

/// What a round came to; the reason of one that did not meet the objective tells the value where it is that.
fn round(round: &SearchRound) -> String {
    let value = round.value.map_or("n/a".to_owned(), units::duration);
    match &round.reason {
        Some(reason) if reason.ends_with(&value) => value,
        Some(reason) => format!("{value}, {reason}"),
        None => value,
    }
}
