//! The contents: a line of links that stays in sight. Loads are reached from the verdict matrix and their scenario.

use maud::{Markup, html};

use super::Page;
use super::sections::Section;

impl Page<'_> {
    pub(super) fn contents(&self, sections: &[Section<'_>]) -> Markup {
        let report = self.report;
        let gate = self.shown_gate().is_some();
        let fixed: [(bool, &str, &str); 5] = [
            (gate, "gate", "Gate"),
            (!gate && !sections.is_empty(), "verdicts", "Verdicts"),
            (
                !report.summary.thresholds.is_empty(),
                "thresholds",
                "Thresholds",
            ),
            (
                report.rounds.shards.is_some_and(|shards| shards.merged),
                "shards",
                "Shards",
            ),
            (
                !report.async_pays.rows.is_empty(),
                "where-async-pays",
                "Where async pays",
            ),
        ];
        let last: [(bool, &str, &str); 4] = [
            (!report.summary.warnings.is_empty(), "warnings", "Warnings"),
            (!report.record.fitness.is_empty(), "fitness", "Fitness"),
            (true, "run", "The run"),
            (true, "reading", "Glossary"),
        ];
        let link = |(shown, id, text): &(bool, &str, &str)| {
            html! { @if *shown { li { a href={ "#" (id) } { (text) } } } }
        };
        html! {
            nav aria-label="Contents" {
                ul {
                    @for entry in &fixed { (link(entry)) }
                    @for section in sections { li { a href={ "#" (section.anchor) } { (section.name) } } }
                    @for entry in &last { (link(entry)) }
                }
            }
        }
    }
}
