//! Latency by percentile, on an axis that gives each further nine the same width.
//!
//! Under open load these are response times, counted from when operations were due. The rounds of a cell are merged,
//! for display only. A curve stops when fewer than ten samples remain beyond it: the rest would be the shape of a few
//! accidents.

use photofinish_record::latency::Latencies;
use photofinish_record::load::Load;

use super::curves::{Curve, Frame};
use super::drawing::{Drawing, Ink, Stroke, Type, at};
use super::scale::{Scale, doubling, nines};
use super::{Draw, Kind, subject};
use crate::metrics::Times;
use crate::report::Report;
use crate::runtimes::Look;
use crate::summary::{CellSummary, Group};
use crate::{describe, units};

pub(super) static KIND: Kind = Kind {
    name: "latency",
    title: "Latency by percentile",
    draw: Draw::Load(draw),
};

/// Samples that must remain beyond the end of a curve.
const LEAST_BEYOND: f64 = 10.0;

/// Points of a curve per nine.
const STEPS_PER_NINE: f64 = 24.0;

/// Quantiles with a tick, and its label.
const TICKS: [(f64, &str); 7] = [
    (0.5, "50%"),
    (0.9, "90%"),
    (0.99, "99%"),
    (0.999, "99.9%"),
    (0.9999, "99.99%"),
    (0.99999, "99.999%"),
    (0.999999, "99.9999%"),
];

/// The quantile at which every curve ends.
const LAST_TICK: f64 = TICKS[TICKS.len() - 1].0;

/// The measuring loop is a line in the chart if this multiple of it reaches the shortest operation; else it is only told.
const NEAR: f64 = 10.0;

/// Between the line of the measuring loop and its label.
const LABEL_GAP: f64 = 8.0;

/// A runtime's merged times, and the quantile at which its curve ends.
struct Distribution {
    runtime: String,
    label: String,
    look: Look,
    times: Latencies,
    last_quantile: f64,
}

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    let distributions: Vec<Distribution> = group
        .in_plan_order()
        .into_iter()
        .filter_map(|cell| Distribution::of(report, cell))
        .collect();
    let last_nine = distributions
        .iter()
        .map(|one| nines(one.last_quantile))
        .reduce(f64::max)?;
    let frame = Frame::of(distributions.iter().map(|one| &*one.label));
    let x = Scale::linear((0.0, last_nine), (frame.left, frame.right));
    let ends = distributions
        .iter()
        .flat_map(|one| [one.at_quantile(0.0), one.at_quantile(one.last_quantile)]);
    let overhead_ns = overhead_ns(group);
    let lowest = ends.clone().reduce(f64::min)?;
    let is_near = overhead_ns.filter(|ns| ns * NEAR >= lowest);
    let domain = doubling(ends.chain(is_near));
    let y = Scale::logarithmic(domain, (frame.bottom, frame.top));
    let time = match group.load {
        Load::Closed { .. } => "service",
        Load::Open { .. } => "response",
    };

    let medians = distributions.iter().map(|one| {
        let median = units::duration(one.at_quantile(0.5));
        format!("{} median {median}", one.label)
    });
    let mut drawing = Drawing::new(
        frame.height(),
        KIND.title,
        &format!(
            "{} · {time} time, log axis · all rounds together",
            subject(group)
        ),
        describe::list(medians, ", "),
    );
    drawing.shown = distributions
        .iter()
        .map(|one| one.runtime.clone())
        .collect();
    frame.y_axis(&mut drawing, &y, units::duration);
    for (quantile, label) in TICKS {
        if nines(quantile) <= last_nine + 1e-9 {
            frame.x_tick(&mut drawing, x.place(nines(quantile)), label);
        }
    }
    let mut caption = "share of operations that took no longer".to_owned();
    if let (Some(ns), None) = (overhead_ns, is_near) {
        caption += &format!("; the measuring loop takes {}", units::duration(ns));
    }
    frame.x_caption(&mut drawing, &caption);
    if let Some(ns) = is_near {
        let height = y.place(ns);
        let (from, to) = (at(frame.left, height), at(frame.right, height));
        drawing.line(from, to, Stroke::new(Ink::AXIS, 1.5));
        let label = format!("measuring loop {}", units::duration(ns));
        let place = at(frame.left + LABEL_GAP, height - LABEL_GAP);
        drawing.text(place, &label, Type::CAPTION);
    }
    let curves: Vec<Curve> = distributions.iter().map(|one| one.curve(&x, &y)).collect();
    frame.draw(&mut drawing, &curves);
    Some(drawing)
}

/// The cost of the measuring loop per operation: that of the runtime with the highest median.
fn overhead_ns(group: &Group<'_>) -> Option<f64> {
    let overheads = group.cells.iter();
    let overheads = overheads.filter_map(|cell| cell.metric("overhead_ns_per_op"));
    let medians = overheads.map(|overhead| overhead.median);
    medians.filter(|ns| *ns > 0.0).reduce(f64::max)
}

impl Distribution {
    /// The times of all rounds: response under open load, service under closed load.
    fn of(report: &Report<'_>, cell: &CellSummary) -> Option<Self> {
        let index = report.rounds.index_of(cell)?;
        let kind = match cell.load {
            Load::Closed { .. } => Times::Service,
            Load::Open { .. } => Times::Response,
        };
        let times = report.rounds.merged(index, |round| kind.of(round));
        let last_quantile = (1.0 - LEAST_BEYOND / times.count() as f64).min(LAST_TICK);
        (last_quantile >= 0.5).then(|| Self {
            runtime: cell.runtime.clone(),
            label: report.label(&cell.runtime),
            look: report.look(&cell.runtime),
            times,
            last_quantile,
        })
    }

    fn at_quantile(&self, quantile: f64) -> f64 {
        self.times.quantile_ns(quantile).unwrap_or(1).max(1) as f64
    }

    fn curve(&self, x: &Scale, y: &Scale) -> Curve {
        let place = |quantile: f64| {
            let time_ns = self.at_quantile(quantile);
            at(x.place(nines(quantile)), y.place(time_ns))
        };
        let steps = (nines(self.last_quantile) * STEPS_PER_NINE).ceil() as u32;
        Curve {
            runtime: self.runtime.clone(),
            label: self.label.clone(),
            look: self.look,
            points: (0..=steps)
                .map(|step| 1.0 - 10_f64.powf(-f64::from(step) / STEPS_PER_NINE))
                .map(|quantile| place(quantile.min(self.last_quantile)))
                .collect(),
            marks: TICKS
                .iter()
                .map(|(quantile, _)| *quantile)
                .filter(|quantile| *quantile <= self.last_quantile)
                .map(place)
                .collect(),
            hollow: Vec::new(),
            hints: TICKS
                .iter()
                .filter(|(quantile, _)| *quantile <= self.last_quantile)
                .map(|(quantile, label)| {
                    let time = units::duration(self.at_quantile(*quantile));
                    (place(*quantile), format!("{} {label}: {time}", self.label))
                })
                .collect(),
        }
    }
}
