//! A scenario on the page: what it does, its charts over all loads, then each load with its table, notes and charts.
//!
//! Every load has an id, so that the matrix and other documents can link to it.

use maud::{Markup, html};
use photofinish_record::PlannedScenario;
use photofinish_record::load::Load;

use super::sections::{Section, load_id, point_of};
use super::{Page, cost, figures, how, observed, parts, results, search};
use crate::charts::Chart;
use crate::describe;
use crate::floor;
use crate::summary::Group;

impl Page<'_> {
    pub(super) fn section(&self, section: &Section<'_>) -> Markup {
        let title = section
            .scenario
            .map_or("", |scenario| scenario.title.as_str());
        let heading = format!("{}:heading", section.anchor);
        html! {
            section.scenario id=(section.anchor) aria-labelledby=(heading) data-scenario=(section.name) {
                h2 id=(heading) { (section.name) @if !title.is_empty() { small { (title) } } }
                @if let Some(scenario) = section.scenario { (about(scenario)) }
                @if self.report.searches.is_empty() { (loads(section)) }
                @let overview = self.drawings(Some(section.name), None);
                @if !overview.is_empty() { (figures(&overview)) }
                @for search in self.report.searches.iter().filter(|search| search.scenario == section.name) {
                    (search::results(self.report, search))
                }
                @for (index, group) in section.groups.iter().enumerate().filter(|_| self.report.searches.is_empty()) {
                    @let last = index + 1 == section.groups.len();
                    (self.group(group, section, last))
                }
                @if let Some(scenario) = section.scenario { (how::scenario(self.report, scenario, &section.groups)) }
            }
        }
    }

    /// One load: the table, notes, and charts; a sweep's earlier loads are collapsed.
    fn group(&self, group: &Group<'_>, section: &Section<'_>, unfolded: bool) -> Markup {
        let charts = self.drawings(Some(group.scenario), Some((group.load, group.stack)));
        let point = describe::point(group.load, group.arm, group.stack);
        let rounds = describe::rounds(group.rounds(), section.scenario);
        html! {
            h3 id=(load_id(&section.anchor, &point_of(group))) { (point) small { (rounds) } }
            @if !group.ranked().is_empty() { (results::table(self.report, group)) }
            (results::notes(group))
            @for sentence in floor::sentences(&self.report.rounds, group) { p { (sentence) } }
            (parts::requests(group))
            (observed::tables(group))
            (cost::details(&self.report.rounds, group))
            @if !charts.is_empty() {
                details.charts open[unfolded] { summary { "Charts: " (point) } (figures(&charts)) }
            }
        }
    }

    pub(super) fn drawings(
        &self,
        scenario: Option<&str>,
        point: Option<(Load, Option<&str>)>,
    ) -> Vec<&Chart> {
        self.charts
            .iter()
            .filter(|chart| !chart.is_card && chart.scenario.as_deref() == scenario)
            .filter(|chart| chart.load.map(|load| (load, chart.stack.as_deref())) == point)
            .collect()
    }
}

/// Links to the loads of a scenario that has several.
fn loads(section: &Section<'_>) -> Markup {
    html! {
        @if section.groups.len() > 1 {
            p.loads {
                "Loads:"
                @for group in &section.groups {
                    @let id = load_id(&section.anchor, &point_of(group));
                    " " a href={ "#" (id) } { (describe::point(group.load, group.arm, group.stack)) }
                }
            }
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
