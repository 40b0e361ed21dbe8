//! Charts: one file each, one line each in [`CHARTS`].
//!
//! A chart is a pure function from a report to a drawing, which the page shows as SVG and a [`Painter`] paints. To add
//! one, write its file and its line; the conformance tests draw every listed chart for every fixture record. Next:
//! `drawing` for the shapes, `rows` and `curves` for the two layouts that the charts share.

mod card;
mod concurrency;
mod cpu;
mod curves;
mod drawing;
mod flame;
mod font;
mod gate;
mod heat_map;
mod latency;
mod load_latency;
mod memory;
mod over_time;
mod paint;
mod picture;
mod requests;
mod response;
mod rounds;
mod rows;
mod scale;
mod scale_out;
mod scatter;
mod shards;
mod speedup;
mod svg;
mod throughput;
mod timeline;
mod timer_error;
mod where_async_pays;

use photofinish_record::Arm;
use photofinish_record::load::Load;

pub use picture::Painter;
pub use scale_out::scale_out;
pub use svg::{style_sheet, swatch};

use crate::describe;
use crate::names::{Unique, slug};
use crate::report::Report;
use crate::summary::Group;

use drawing::Drawing;

/// Every chart, in page order.
pub static CHARTS: &[&Kind] = &[
    &card::KIND,
    &where_async_pays::SPEED,
    &where_async_pays::CPU,
    &where_async_pays::MEMORY,
    &throughput::KIND,
    &rounds::KIND,
    &shards::KIND,
    &response::KIND,
    &latency::KIND,
    &speedup::KIND,
    &cpu::KIND,
    &flame::KIND,
    &scatter::KIND,
    &memory::PEAK,
    &timer_error::KIND,
    &timeline::KIND,
    &heat_map::KIND,
    &requests::KIND,
    &gate::KIND,
    &concurrency::KIND,
    &load_latency::KIND,
    &memory::BY_SESSIONS,
];

/// A kind of chart.
#[derive(Debug)]
pub struct Kind {
    /// The suffix of its file names.
    pub name: &'static str,
    pub title: &'static str,
    draw: Draw,
}

