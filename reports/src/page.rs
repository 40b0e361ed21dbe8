//! The page: `report.html`, one file that opens offline.
//!
//! Everything the record says is text here: maud escapes it, and the page's own policy forbids scripts and anything from
//! elsewhere. Charts are inlined and repainted for a dark background by the style sheet in `page.css`. What was run and
//! what to mind comes first, numbers next, then how it was measured and how to read it.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use photofinish_harness::load::Load;
use photofinish_harness::record::{Arm, PlannedScenario, Record};

mod async_pays;
mod cost;
mod fitness;
mod gate;
mod observed;
mod search;

use crate::charts::{self, Chart};
use crate::found::{Found, found};
use crate::metrics::{ACHIEVED, OFFERED};
use crate::names::{Unique, slug};
use crate::summary::{CellSummary, Group, MetricSummary, Status, Summary};
use crate::{describe, rounds, runtimes, units};

/// The page of a record: a whole HTML document.
pub fn page(record: &Record) -> String {
    let summary = &Summary::of(record);
    let report = Report {
        record,
        summary,
        found: found(record, summary),
        charts: &charts::charts(record),
    };
    report.document().into_string()
}

/// Forbids scripts and everything from elsewhere, whatever got onto the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// What the page is made from.
struct Report<'a> {
    record: &'a Record,
    summary: &'a Summary,
    /// What a search found; the groups are then its steps, and not shown.
    found: Vec<Found<'a>>,
    charts: &'a [Chart],
}

/// A scenario with its groups, and its anchor on the page.
struct Section<'a> {
    anchor: String,
    name: &'a str,
    scenario: Option<&'a PlannedScenario>,
    groups: Vec<Group<'a>>,
}

