//! The page: `report.html`, one file that opens offline.
//!
//! Everything from the record is treated as text: maud escapes it, and the page's content security policy forbids
//! scripts and external resources. Charts are inlined, and the style sheet in `page.css` repaints them for a dark
//! background. The run and its warnings come first, then numbers, procedure and an explanation. That order is defined
//! here; each part has its own file in `page/`.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use photofinish_record::load::Load;
use photofinish_record::{Arm, PlannedScenario};

mod results;

mod async_pays;
mod cost;
mod fitness;
mod gate;
mod how;
mod observed;
mod parts;
mod reading;
mod search;
mod thresholds;

use crate::charts::{self, Chart};
use crate::describe;
use crate::names::{Unique, slug};
use crate::report::Report;
use crate::summary::Group;

/// The page of a report: a whole HTML document.
pub fn page(report: &Report<'_>) -> String {
    let charts = &charts::charts(report);
    Page { report, charts }.document().into_string()
}

/// Forbids scripts and external resources, no matter what ends up on the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// Number of scenarios named in the heading; the rest are counted there and named in the list below it.
const MOST_NAMES: usize = 6;

/// The page under construction.
struct Page<'a> {
    report: &'a Report<'a>,
    charts: &'a [Chart],
}

/// A scenario with its groups, and its anchor on the page.
struct Section<'a> {
    anchor: String,
    name: &'a str,
    scenario: Option<&'a PlannedScenario>,
    groups: Vec<Group<'a>>,
}

