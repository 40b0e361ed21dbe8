//! Scale-out: operations per second over the number of shards, of several runs of one scenario.
//!
//! The grey line is the ideal: the best rate of the fewest shards in proportion. A curve that leaves it is limited by something
//! that all shards share. The chart takes several reports, so that it is on no run's page.

use photofinish_record::load::Load;

use super::concurrency::{Proportion, Sweep};
use super::curves::{Frame, Series};
use super::drawing::Drawing;
use super::scale::Scale;
use super::{Chart, Draw, Kind};
use crate::describe;
use crate::metrics::THROUGHPUT;
use crate::names::slug;
use crate::report::Report;
use crate::summary::Group;
use crate::units;

static KIND: Kind = Kind {
    name: "scale-out",
    title: "Scale-out",
    draw: Draw::Record(|_| None),
};

/// A chart for each scenario with closed loads in the runs of at least two numbers of shards. Of several loads of a run, the one
/// with the highest throughput counts; a run of one machine is one shard.
pub fn scale_out(reports: &[Report<'_>]) -> Vec<Chart> {
    let mut scenarios: Vec<&str> = Vec::new();
    for report in reports {
        for group in report.summary.groups() {
            if !scenarios.contains(&group.scenario) {
                scenarios.push(group.scenario);
            }
        }
    }
    let chart = |scenario: &str| {
        let drawing = draw(reports, scenario)?;
        let most = reports.iter().max_by_key(|report| shards(report))?;
        let stem = slug(scenario);
        Some(Chart {
            scenario: Some(scenario.to_owned()),
            ..KIND.chart(most, drawing, stem, scenario)
        })
    };
    scenarios.into_iter().filter_map(chart).collect()
}

/// Number of shards of a run.
fn shards(report: &Report<'_>) -> u32 {
    let shards = report.record.shards.as_ref();
    shards.map_or(1, |shards| shards.count.get())
}

fn draw(reports: &[Report<'_>], scenario: &str) -> Option<Drawing> {
    let series = series(reports, scenario);
    let frame = Frame::of(series.iter().map(|one| &*one.label));
    let sweep = Sweep::of(&series, &frame)?;
    let samples = series.iter().flat_map(|one| &one.samples);
    let highest = samples
        .map(|sample| sample.estimate.high)
        .fold(0.0, f64::max);
    let y = Scale::from_zero([highest].into_iter(), (frame.bottom, frame.top));
    let described = series.iter().map(|one| {
        let rates = one.samples.iter().map(|sample| {
            let shards = describe::plural(sample.load as usize, "shard");
            format!("{} with {shards}", units::count(sample.estimate.value))
        });
        format!("{}: {}", one.label, describe::list(rates, ", "))
    });
    let mut drawing = Drawing::new(
        frame.height(),
        KIND.title,
        &format!("{scenario} · operations per second of all shards, more is better"),
        describe::list(described, "; "),
    );
    frame.y_axis(&mut drawing, &y, units::count);
    sweep.axis_of("shards", &mut drawing, &frame);
    if let Some(ideal) = Proportion::of(&series, &sweep) {
        let fewest = describe::plural(ideal.fewest as usize, "shard");
        let name = format!("in proportion to {fewest}");
        ideal.draw(&mut drawing, &frame, &sweep, (&y, highest), &name);
    }
    frame.series(&mut drawing, &series, &sweep.x, &y, units::count);
    Some(drawing)
}

/// The best sample of each runtime in each run, placed at its number of shards.
fn series(reports: &[Report<'_>], scenario: &str) -> Vec<Series> {
    let place = |load: Load| match load {
        Load::Closed { .. } => Some((None, 0.0)),
        // The schedule decides the throughput.
        Load::Open { .. } => None,
    };
    let mut all: Vec<Series> = Vec::new();
    for report in reports {
        let groups = report.summary.groups();
        let groups: Vec<&Group<'_>> = groups
            .iter()
            .filter(|group| group.scenario == scenario)
            .collect();
        for mut one in Series::of(report, &groups, THROUGHPUT, place, |_| false) {
            let best = one.samples.drain(..);
            let best = best.max_by(|a, b| a.estimate.value.total_cmp(&b.estimate.value));
            let Some(mut best) = best else { continue };
            best.load = shards(report).into();
            match all.iter_mut().find(|known| known.runtime == one.runtime) {
                Some(known) => known.samples.push(best),
                None => {
                    one.samples.push(best);
                    all.push(one);
                }
            }
        }
    }
    for one in &mut all {
        one.samples.sort_by(|a, b| a.load.total_cmp(&b.load));
    }
    all
}
