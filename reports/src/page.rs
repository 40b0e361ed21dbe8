//! The page: `report.html`, one file that opens offline.
//!
//! Everything from the record is treated as text: maud escapes it, and the page's content security policy forbids external
//! resources and every script but `page.js`, which adds controls to a page that is whole without it. Charts are inlined, and
//! the style sheet in `page.css` repaints them for a dark background. The order is defined here: the first screen with the answer (`overview`), where asynchronous code pays,
//! each scenario, the warnings, procedure and machine, and an explanation. Each part has its own file in `page/`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

mod contents;
mod interval;
mod matrix;
mod overview;
mod results;
mod scenario;
mod tables;

mod async_pays;
mod choices;
mod comparison;
mod cost;
mod fitness;
mod gate;
mod how;
mod observed;
mod parts;
mod reading;
mod search;
mod sections;
mod shards;
mod stacks;
mod system_calls;
mod thresholds;
mod warnings;

pub use comparison::comparison_page;

use crate::charts::{self, Chart};
use crate::embedded::{self, LARGEST_BLOCK_BYTES};
use crate::gate::GateReport;
use crate::report::Report;

/// The page of a report: a whole HTML document.
pub fn page(report: &Report<'_>) -> String {
    let charts = &charts::charts(report).collect::<Vec<_>>();
    Page { report, charts }.document().into_string()
}

/// The only script: controls made from what is on the page.
const SCRIPT: &str = include_str!("page/page.js");

/// Forbids external resources and every script but the page's own, no matter what ends up on the page.
fn policy() -> String {
    let digest = STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
         form-action 'none'"
    )
}

/// The page under construction.
struct Page<'a> {
    report: &'a Report<'a>,
    charts: &'a [Chart],
}

impl Page<'_> {
    fn document(&self) -> Markup {
        let sections = self.sections();
        let block = embedded::block(self.report.record);
        let body = html! {
            (self.head(&sections))
            (self.contents(&sections))
            main {
                (self.answer(&sections))
                (thresholds::section(&self.report.summary.thresholds))
                (stacks::section(self.report))
                (shards::section(&self.report.rounds))
                (async_pays::section(&self.report.async_pays, &self.drawings(None, None)))
                @for section in &sections { (self.section(section)) }
                (warnings::section(&self.report.summary.warnings))
                (how::run(self.report.record))
                (fitness::section(&self.report.record.fitness))
                (reading::reading(&self.report.summary))
            }
            footer {
                (self.report.record.tool.name) " " (self.report.record.tool.version) " · run "
                span data-run=(self.report.record.id) { (self.report.record.id) }
                @if block.is_none() {
                    " · too large a record for this page (more than " (LARGEST_BLOCK_BYTES >> 20) " MiB compressed): "
                    a href="record.json" { "record.json" }
                }
            }
            (choices::block(self.report))
            @if let Some(block) = &block { (PreEscaped(block)) }
        };
        document(&self.title(&sections), &body)
    }

    /// The gate, if its numbers are in this record: those of a gate against another record are in the gate's own outputs.
    fn shown_gate(&self) -> Option<&GateReport> {
        let gate = self.report.gate.as_ref()?;
        let measured = |check: &crate::gate::Check| check.base.is_some() || check.value.is_some();
        gate.checks.iter().any(measured).then_some(gate)
    }
}

/// A whole document with this title and body.
fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Photofinish" }
                style { (PreEscaped(include_str!("page.css"))) (PreEscaped(dark_charts())) }
            }
            body {
                (body)
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// A verdict of a gate or threshold in its colour.
fn verdict_mark(name: &str) -> Markup {
    html! { span class={ "verdict " (name) } { (name) } }
}

/// A sentence whose commands are in backticks.
fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // A single backtick encloses nothing.
    if parts.len().is_multiple_of(2) {
        return html! { (text) };
    }
    html! {
        @for (index, part) in parts.iter().enumerate() {
            @if index % 2 == 0 { (part) } @else { code { (part) } }
        }
    }
}

fn figures(charts: &[&Chart]) -> Markup {
    html! { div.figures { @for chart in charts { figure { (PreEscaped(&chart.svg)) } } } }
}

/// Charts on a dark page, by the colours that they are drawn with.
fn dark_charts() -> String {
    format!(
        "@media screen and (prefers-color-scheme: dark) {{\n{}}}\n",
        charts::style_sheet("svg")
    )
}

/// The logo: three runners and the finish line.
fn mark() -> Markup {
    PreEscaped(
        "<svg class=\"mark\" viewBox=\"0 0 20 20\" aria-hidden=\"true\"><path d=\"M1 5h11M1 10h15M1 15h8\" fill=\"none\" \
         stroke=\"currentColor\" stroke-width=\"2.4\" stroke-linecap=\"round\"/><path d=\"M18 2v16\" \
         stroke=\"currentColor\" stroke-width=\"1.4\"/></svg>"
            .to_owned(),
    )
}