impl Page<'_> {
    fn document(&self) -> Markup {
        let sections = self.sections();
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { "Photofinish: " (self.title(&sections)) }
                    style { (PreEscaped(include_str!("page.css"))) (PreEscaped(dark_charts())) }
                }
                body {
                    (self.head(&sections))
                    main {
                        @if let Some(report) = &self.report.gate { (gate::section(report)) }
                        (thresholds::section(&self.report.summary.thresholds))
                        (async_pays::section(&self.report.async_pays, &self.drawings(None, None)))
                        @for section in &sections { (self.section(section)) }
                        (how::run(self.report.record))
                        (fitness::section(&self.report.record.fitness))
                        (reading::reading(&self.report.summary))
                    }
                    footer { (self.report.record.tool.name) " " (self.report.record.tool.version) " · run " (self.report.record.id) }
                }
            }
        }
    }

    fn sections(&self) -> Vec<Section<'_>> {
        let mut unique = Unique::default();
        let groups = self.report.summary.groups();
        let by_scenario = groups.chunk_by(|a, b| a.scenario == b.scenario);
        by_scenario
            .map(|groups| Section {
                anchor: unique.name(slug(groups[0].scenario)),
                name: groups[0].scenario,
                scenario: self.report.rounds.scenario(groups[0].scenario),
                groups: groups.to_vec(),
            })
            .collect()
    }

    /// The suite's title; without a suite, the scenarios.
    fn title(&self, sections: &[Section<'_>]) -> String {
        let plan = &self.report.record.plan;
        let suite = plan.title.as_ref().or(plan.suite.as_ref());
        if let Some(title) = suite {
            return title.clone();
        }
        let names: Vec<_> = sections.iter().map(|section| section.name).collect();
        match names.len() {
            0 => "nothing measured".to_owned(),
            1..=MOST_NAMES => names.join(", "),
            many => format!("{many} scenarios"),
        }
    }

    fn head(&self, sections: &[Section<'_>]) -> Markup {
        let record = self.report.record;
        html! {
            header {
                p.brand { (mark()) "Photofinish" }
                h1 { (self.title(sections)) }
                p.facts {
                    span { (describe::time(&record.started_utc)) }
                    span { "took " (describe::elapsed(record.elapsed_ns)) }
                    span { (describe::machine(&record.machine)) }
                    span { "placement " (describe::placement(&record.plan)) }
                }
                (self.alerts())
                @if sections.is_empty() { p { "Nothing was planned, so nothing was measured." } }
                @else if self.report.gate.is_some() {}
                @else if self.report.searches.is_empty() { (headlines(sections)) }
                @else { (search::headlines(&self.report.searches, sections)) }
            }
        }
    }

    fn alerts(&self) -> Markup {
        let incomplete = describe::incomplete(&self.report.summary.completion);
        let warnings = &self.report.summary.warnings;
        html! {
            @if let Some(sentence) = incomplete { p.alert role="alert" { (sentence) } }
            @if !warnings.is_empty() {
                section.alert aria-label="Warnings" {
                    h2 { (describe::plural(warnings.len(), "warning")) }
                    ul { @for warning in warnings { li { (prose(warning)) } } }
                }
            }
        }
    }

    fn section(&self, section: &Section<'_>) -> Markup {
        let title = section
            .scenario
            .map_or("", |scenario| scenario.title.as_str());
        html! {
            section.scenario id=(section.anchor) {
                h2 { (section.name) @if !title.is_empty() { small { (title) } } }
                @if let Some(scenario) = section.scenario { (about(scenario)) }
                @let overview = self.drawings(Some(section.name), None);
                @if !overview.is_empty() { (figures(&overview)) }
                @for search in self.report.searches.iter().filter(|search| search.scenario == section.name) {
                    (search::results(self.report, search))
                }
                @for (index, group) in section.groups.iter().enumerate().filter(|_| self.report.searches.is_empty()) {
                    @let last = index + 1 == section.groups.len();
                    (self.group(group, section.scenario, last))
                }
                @if let Some(scenario) = section.scenario { (how::scenario(self.report, scenario, &section.groups)) }
            }
        }
    }

    /// One load: the table, notes, and charts; a sweep's earlier loads are collapsed.
    fn group(
        &self,
        group: &Group<'_>,
        scenario: Option<&PlannedScenario>,
        unfolded: bool,
    ) -> Markup {
        let charts = self.drawings(Some(group.scenario), Some((group.load, group.arm)));
        html! {
            h3 { (describe::point(group.load, group.arm)) small { (describe::rounds(group.rounds(), scenario)) } }
            @if !group.ranked().is_empty() { (results::table(self.report, group)) }
            (results::notes(group))
            (parts::requests(group))
            (observed::tables(group))
            (cost::details(group))
            @if !charts.is_empty() {
                details.charts open[unfolded] { summary { "Charts: " (describe::point(group.load, group.arm)) } (figures(&charts)) }
            }
        }
    }

    fn drawings(&self, scenario: Option<&str>, point: Option<(Load, Option<Arm>)>) -> Vec<&Chart> {
        self.charts
            .iter()
            .filter(|chart| chart.scenario.as_deref() == scenario)
            .filter(|chart| chart.load.map(|load| (load, chart.arm)) == point)
            .collect()
    }
}

fn headlines(sections: &[Section<'_>]) -> Markup {
    html! {
        ul.headlines {
            @for section in sections {
                @for group in &section.groups {
                    li {
                        a href={ "#" (section.anchor) } { (section.name) }
                        @if section.groups.len() > 1 { " (" (describe::point(group.load, group.arm)) ")" }
                        ": " (headline(group))
                    }
                }
            }
        }
    }
}

/// The best runtime and the verdicts.
fn headline(group: &Group<'_>) -> String {
    let sentences = [describe::first(group), describe::verdicts(group)];
    let sentences: Vec<String> = sentences.into_iter().flatten().collect();
    match sentences.as_slice() {
        [] => "no runtime has numbers.".to_owned(),
        sentences => sentences.join(" "),
    }
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

fn about(scenario: &PlannedScenario) -> Markup {
    html! {
        p {
            "One operation: " (scenario.operation.trim_end_matches('.')) "."
            @if !scenario.servers.is_empty() { " Server: " (describe::servers(scenario)) "." }
        }
    }
}

fn figures(charts: &[&Chart]) -> Markup {
    html! { div.figures { @for chart in charts { figure { (PreEscaped(&chart.svg)) } } } }
}

/// A table of results in a region of its own, which scrolls if the table is too wide.
fn results_table<'a>(
    label: &str,
    headings: impl IntoIterator<Item = &'a str>,
    body: Markup,
) -> Markup {
    scrolling(label, html! { table.results { (head(headings)) (body) } })
}

/// A table of further details, likewise.
fn table<'a>(label: &str, headings: impl IntoIterator<Item = &'a str>, body: Markup) -> Markup {
    scrolling(label, html! { table { (head(headings)) (body) } })
}

fn scrolling(label: &str, table: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}

fn head<'a>(headings: impl IntoIterator<Item = &'a str>) -> Markup {
    html! { thead { tr { @for heading in headings { th scope="col" { (heading) } } } } }
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
