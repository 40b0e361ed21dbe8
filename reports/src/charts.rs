//! Charts: one file each, one line each in [`CHARTS`].
//!
//! A chart is a pure function from a record to a drawing, which the page shows as SVG and [`Chart::png`] paints. To add
//! one, write its file and its line; the conformance tests draw every listed chart for every fixture record. Next:
//! `drawing` for the shapes, `rows` and `curves` for the two layouts that the charts share.

mod concurrency;
mod cpu;
mod curves;
mod drawing;
mod font;
mod latency;
mod load_latency;
mod paint;
mod picture;
mod response;
mod rows;
mod scale;
mod speedup;
mod svg;
mod throughput;
mod where_async_pays;

use std::borrow::Cow;

use photofinish_record::Arm;
use photofinish_record::latency::Latencies;
use photofinish_record::load::Load;

pub use svg::{style_sheet, swatch};

use crate::names::{Unique, slug};
use crate::report::Report;
use crate::runtimes::{self, Look};
use crate::summary::{CellSummary, Group};
use crate::{describe, metrics};

use drawing::Drawing;

/// Every chart, in page order.
pub static CHARTS: &[&Kind] = &[
    &where_async_pays::SPEED,
    &where_async_pays::CPU,
    &where_async_pays::MEMORY,
    &throughput::KIND,
    &response::KIND,
    &latency::KIND,
    &speedup::KIND,
    &cpu::KIND,
    &concurrency::KIND,
    &load_latency::KIND,
];

/// A kind of chart.
#[derive(Debug)]
pub struct Kind {
    /// The suffix of its file names.
    pub name: &'static str,
    pub title: &'static str,
    draw: Chartable,
}

/// The part of a record that a chart shows, with its function; `None` if there is nothing to draw.
#[derive(Debug)]
enum Chartable {
    /// One scenario under one load.
    Load(fn(&Source<'_>, &Group<'_>) -> Option<Drawing>),
    /// One scenario under all its loads.
    Scenario(fn(&Source<'_>, &[&Group<'_>]) -> Option<Drawing>),
    Record(fn(&Source<'_>) -> Option<Drawing>),
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
    /// A complete SVG document without external references.
    pub svg: String,
    drawing: Drawing,
}

impl Chart {
    /// The drawing as PNG, at twice its size, on white.
    pub fn png(&self) -> Vec<u8> {
        picture::png(&self.drawing)
    }
}

/// The input of the charts.
struct Source<'a> {
    report: &'a Report<'a>,
}

/// Every chart of a report: first those over the whole run, then in the order of its scenarios and loads.
pub fn charts(report: &Report<'_>) -> Vec<Chart> {
    let source = Source { report };
    let groups = report.summary.groups();
    let mut unique = Unique::default();
    let mut charts = Vec::new();
    for kind in CHARTS {
        charts.extend(kind.of_record(&source, &mut unique));
    }
    for of_scenario in groups.chunk_by(|a, b| a.scenario == b.scenario) {
        // The groups of a search are its steps: dozens of them, whose curve is drawn over all loads.
        if report.summary.search.is_none() {
            for group in of_scenario {
                for kind in CHARTS {
                    charts.extend(kind.of_load(&source, group, &mut unique));
                }
            }
        }
        for kind in CHARTS {
            charts.extend(kind.of_scenario(&source, of_scenario, &mut unique));
        }
    }
    charts
}

impl Kind {
    fn of_record(&self, source: &Source<'_>, unique: &mut Unique) -> Option<Chart> {
        let Chartable::Record(draw) = self.draw else {
            return None;
        };
        let drawing = draw(source)?;
        let suite = source.report.record.plan.suite.as_deref().unwrap_or("run");
        Some(self.chart(drawing, unique, &slug(suite), suite))
    }

    fn of_load(
        &self,
        source: &Source<'_>,
        group: &Group<'_>,
        unique: &mut Unique,
    ) -> Option<Chart> {
        let Chartable::Load(draw) = self.draw else {
            return None;
        };
        let drawing = draw(source, group)?;
        let point = describe::point_slug(group.load, group.arm);
        let stem = format!("{}.{point}", slug(group.scenario));
        Some(Chart {
            scenario: Some(group.scenario.to_owned()),
            load: Some(group.load),
            arm: group.arm,
            ..self.chart(drawing, unique, &stem, &subject(group))
        })
    }

    fn of_scenario(
        &self,
        source: &Source<'_>,
        groups: &[Group<'_>],
        unique: &mut Unique,
    ) -> Option<Chart> {
        let Chartable::Scenario(draw) = self.draw else {
            return None;
        };
        let scenario = groups.first()?.scenario;
        let head: Vec<&Group<'_>> = groups
            .iter()
            .filter(|group| group.arm != Some(Arm::Base))
            .collect();
        let drawing = draw(source, &head)?;
        Some(Chart {
            scenario: Some(scenario.to_owned()),
            ..self.chart(drawing, unique, &slug(scenario), scenario)
        })
    }

    fn chart(&self, drawing: Drawing, unique: &mut Unique, stem: &str, subject: &str) -> Chart {
        let title = format!("{}: {subject}", self.title);
        Chart {
            file_stem: unique.name(format!("{stem}.{}", self.name)),
            svg: svg::document(&drawing, &title),
            title,
            scenario: None,
            load: None,
            arm: None,
            drawing,
        }
    }
}

impl Source<'_> {
    fn look(&self, runtime: &str) -> Look {
        runtimes::look(&self.report.record.plan, runtime)
    }

    fn label(&self, runtime: &str) -> String {
        runtimes::label(&self.report.record.plan, runtime)
    }

    /// The times of all rounds: response under open load, service under closed load.
    fn merged_latency(&self, cell: &CellSummary) -> Latencies {
        let index = self.report.rounds.index_of(cell);
        let index = index.expect("a summarised cell is one of the plan's");
        self.report.rounds.merged(index, |round| match cell.load {
            Load::Closed { .. } => Some(Cow::Borrowed(&round.service)),
            Load::Open { .. } => round.open.as_ref().map(metrics::response),
        })
    }
}

/// The subject of a chart of one group: `http-get · closed, 64 in flight`.
fn subject(group: &Group<'_>) -> String {
    format!(
        "{} · {}",
        group.scenario,
        describe::point(group.load, group.arm)
    )
}