/// The function that draws a chart, by the part of a record that it shows; `None` if there is nothing to draw.
#[derive(Debug)]
enum Draw {
    /// One scenario under one load.
    Load(fn(&Report<'_>, &Group<'_>) -> Option<Drawing>),
    /// One scenario under all its loads.
    Scenario(fn(&Report<'_>, &[&Group<'_>]) -> Option<Drawing>),
    Record(fn(&Report<'_>) -> Option<Drawing>),
    /// A picture of its own, which the page does not repeat.
    Card(fn(&Report<'_>) -> Option<Drawing>),
}

/// A drawn chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// A plain file name without extension, unique within the record: `http-get.c64.latency`.
    pub file_stem: String,
    /// Heading and subject in one line, as plain text.
    pub title: String,
    /// The scenario; `None` for a chart over all of them.
    pub scenario: Option<String>,
    /// The load; `None` for a chart over all loads.
    pub load: Option<Load>,
    /// The side of a gate.
    pub arm: Option<Arm>,
    /// The stack of its runtimes; `None` of those in this program, and of charts over the whole run.
    pub stack: Option<String>,
    /// True if it is a picture alone, and not on the page.
    pub is_card: bool,
    /// A complete SVG document without external references.
    pub svg: String,
    drawing: Drawing,
    /// The sources of a picture that stands alone, if it does not name them itself.
    caption: Vec<String>,
}

impl Chart {
    /// The chart as an SVG document that stands alone.
    pub fn svg_file(&self) -> String {
        svg::document(&self.alone(), &self.title)
    }

    /// The drawing with the caption of a picture that stands alone.
    fn alone(&self) -> Drawing {
        self.drawing.with_caption(&self.caption)
    }
}

/// Every chart of a report, each drawn when it is asked for: first those over the whole run, then in the order of its scenarios
/// and loads.
pub fn charts(report: &Report<'_>) -> impl Iterator<Item = Chart> {
    let over_all = CHARTS.iter().filter_map(|kind| kind.of_record(report));
    let groups = report.summary.groups();
    let scenarios = groups.chunk_by(|a, b| a.scenario == b.scenario);
    let scenarios: Vec<_> = scenarios.map(<[Group<'_>]>::to_vec).collect();
    let of_scenarios = scenarios
        .into_iter()
        .flat_map(|groups| of_scenario(report, groups));
    let mut unique = Unique::default();
    over_all.chain(of_scenarios).map(move |mut chart| {
        chart.file_stem = unique.name(chart.file_stem);
        chart
    })
}

/// The charts of one scenario: those of each load, then those over its loads.
fn of_scenario(report: &Report<'_>, groups: Vec<Group<'_>>) -> impl Iterator<Item = Chart> {
    let of_stacks = by_stack(&groups).into_iter().flat_map(move |stack| {
        CHARTS
            .iter()
            .filter_map(move |kind| kind.of_scenario(report, &stack))
    });
    // The groups of a search are its steps: dozens of them, whose curve is drawn over all loads.
    let loads = match report.summary.search {
        None => groups,
        Some(_) => Vec::new(),
    };
    let of_loads = loads.into_iter().flat_map(move |group| {
        CHARTS
            .iter()
            .filter_map(move |kind| kind.of_load(report, &group))
    });
    of_loads.chain(of_stacks)
}

/// The groups of each stack, in the order of their first appearance.
fn by_stack<'a>(groups: &[Group<'a>]) -> Vec<Vec<Group<'a>>> {
    let mut stacks: Vec<Vec<Group<'a>>> = Vec::new();
    for group in groups {
        let same = |known: &&mut Vec<Group<'a>>| known[0].stack == group.stack;
        match stacks.iter_mut().find(same) {
            Some(known) => known.push(group.clone()),
            None => stacks.push(vec![group.clone()]),
        }
    }
    stacks
}

impl Kind {
    fn of_record(&self, report: &Report<'_>) -> Option<Chart> {
        let (Draw::Record(draw) | Draw::Card(draw)) = self.draw else {
            return None;
        };
        let suite = report.record.plan.suite.as_deref().unwrap_or("run");
        Some(self.chart(report, draw(report)?, slug(suite), suite))
    }

    fn of_load(&self, report: &Report<'_>, group: &Group<'_>) -> Option<Chart> {
        let Draw::Load(draw) = self.draw else {
            return None;
        };
        let point = describe::point_slug(group.load, group.arm, group.stack);
        let stem = format!("{}.{point}", slug(group.scenario));
        let drawing = complete(draw(report, group)?, report, &[group]);
        Some(Chart {
            scenario: Some(group.scenario.to_owned()),
            load: Some(group.load),
            arm: group.arm,
            stack: group.stack.map(str::to_owned),
            ..self.chart(report, drawing, stem, &subject(group))
        })
    }

    /// A chart over all loads, for a gate over those of the head.
    fn of_scenario(&self, report: &Report<'_>, groups: &[Group<'_>]) -> Option<Chart> {
        let Draw::Scenario(draw) = self.draw else {
            return None;
        };
        let Group {
            scenario, stack, ..
        } = *groups.first()?;
        let head: Vec<&Group<'_>> = groups
            .iter()
            .filter(|group| group.arm != Some(Arm::Base))
            .collect();
        let drawing = complete(draw(report, &head)?, report, &head);
        let (stem, subject) = match stack {
            Some(stack) => (
                format!("{}.{}", slug(scenario), slug(stack)),
                format!("{scenario} · {stack}"),
            ),
            None => (slug(scenario), scenario.to_owned()),
        };
        Some(Chart {
            scenario: Some(scenario.to_owned()),
            stack: stack.map(str::to_owned),
            ..self.chart(report, drawing, stem, &subject)
        })
    }

    fn chart(&self, report: &Report<'_>, drawing: Drawing, stem: String, subject: &str) -> Chart {
        let title = format!("{}: {subject}", self.title);
        let record = report.record;
        let is_card = matches!(self.draw, Draw::Card(_));
        let caption = [
            format!("{subject} · {}", describe::tool_version(&record.tool)),
            format!(
                "{} · {}",
                describe::time(&record.started_utc),
                describe::processor(&record.machine)
            ),
        ];
        Chart {
            file_stem: format!("{stem}.{}", self.name),
            svg: svg::document(&drawing, &title),
            is_card,
            caption: caption.into_iter().filter(|_| !is_card).collect(),
            title,
            scenario: None,
            load: None,
            arm: None,
            stack: None,
            drawing,
        }
    }
}

/// A drawing that lists the runtimes of its groups that it omits.
fn complete(mut drawing: Drawing, report: &Report<'_>, groups: &[&Group<'_>]) -> Drawing {
    let mut missing: Vec<String> = Vec::new();
    for cell in groups.iter().flat_map(|group| &group.cells) {
        let label = report.label(&cell.runtime);
        if !drawing.shown.contains(&cell.runtime) && !missing.contains(&label) {
            missing.push(label);
        }
    }
    drawing.leave_out(&missing);
    drawing
}

/// The subject of a chart of one group: `http-get · closed, 64 in flight`.
fn subject(group: &Group<'_>) -> String {
    let point = describe::point(group.load, group.arm, group.stack);
    format!("{} · {point}", group.scenario)
}
