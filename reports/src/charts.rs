//! Charts: one file each, one line each in [`CHARTS`].
//!
//! A chart is a pure function from a record to drawings: SVG that the page inlines, and that [`png`] turns into a picture
//! with the same font, so that page and file show one thing. To add one, write its file and its line; the conformance
//! tests draw every fixture record with whatever is listed. Next: `canvas` for what is drawn with, `rows` and `curves`
//! for the two layouts that the charts share.

mod canvas;
mod concurrency;
mod cpu;
mod curves;
mod latency;
mod load_latency;
mod picture;
mod response;
mod rows;
mod scale;
mod speedup;
mod throughput;
mod where_async_pays;

use std::borrow::Cow;

use photofinish_record::Arm;
use photofinish_record::latency::Latencies;
use photofinish_record::load::Load;

pub use canvas::{style_sheet, swatch};
pub use picture::{PictureError, png};

use crate::names::{Unique, slug};
use crate::report::Report;
use crate::runtimes::{self, Look};
use crate::summary::{CellSummary, Group};
use crate::{describe, metrics};

/// Every chart, in the order in which a page shows them.
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
    /// What its files' names end in.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// How it is drawn, and of what.
    draw: Draw,
}

/// What a chart is drawn of; `None` where there is nothing to draw.
#[derive(Debug)]
enum Draw {
    /// One scenario under one load.
    PerLoad(fn(&Source<'_>, &Group<'_>) -> Option<canvas::Drawing>),
    /// One scenario under all its loads.
    PerScenario(fn(&Source<'_>, &[&Group<'_>]) -> Option<canvas::Drawing>),
    /// Everything that was measured.
    Whole(fn(&Source<'_>) -> Option<canvas::Drawing>),
}

/// A drawn chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// A plain file name without extension, unique within the record: `http-get.c64.latency`.
    pub file_stem: String,
    /// Heading and subject in one line, as plain text.
    pub title: String,
    /// The scenario it shows; `None` of a chart over all of them.
    pub scenario: Option<String>,
    /// The load it shows; `None` of a chart over all loads.
    pub load: Option<Load>,
    /// The side of a gate it shows.
    pub arm: Option<Arm>,
    /// The drawing: a whole SVG document that refers to nothing outside.
    pub svg: String,
}

/// The source of charts.
struct Source<'a> {
    report: &'a Report<'a>,
}

/// Every chart of a report: those of the whole, then in the order of its scenarios and loads.
pub fn charts(report: &Report<'_>) -> Vec<Chart> {
    let summary = &report.summary;
    let source = Source { report };
    let groups = summary.groups();
    let mut unique = Unique::default();
    let mut charts: Vec<Chart> = CHARTS
        .iter()
        .filter_map(|kind| kind.of_record(&source, &mut unique))
        .collect();
    for of_scenario in groups.chunk_by(|a, b| a.scenario == b.scenario) {
        // The groups of a search are its steps: dozens of them, whose curve is drawn over all loads.
        let loads = if summary.search.is_some() {
            &[][..]
        } else {
            of_scenario
        };
        for group in loads {
            charts.extend(
                CHARTS
                    .iter()
                    .filter_map(|kind| kind.of_load(&source, group, &mut unique)),
            );
        }
        charts.extend(
            CHARTS
                .iter()
                .filter_map(|kind| kind.of_scenario(&source, of_scenario, &mut unique)),
        );
    }
    charts
}

impl Kind {
    fn of_record(&self, source: &Source<'_>, unique: &mut Unique) -> Option<Chart> {
        let Draw::Whole(draw) = self.draw else {
            return None;
        };
        let drawing = draw(source)?;
        let suite = source.report.record.plan.suite.as_deref().unwrap_or("run");
        Some(Chart {
            file_stem: unique.name(format!("{}.{}", slug(suite), self.name)),
            title: format!("{}: {suite}", self.title),
            scenario: None,
            load: None,
            arm: None,
            svg: drawing.finish(self.title, suite),
        })
    }

    fn of_load(
        &self,
        source: &Source<'_>,
        group: &Group<'_>,
        unique: &mut Unique,
    ) -> Option<Chart> {
        let Draw::PerLoad(draw) = self.draw else {
            return None;
        };
        let drawing = draw(source, group)?;
        let subject = subject(group);
        Some(Chart {
            file_stem: unique.name(format!(
                "{}.{}.{}",
                slug(group.scenario),
                describe::point_slug(group.load, group.arm),
                self.name
            )),
            title: format!("{}: {subject}", self.title),
            scenario: Some(group.scenario.to_owned()),
            load: Some(group.load),
            arm: group.arm,
            svg: drawing.finish(self.title, &subject),
        })
    }

    fn of_scenario(
        &self,
        source: &Source<'_>,
        groups: &[Group<'_>],
        unique: &mut Unique,
    ) -> Option<Chart> {
        let Draw::PerScenario(draw) = self.draw else {
            return None;
        };
        let scenario = groups.first()?.scenario;
        let own = groups.iter().filter(|group| group.arm != Some(Arm::Base));
        let drawing = draw(source, &own.collect::<Vec<_>>())?;
        Some(Chart {
            file_stem: unique.name(format!("{}.{}", slug(scenario), self.name)),
            title: format!("{}: {scenario}", self.title),
            scenario: Some(scenario.to_owned()),
            load: None,
            arm: None,
            svg: drawing.finish(self.title, scenario),
        })
    }
}

impl Source<'_> {
    fn look(&self, runtime: &str) -> Look {
        runtimes::look(&self.report.record.plan, runtime)
    }

    fn label(&self, runtime: &str) -> String {
        runtimes::label(&self.report.record.plan, runtime)
    }

    /// The times that a reader of this load asks for, of all rounds: response under open load, service under closed.
    fn merged_latency(&self, cell: &CellSummary) -> Latencies {
        let index = self.report.rounds.index_of(cell);
        let index = index.expect("a summarised cell is one of the plan's");
        self.report.rounds.merged(index, |round| match cell.load {
            Load::Closed { .. } => Some(Cow::Borrowed(&round.service)),
            Load::Open { .. } => round.open.as_ref().map(metrics::response),
        })
    }
}

/// What a chart of one group shows: `http-get · closed, 64 in flight`.
fn subject(group: &Group<'_>) -> String {
    format!(
        "{} · {}",
        group.scenario,
        describe::point(group.load, group.arm)
    )
}
