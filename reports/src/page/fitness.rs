//! The page's section on the machine's fitness: the findings before the run, worst first, good ones collapsed.

use maud::{Markup, html};
use photofinish_record::{Finding, FindingLevel};

use super::prose;
use crate::diagnosis::{self, LEVELS};

/// The findings of a record; empty if it has none.
pub(super) fn section(findings: &[Finding]) -> Markup {
    html! {
        @if !findings.is_empty() {
            section id="fitness" aria-labelledby="fitness:heading" {
                h2 id="fitness:heading" { "The machine's fitness" }
                p { (diagnosis::in_short(findings)) }
                @for level in LEVELS {
                    @let of_level = diagnosis::at(findings, level);
                    @if !of_level.is_empty() {
                        details open[matches!(level, FindingLevel::Bad | FindingLevel::Caution)] {
                            summary { (diagnosis::heading(level)) " (" (of_level.len()) ")" }
                            dl { @for finding in of_level { (described(finding)) } }
                        }
                    }
                }
            }
        }
    }
}

fn described(finding: &Finding) -> Markup {
    html! {
        dt { (finding.check) }
        dd {
            (prose(&finding.evidence))
            @if let Some(remedy) = &finding.remedy { small { "Remedy: " (prose(remedy)) } }
        }
    }
}
