//! The first screen: what ran and where, whether the machine was fit, the findings in words, and the verdict matrix.
//!
//! Warnings are one line here; `warnings` has their whole text. A gate and a search have their own answer instead of a
//! matrix.

use maud::{Markup, html};
use photofinish_record::FindingLevel;

use super::sections::Section;
use super::{Page, gate, mark, matrix, prose, search, verdict_mark};
use crate::describe;
use crate::findings::findings;
use crate::rounds::measured;

impl Page<'_> {
    /// The name of what ran: the suite's title; without a suite, the scenarios.
    fn subject(&self, sections: &[Section<'_>]) -> String {
        let names: Vec<&str> = sections.iter().map(|section| section.name).collect();
        describe::subject(&self.report.record.plan, &names)
    }

    /// The name of what ran, for the window: with the gate's verdict, and the time, so that two windows differ.
    pub(super) fn title(&self, sections: &[Section<'_>]) -> String {
        let subject = self.subject(sections);
        let time = describe::time(&self.report.record.started_utc);
        match self.shown_gate() {
            Some(gate) => format!("Gate {}: {subject}, {time}", gate.verdict.name()),
            None => format!("{subject}, {time}"),
        }
    }

    pub(super) fn head(&self, sections: &[Section<'_>]) -> Markup {
        let record = self.report.record;
        let subject = self.subject(sections);
        html! {
            header {
                p.brand { (mark()) "Photofinish" }
                @if let Some(gate) = self.shown_gate() {
                    h1 { "Gate " (verdict_mark(gate.verdict.name())) small { (subject) } }
                } @else {
                    h1 { (subject) }
                }
                p.facts {
                    span { (describe::time(&record.started_utc)) }
                    span { "took " (describe::elapsed(record.elapsed_ns)) }
                    span { (describe::machine(&record.machine)) }
                    span { "placement " (describe::placement(&record.plan)) }
                }
                (self.fitness())
                @if let Some(sentence) = describe::incomplete(&self.report.summary.completion) {
                    p.alert role="alert" { (sentence) }
                }
                @if sections.is_empty() { p { "Nothing was planned, so nothing was measured." } }
            }
        }
    }

    /// The answer: a gate's checks, a search's highest rates, or findings and matrix.
    pub(super) fn answer(&self, sections: &[Section<'_>]) -> Markup {
        if let Some(report) = self.shown_gate() {
            return gate::section(report);
        }
        if sections.is_empty() {
            return html! {};
        }
        let findings = findings(self.report);
        html! {
            section id="verdicts" aria-labelledby="verdicts:heading" {
                h2 id="verdicts:heading" { "Verdicts" }
                @if self.report.searches.is_empty() {
                    @if !findings.is_empty() { ul.findings { @for sentence in &findings { li { (prose(sentence)) } } } }
                    (matrix::table(self.report, sections))
                } @else {
                    (search::rates(self.report, &self.report.searches, sections))
                }
            }
        }
    }

    /// The machine's fitness, the share of disturbed rounds and the number of warnings, in one line.
    fn fitness(&self) -> Markup {
        let findings = &self.report.record.fitness;
        let warnings = self.report.summary.warnings.len();
        let disturbed = self.disturbed();
        let (class, glyph) = match describe::worst_level(findings) {
            Some(FindingLevel::Bad) => ("bad", "✗"),
            Some(FindingLevel::Caution) => ("caution", "!"),
            _ if warnings > 0 => ("caution", "!"),
            Some(_) => ("good", "✓"),
            None => ("unknown", "?"),
        };
        let text = describe::fitness(findings);
        html! {
            p class={ "fitness " (class) } {
                strong aria-hidden="true" { (glyph) } " "
                @if findings.is_empty() { (text) } @else { a href="#fitness" { (text) } }
                @if let Some(disturbed) = disturbed { " · " (disturbed) }
                @if warnings > 0 { " · " a href="#warnings" { (describe::plural(warnings, "warning")) } }
            }
        }
    }

    fn disturbed(&self) -> Option<String> {
        let rounds = self.report.rounds.counted();
        let rounds = rounds.filter(|round| measured(round).is_some());
        let disturbed = rounds
            .clone()
            .filter(|round| round.conditions.disturbance.is_some());
        describe::disturbed_rounds(disturbed.count(), rounds.count())
    }
}
