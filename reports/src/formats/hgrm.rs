//! `hgrm`: percentile distributions as HdrHistogram prints them, one file per measured cell.
//!
//! A cell under open load has one each for service, response and lag; the kind is at the end of the name, before the
//! extension. Values in ms, five steps per halving of the distance to 100 %. The rounds of a cell are merged, for
//! display only. The layout is that of `HistogramIterationValue` in the Java implementation, which its plotters read.

use photofinish_record::Cell;
use photofinish_record::latency::Latencies;

use super::{Error, File, Format, Render, TIMES};
use crate::describe;
use crate::names::{Unique, slug};
use crate::report::Report;

pub(super) static FORMAT: Format = Format {
    name: "hgrm",
    summary: "HdrHistogram percentile distribution in ms, one file per cell and kind of time",
    render: Render::Run(render),
};

/// Steps per halving of the distance to 100 %, as HdrHistogram's own tools use.
const STEPS_PER_HALVING: u32 = 5;

const NS_PER_MS: f64 = 1e6;

fn render(report: &Report<'_>) -> Result<Vec<File>, Error> {
    let mut unique = Unique::default();
    let mut files = Vec::new();
    for (index, cell) in report.rounds.plan.cells.iter().enumerate() {
        for (ending, kind) in TIMES {
            let times = report.rounds.merged(index, |round| kind.of(round));
            if times.count() > 0 {
                files.push(File {
                    name: unique.name(stem(cell) + ending) + ".hgrm",
                    bytes: distribution(&times).into_bytes(),
                });
            }
        }
    }
    Ok(files)
}

fn stem(cell: &Cell) -> String {
    format!(
        "{}.{}.{}",
        slug(&cell.scenario),
        describe::point_slug(cell.load, cell.arm, None),
        slug(&cell.runtime)
    )
}

fn distribution(times: &Latencies) -> String {
    let histogram = times.to_histogram();
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut count = 0;
    for step in histogram.iter_quantiles(STEPS_PER_HALVING) {
        count += step.count_since_last_iteration();
        let value_ms = step.value_iterated_to() as f64 / NS_PER_MS;
        let quantile = step.quantile_iterated_to();
        text += &format!("{value_ms:12.6} {quantile:2.12} {count:10}");
        // At 100 % there is no distance left to divide by.
        if quantile < 1.0 {
            text += &format!(" {:14.2}", 1.0 / (1.0 - quantile));
        }
        text.push('\n');
    }
    text + &format!(
        "#[Mean    = {:12.6}, StdDeviation   = {:12.6}]\n#[Max     = {:12.6}, Total count    = {:12}]\n\
         #[Buckets = {:12}, SubBuckets     = {:12}]\n#[Values in milliseconds, all rounds together]\n",
        histogram.mean() / NS_PER_MS,
        histogram.stdev() / NS_PER_MS,
        histogram.max() as f64 / NS_PER_MS,
        histogram.len(),
        histogram.buckets(),
        // Three significant digits need 2 × 10³ linear steps, rounded up to a power of two.
        2_048,
    )
}
