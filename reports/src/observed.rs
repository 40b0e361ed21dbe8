//! What workloads and probes observed themselves, as tables: one for each thing, such as `timer overshoot` or `idle task`.
//!
//! These metrics are in no list: they have the names that they were observed under, and are told from the others by not
//! being in `metrics::METRICS`. Here are the tables' names, headings and order; how they look is up to `terminal` and
//! `page`.

use std::collections::BTreeMap;

use crate::metrics::METRICS;
use crate::summary::CellSummary;

/// One thing that was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What it is: `timer overshoot`.
    pub name: String,
    /// What is known of it.
    pub columns: Vec<Column>,
}

/// A number that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// `p50`, `p99`, `max`, or the unit of a number of its own.
    pub heading: String,
    /// The metric's name.
    pub metric: String,
}

/// The percentiles of what is a time, in the order of columns.
const PERCENTILES: [&str; 3] = ["p50", "p99", "max"];

/// What was observed in any of these cells, by name.
pub fn observed(cells: &[&CellSummary]) -> Vec<Observed> {
    let metrics = cells.iter().flat_map(|cell| &cell.metrics);
    let mut found: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    for (metric, summary) in metrics.filter(|(name, _)| is_observed(name)) {
        let (name, heading) = split(metric, &summary.unit);
        let columns = found.entry(name.replace('_', " ")).or_default();
        if columns.iter().all(|known| known.metric != *metric) {
            columns.push(Column {
                heading: heading.to_owned(),
                metric: metric.clone(),
            });
        }
    }
    let place = |column: &Column| PERCENTILES.iter().position(|of| *of == column.heading);
    let ordered = |(name, mut columns): (String, Vec<Column>)| {
        columns.sort_by_key(place);
        Observed { name, columns }
    };
    found.into_iter().map(ordered).collect()
}

fn is_observed(name: &str) -> bool {
    METRICS.iter().all(|metric| metric.name != name)
}

/// `timer_overshoot_p99_ns` is the `p99` of `timer_overshoot`, and `idle_task_bytes` the `bytes` of `idle_task`.
fn split<'a>(metric: &'a str, unit: &'a str) -> (&'a str, &'a str) {
    let percentile = |of: &'static str| {
        let name = metric.strip_suffix("_ns")?.strip_suffix(of)?;
        Some((name.strip_suffix('_')?, of))
    };
    let plain = || {
        let name = metric.strip_suffix(unit)?.strip_suffix('_')?;
        Some((name, unit))
    };
    let found = PERCENTILES.into_iter().find_map(percentile).or_else(plain);
    found.unwrap_or((metric, "value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_a_thing_and_what_is_known_of_it() {
        let check = |metric, unit, expected| assert_eq!(split(metric, unit), expected);
        check("probe_lag_max_ns", "ns", ("probe_lag", "max"));
        check("idle_task_bytes", "bytes", ("idle_task", "bytes"));
        check("stall_ns", "ns", ("stall", "ns"));
        check("turns", "", ("turns", "value"));
        check("checks_ops_s", "ops/s", ("checks_ops_s", "value"));
        check("bytes", "bytes", ("bytes", "value"));
    }
}