impl Report<'_> {
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
                    title { "Photofinish: " (self.subjects(&sections)) }
                    style { (PreEscaped(include_str!("page.css"))) (PreEscaped(dark_charts())) }
                }
                body {
                    (self.head(&sections))
                    main {
                        (gate::section(self.record))
                        (async_pays::section(
                            &crate::async_pays::rows(self.record, self.summary),
                            &self.drawings(None, None),
                        ))
                        @for section in &sections { (self.section(section)) }
                        (self.run())
                        (fitness::section(&self.record.fitness))
                        (reading(self.summary))
                    }
                    footer { (self.record.tool.name) " " (self.record.tool.version) " · run " (self.record.id) }
                }
            }
        }
    }

    fn sections(&self) -> Vec<Section<'_>> {
        let mut unique = Unique::default();
        let groups = self.summary.groups();
        let by_scenario = groups.chunk_by(|a, b| a.scenario == b.scenario);
        by_scenario
            .map(|groups| Section {
                anchor: unique.name(slug(groups[0].scenario)),
                name: groups[0].scenario,
                scenario: rounds::scenario(self.record, groups[0].scenario),
                groups: groups.to_vec(),
            })
            .collect()
    }

    fn subjects(&self, sections: &[Section<'_>]) -> String {
        match sections {
            [] => "nothing measured".to_owned(),
            sections => sections
                .iter()
                .map(|section| section.name)
                .collect::<Vec<_>>()
                .join(", "),
        }
    }

    fn head(&self, sections: &[Section<'_>]) -> Markup {
        let record = self.record;
        html! {
            header {
                p.brand { (mark()) "Photofinish" }
                h1 { (self.subjects(sections)) }
                p.facts {
                    span { (describe::time(&record.started_utc)) }
                    span { "took " (describe::elapsed(record.elapsed_ns)) }
                    span { (describe::machine(&record.machine)) }
                    span { "placement " (describe::placement(&record.plan.placement)) }
                }
                (self.alerts())
                @if sections.is_empty() { p { "Nothing was planned, so nothing was measured." } }
                @else if self.found.is_empty() { (headlines(sections)) }
                @else { (search::headlines(&self.found, sections)) }
            }
        }
    }

    fn alerts(&self) -> Markup {
        let incomplete = describe::incomplete(&self.summary.completion);
        let warnings = &self.summary.warnings;
        html! {
            @if let Some(sentence) = incomplete { p.alert role="alert" { (sentence) } }
            @if !warnings.is_empty() {
                section.alert aria-label="Warnings" {
                    h2 { (describe::plural(warnings.len(), "warning")) }
                    ul { @for warning in warnings { li { (warning) } } }
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
                @for found in self.found.iter().filter(|found| found.scenario == section.name) {
                    (search::results(self, found))
                }
                @for (index, group) in section.groups.iter().enumerate().filter(|_| self.found.is_empty()) {
                    @let last = index + 1 == section.groups.len();
                    (self.group(group, section.scenario, last))
                }
                @if let Some(scenario) = section.scenario { (self.how(scenario, &section.groups)) }
            }
        }
    }

    /// One load: the table, what is missing from it, and the charts; those of a sweep's earlier loads folded away.
    fn group(
        &self,
        group: &Group<'_>,
        scenario: Option<&PlannedScenario>,
        unfolded: bool,
    ) -> Markup {
        let charts = self.drawings(Some(group.scenario), Some((group.load, group.arm)));
        html! {
            h3 { (describe::point(group.load, group.arm)) small { (describe::rounds(group.rounds(), scenario)) } }
            @if !group.ranked().is_empty() { (self.table(group)) }
            (missing(group))
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

    fn table(&self, group: &Group<'_>) -> Markup {
        let baseline = group.baseline();
        html! {
            div.scroll tabindex="0" role="region" aria-label="Results" {
                table.results {
                    thead { tr {
                        th scope="col" { "runtime" }
                        @for column in describe::page_columns(group.load) { th scope="col" { (column.heading) } }
                        @if let Some(baseline) = baseline {
                            th scope="col" { "vs " (baseline) }
                            th scope="col" { "verdict" }
                        }
                    } }
                    tbody { @for cell in group.ranked() { (self.row(cell, group)) } }
                }
            }
        }
    }

    fn row(&self, cell: &CellSummary, group: &Group<'_>) -> Markup {
        let swatch = charts::swatch(charts::look(self.summary, &cell.runtime));
        html! {
            tr {
                th scope="row" {
                    (PreEscaped(swatch)) (cell.runtime)
                    @if let Some(note) = runtimes::note(&cell.runtime) { small { "(" (note) ")" } }
                }
                @for column in describe::page_columns(group.load) { (result(cell, column)) }
                @if group.baseline().is_some() { (compared(cell, group)) }
            }
        }
    }

    /// What exactly was asked for and given, for those who want to repeat or doubt it.
    fn how(&self, scenario: &PlannedScenario, groups: &[Group<'_>]) -> Markup {
        let params = serde_json::to_string_pretty(&scenario.params).unwrap_or_default();
        let servers = serde_json::to_string_pretty(&scenario.servers).unwrap_or_default();
        // Of a search the closed rounds are enough: its steps differ in nothing but the rate.
        let shown = |cell: &&&CellSummary| {
            cell.rounds > 0 && (self.found.is_empty() || cell.load.rate_hz().is_none())
        };
        let cells = groups.iter().flat_map(|group| &group.cells).filter(shown);
        html! {
            details {
                summary { "How " (scenario.name) " was run" }
                dl {
                    dt { "workload" } dd { (scenario.workload) }
                    dt { "parameters" } dd { pre { (params) } }
                    @if !scenario.servers.is_empty() { dt { "servers" } dd { pre { (servers) } } }
                    dt { "unit of delay" } dd { (units::duration(scenario.unit_ns as f64)) }
                    dt { "warm-up" } dd { (describe::stop(scenario.warmup)) }
                    dt { "measured" } dd { (describe::stop(scenario.stop)) }
                    dt { "failures allowed" } dd { (units::tick(&units::count(100.0 * scenario.error_budget))) "%" }
                }
                div.scroll tabindex="0" role="region" aria-label="Runtimes as run" {
                    table {
                        thead { tr { @for heading in ["runtime", "load", "rounds", "sessions", "worker threads", "threads alive", "context switches/op", "particulars"] {
                            th scope="col" { (heading) }
                        } } }
                        tbody { @for cell in cells { (self.particulars(cell)) } }
                    }
                }
            }
        }
    }

    fn particulars(&self, cell: &CellSummary) -> Markup {
        let known =
            |number: Option<u32>| number.map_or("n/a".to_owned(), |number| number.to_string());
        html! {
            tr {
                th scope="row" { (cell.runtime) }
                td { (describe::point(cell.load, cell.arm)) }
                td { (cell.rounds) @if cell.rounds_failed > 0 { " (" (cell.rounds_failed) " failed)" } }
                td { (known(cell.sessions)) }
                td { (known(cell.worker_threads)) }
                td { (describe::value(cell.metric("threads"))) }
                td { (describe::value(cell.metric("context_switches_per_op"))) }
                td { (self.facts(cell)) }
            }
        }
    }

    fn facts(&self, cell: &CellSummary) -> String {
        let planned = self.record.plan.cells.iter().position(|planned| {
            planned.scenario == cell.scenario
                && planned.runtime == cell.runtime
                && planned.load == cell.load
                && planned.arm == cell.arm
        });
        let round = planned.and_then(|index| rounds::measured(self.record, index).next());
        let facts = round.map(|(_, round)| &round.worker.runtime_facts);
        let said = facts
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name} {value}"));
        said.collect::<Vec<_>>().join(", ")
    }

    fn run(&self) -> Markup {
        let (record, machine) = (self.record, &self.record.machine);
        let known = |fact: &Option<String>| fact.clone().unwrap_or("n/a".to_owned());
        html! {
            section id="run" {
                h2 { "The run" }
                dl {
                    dt { "command" } dd { code { (record.command_line.join(" ")) } }
                    dt { "run" } dd { (record.id) }
                    dt { "seed" } dd { (record.seed) }
                    dt { "plan hash" } dd { code { (record.plan_hash) } }
                    dt { "tool" } dd { (record.tool.name) " " (record.tool.version) ", " (record.tool.profile) " build" }
                    dt { "placement" } dd { (describe::placement(&record.plan.placement)) }
                    dt { "operating system" } dd { (machine.os) ", " (machine.arch) }
                    dt { "processor" } dd {
                        (known(&machine.cpu_model)) "; " (describe::plural(machine.cpus_online as usize, "CPU")) " online, "
                        (describe::cpus(&machine.cpus_allowed)) " allowed"
                    }
                    dt { "memory" } dd { (machine.memory_bytes.map_or("n/a".to_owned(), |bytes| units::bytes(bytes as f64))) }
                    dt { "hypervisor" } dd { (known(&machine.hypervisor)) }
                    dt { "frequency governor" } dd { (known(&machine.governor)) }
                    dt { "clock source" } dd { (known(&machine.clock_source)) }
                    dt { "load average" } dd { (known(&machine.load_average_1m)) }
                    dt { "open files" } dd { (machine.open_files_limit.map_or("n/a".to_owned(), |limit| limit.to_string())) }
                    dt { "boot" } dd { (known(&machine.boot_id)) }
                }
                @if !record.dependencies.is_empty() {
                    details {
                        summary { "Exact versions of " (record.dependencies.len()) " dependencies" }
                        ul.versions { @for (name, version) in &record.dependencies { li { (name) " " (version) } } }
                    }
                }
            }
        }
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

/// Who is first, and what can be said of it.
fn headline(group: &Group<'_>) -> String {
    let said = [describe::first(group), describe::verdicts(group)];
    let said: Vec<String> = said.into_iter().flatten().collect();
    match said.as_slice() {
        [] => "no runtime has numbers.".to_owned(),
        said => said.join(" "),
    }
}

/// The ratio by the headline's metric and its verdict, with what that rests on.
fn compared(cell: &CellSummary, group: &Group<'_>) -> Markup {
    let comparison = cell.comparisons.get(group.headline());
    let interval = comparison.and_then(|ratio| range(ratio.low, ratio.high, units::ratio));
    let callable = comparison.and_then(|comparison| comparison.smallest_callable);
    let reason = comparison.and_then(|comparison| comparison.reason.as_deref());
    html! {
        td { (describe::ratio(cell, group)) @if let Some(interval) = interval { small { (interval) } } }
        td title=[reason] {
            (describe::verdict_of(cell, group))
            @if let Some(callable) = callable { small { "from " (units::percent(callable)) " on" } }
        }
    }
}

fn about(scenario: &PlannedScenario) -> Markup {
    html! {
        p {
            "One operation: " (scenario.operation.trim_end_matches('.')) "."
            @if !scenario.servers.is_empty() { " Behind it: " (describe::servers(scenario)) "." }
        }
    }
}

/// What a cell shows in a column; beside what was achieved of a rate, the rate, and loudly that it was not held.
fn result(cell: &CellSummary, column: &describe::Column) -> Markup {
    let metric = cell.metric(column.metric);
    if column.metric != ACHIEVED {
        return number(metric);
    }
    let held = cell.rate_held != Some(false);
    html! {
        td.bad[!held] {
            (describe::value(metric))
            @if !held { strong { " not held" } }
            small { " of " (describe::value(cell.metric(OFFERED))) }
        }
    }
}

fn number(metric: Option<&MetricSummary>) -> Markup {
    let advisory = metric.and_then(|metric| metric.advisory.as_deref());
    let interval = metric.and_then(|metric| {
        range(metric.low, metric.high, |value| {
            units::with_unit(value, &metric.unit)
        })
    });
    html! {
        td title=[advisory] {
            (describe::value(metric))
            @if let Some(interval) = interval { small { (interval) } }
        }
    }
}

/// `1.02–1.10`, with the unit once where both ends have the same; `None` where both ends print alike.
fn range(low: f64, high: f64, print: impl Fn(f64) -> String) -> Option<String> {
    let (low, high) = (print(low), print(high));
    let unit = |text: &str| {
        text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
            .to_owned()
    };
    match (low == high, unit(&low) == unit(&high)) {
        (true, _) => None,
        (false, true) => Some(format!("{}–{high}", low.trim_end_matches(&unit(&high)))),
        (false, false) => Some(format!("{low}–{high}")),
    }
}

/// Cells without numbers, failures by kind, and what else to know of the table above.
fn missing(group: &Group<'_>) -> Markup {
    let ranked = group.ranked();
    let fewer: Vec<String> = ranked
        .iter()
        .filter_map(|cell| describe::fewer_sessions(cell))
        .collect();
    let behind: Vec<String> = ranked
        .iter()
        .flat_map(|cell| [describe::rate_not_held(cell), describe::arrivals(cell)])
        .flatten()
        .collect();
    let tool = [
        describe::pacing(ranked.iter().copied()),
        describe::floor(ranked.iter().copied()),
    ];
    let failing: Vec<&CellSummary> = group
        .cells
        .iter()
        .copied()
        .filter(|cell| !cell.errors_by_kind.is_empty())
        .collect();
    html! {
        ul.missing {
            (absent(&group.cells))
            @for cell in failing { li { (describe::errors(cell)) } }
            @for sentence in behind { li.bad { (sentence) } }
            @for sentence in fewer { li { (sentence) } }
            @for sentence in tool.into_iter().flatten() { li { (sentence) } }
        }
    }
}

/// Cells without numbers, as items of a list.
fn absent(cells: &[&CellSummary]) -> Markup {
    html! {
        @for absent in describe::absent(cells) {
            li.bad[absent.status != Status::Unsupported] {
                strong { (absent.runtimes) } " " (describe::status(absent.status)) ": " (absent.reason)
            }
        }
    }
}

fn figures(charts: &[&Chart]) -> Markup {
    html! { div.figures { @for chart in charts { figure { (PreEscaped(&chart.svg)) } } } }
}

fn reading(summary: &Summary) -> Markup {
    let rule = summary.rule;
    html! {
        section id="reading" {
            h2 { "How to read the numbers" }
            ul {
                li { "Numbers are medians over rounds; a round is a fresh process. Small print below a number is the \
                      median's interval: exact, at 95% confidence or more from six rounds on, and from the least to \
                      the greatest round with fewer." }
                @for sentence in describe::load_legends(summary) { li { (sentence) } }
                @for sentence in describe::mark_legends(summary).into_iter().filter(|mark| *mark != describe::ADVISORY) {
                    li { (sentence) }
                }
                li { (describe::ADVISORY) " A p99 needs 10,000 operations, a p99.9 100,000, so that a hundred lie \
                      beyond it. Curves stop where fewer than ten remain." }
                li { "A ratio compares the two runtimes within each block of rounds, so that what slows the whole machine \
                      cancels. Its interval is exact (Wilcoxon's signed ranks)." }
                li { "A verdict is " em { "faster" } " or " em { "slower" } " where that whole interval lies beyond a \
                      difference of " (units::percent(rule.floor)) ", " em { "tie" } " where all of it lies within, and " em { "inconclusive" } " \
                      otherwise; two equals are called different in at most " (units::percent(rule.alpha)) " of comparisons. \
                      Below it stands the smallest difference that this run could have called." }
                li { "CPU per operation is user and system time of the worker process; the server's own is not in it. \
                      Memory is the highest of the process since its start." }
                li { "The floor of the loop is what one operation that does nothing takes under the same runtime and number \
                      of sessions, wall-clock time over operations. A difference below it is a tie." }
                li { "A ranking is of one metric in one scenario under one load, and of nothing else: throughput under \
                      closed load, response time under open load." }
            }
        }
    }
}

/// Charts on a dark page, by the colours that they are drawn with.
fn dark_charts() -> String {
    format!(
        "@media screen and (prefers-color-scheme: dark) {{\n{}}}\n",
        charts::style_sheet("svg")
    )
}

/// Three runners and the line.
fn mark() -> Markup {
    PreEscaped(
        "<svg class=\"mark\" viewBox=\"0 0 20 20\" aria-hidden=\"true\"><path d=\"M1 5h11M1 10h15M1 15h8\" fill=\"none\" \
         stroke=\"currentColor\" stroke-width=\"2.4\" stroke-linecap=\"round\"/><path d=\"M18 2v16\" \
         stroke=\"currentColor\" stroke-width=\"1.4\"/></svg>"
            .to_owned(),
    )
}
