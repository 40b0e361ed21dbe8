//! Latency by percentile: how long operations took, with each further nine of the percentile as wide as the last.
//!
//! Under open load these are response times: from when operations were due. The rounds of a cell are merged, for display only. A curve stops where fewer than ten samples remain beyond it: what
//! would follow is the shape of a few accidents.

use photofinish_record::latency::Latencies;
use photofinish_record::load::Load;

use super::canvas::{Drawing, at};
use super::curves::{Curve, Frame};
use super::scale::{Scale, nines};
use super::{Draw, Kind, Source, subject};
use crate::runtimes::Look;
use crate::summary::Group;
use crate::units;

const TITLE: &str = "Latency by percentile";

pub(super) static KIND: Kind = Kind {
    name: "latency",
    title: TITLE,
    draw: Draw::PerLoad(draw),
};

/// Samples that must remain beyond the last place of a curve.
const LEAST_BEYOND: f64 = 10.0;

/// Places of a curve per nine.
const STEPS_PER_NINE: f64 = 40.0;

/// Quantiles with a tick, and what it says.
const TICKS: [(f64, &str); 7] = [
    (0.5, "50%"),
    (0.9, "90%"),
    (0.99, "99%"),
    (0.999, "99.9%"),
    (0.9999, "99.99%"),
    (0.99999, "99.999%"),
    (0.999999, "99.9999%"),
];

/// A runtime's merged times, and how far its curve goes.
struct Distribution {
    label: String,
    look: Look,
    times: Latencies,
    last_quantile: f64,
}

fn draw(source: &Source<'_>, group: &Group<'_>) -> Option<Drawing> {
    let cells = group.ranked().into_iter();
    let of_cell = |cell| Distribution::of(source, cell);
    let distributions: Vec<Distribution> = cells.filter_map(of_cell).collect();
    let last_nine = distributions
        .iter()
        .map(|one| nines(one.last_quantile))
        .reduce(f64::max)?;
    let labels: Vec<String> = distributions.iter().map(|one| one.label.clone()).collect();
    let frame = Frame::of(&labels);
    let time = match group.load {
        Load::Closed { .. } => "service",
        Load::Open { .. } => "response",
    };
    let x = Scale::linear((0.0, last_nine), (frame.left, frame.right));
    let y = Scale::logarithmic(latency_domain(&distributions), (frame.bottom, frame.top));
    Some(Drawing::new(
        frame.height(),
        description(&distributions),
        |canvas| {
            canvas.heading(TITLE, &format!("{} · {time} time", subject(group)));
            frame.y_axis(canvas, &y, units::duration);
            for (quantile, label) in TICKS
                .iter()
                .filter(|(quantile, _)| nines(*quantile) <= last_nine + 1e-9)
            {
                frame.x_tick(canvas, x.place(nines(*quantile)), label);
            }
            frame.x_caption(canvas, "share of operations that took no longer");
            let curves: Vec<Curve> = distributions.iter().map(|one| one.curve(&x, &y)).collect();
            frame.draw(canvas, &curves);
        },
    ))
}

impl Distribution {
    fn of(source: &Source<'_>, cell: &crate::summary::CellSummary) -> Option<Self> {
        let times = source.merged_latency(cell);
        let last_quantile = 1.0 - LEAST_BEYOND / times.count() as f64;
        (last_quantile >= 0.5).then(|| Self {
            label: cell.runtime.clone(),
            look: source.look(&cell.runtime),
            times,
            last_quantile,
        })
    }

    fn at_quantile(&self, quantile: f64) -> f64 {
        self.times.quantile_ns(quantile).unwrap_or(1).max(1) as f64
    }

    fn curve(&self, x: &Scale, y: &Scale) -> Curve {
        let place = |quantile: f64| {
            at(
                x.place(nines(quantile)),
                y.place(self.at_quantile(quantile)),
            )
        };
        let steps = (nines(self.last_quantile) * STEPS_PER_NINE).ceil() as u32;
        let quantiles =
            (0..=steps).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / STEPS_PER_NINE));
        let marked = TICKS.iter().map(|(quantile, _)| *quantile);
        Curve {
            label: self.label.clone(),
            look: self.look,
            points: quantiles
                .map(|quantile| place(quantile.min(self.last_quantile)))
                .collect(),
            marks: marked
                .filter(|quantile| *quantile <= self.last_quantile)
                .map(place)
                .collect(),
            hollow: Vec::new(),
        }
    }
}

/// From the fastest to the slowest place of any curve, at least a factor of two.
fn latency_domain(distributions: &[Distribution]) -> (f64, f64) {
    let low = distributions
        .iter()
        .map(|one| one.at_quantile(0.0))
        .fold(f64::INFINITY, f64::min);
    let high = distributions
        .iter()
        .map(|one| one.at_quantile(one.last_quantile))
        .fold(0.0, f64::max);
    let missing = (2.0 / (high / low)).max(1.0).sqrt();
    (low / missing / 1.05, high * missing * 1.05)
}

fn description(distributions: &[Distribution]) -> String {
    let said = |one: &Distribution| {
        format!(
            "{} median {}",
            one.label,
            units::duration(one.at_quantile(0.5))
        )
    };
    distributions
        .iter()
        .map(said)
        .collect::<Vec<_>>()
        .join(", ")
}
