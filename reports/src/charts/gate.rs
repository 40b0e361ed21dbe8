//! Head against base: the slowdown of each runtime under every load of a gate, with its interval, on a logarithmic axis.
//!
//! Only for scenarios with several loads: a single one is a line of the table of checks. The slowdown is that of the first metric
//! whose slowdown is limited.

use photofinish_record::Requirement;
use photofinish_record::load::Load;

use super::drawing::Drawing;
use super::rows::{self, Labels, Row};
use super::{Draw, Kind};
use crate::gate::{Check, GateReport};
use crate::metrics::short_name;
use crate::report::Report;
use crate::statistics::Estimate;
use crate::summary::{CellSummary, Group};
use crate::units;

pub(super) static KIND: Kind = Kind {
    name: "gate",
    title: "Head against base",
    draw: Draw::Scenario(draw),
};

fn draw(report: &Report<'_>, groups: &[&Group<'_>]) -> Option<Drawing> {
    let gate = report.gate.as_ref()?;
    let [first, _, ..] = groups else {
        return None;
    };
    let of_scenario = gate
        .checks
        .iter()
        .filter(|it| it.scenario == first.scenario);
    let checks: Vec<&Check> = of_scenario.filter(|it| it.slowdown.is_some()).collect();
    let limited = |name: &&str| checks.iter().any(|check| check.metric == *name);
    let terms = report.record.plan.gate.iter().flat_map(|gate| &gate.terms);
    let metric = terms.map(|term| &*term.metric).find(limited)?;
    let mut rows = Vec::new();
    for group in groups {
        for cell in group.in_plan_order() {
            rows.extend(row(report, gate, &checks, metric, cell));
        }
    }
    let about = format!(
        "{} · {}: multiple of the base's time, log axis",
        first.scenario,
        short_name(metric)
    );
    let labels = Labels::of_scenario(&KIND, about, units::ratio);
    (!rows.is_empty()).then(|| rows::dots(labels, &rows, 1.0))
}

fn row(
    report: &Report<'_>,
    gate: &GateReport,
    checks: &[&Check],
    metric: &str,
    cell: &CellSummary,
) -> Option<Row> {
    let of_cell = |check: &&&Check| {
        let subject = (&check.runtime, check.load, &*check.metric);
        let is_slowdown = matches!(check.requirement, Requirement::Slowdown { .. });
        is_slowdown && subject == (&cell.runtime, cell.load, metric)
    };
    let check = checks.iter().find(of_cell)?;
    let slowdown = check.slowdown?;
    let estimate = Estimate {
        value: 1.0 + slowdown.estimate,
        low: 1.0 + slowdown.low,
        high: 1.0 + slowdown.high,
        confidence: 0.0,
    };
    let finite = [estimate.low, estimate.value, estimate.high];
    if !finite.iter().all(|it| it.is_finite() && *it > 0.0) {
        return None;
    }
    let mut text = format!(
        "{} ({})",
        units::ratio(estimate.value),
        units::interval(estimate.low, estimate.high, units::ratio)
    );
    if gate.checks_are_valid() {
        text += &format!(" {}", check.verdict.name());
    }
    Some(Row::new(report, cell, estimate, text).of_part(&place(cell.load)))
}

/// A load in a few characters: `64 in flight`, `1.00k/s`.
fn place(load: Load) -> String {
    match load {
        Load::Closed { concurrency } => format!("{concurrency} in flight"),
        Load::Open { rate_hz, .. } => format!("{}/s", units::count(rate_hz.get())),
    }
}
